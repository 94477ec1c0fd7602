"""Everything shows itself: in a notebook, in figures a person can read, and in words that are not broken."""

import ast
import dataclasses
import html.parser
import importlib
import inspect
import itertools
import pathlib
import pkgutil
import re
from fractions import Fraction

import jax
import jax.numpy as jnp
import matplotlib
import matplotlib.figure
import nbformat
import numpy as np
import optax
import pandas as pd
import pytest
from nbclient import NotebookClient

import gradientflow as gf
import gradientflow.analysis
from gradientflow.analysis.comparison.compare import Entry
from gradientflow.analysis.comparison.figures import axis_limits, draw_energy, draw_plane
from gradientflow.analysis.diagnosis.log import read_off
from gradientflow.analysis.linear_stability.survey import StabilitySurvey
from gradientflow.analysis.results.figure import Figure, lay_out
from gradientflow.analysis.results.html import show_formula, show_table
from gradientflow.analysis.results.page import file_names
from gradientflow.analysis.results.result import Result
from gradientflow.analysis.worst_case.problem import energy_class

from .thorough import thorough

EULER = gf.ForwardEuler()
BOWL = gf.Quadratic(np.diag([1.0, 4.0]))
FLOW = gf.GradientFlow(BOWL)
MODULES = [m.name for m in pkgutil.walk_packages(gradientflow.analysis.__path__, "gradientflow.analysis.")]


def _classes():
    """Every dataclass of the second floor that has a grade, by inspection."""
    for module in map(importlib.import_module, MODULES):
        for cls in vars(module).values():
            mine = inspect.isclass(cls) and cls.__module__ == module.__name__ and dataclasses.is_dataclass(cls)
            if mine and (hasattr(cls, "grade") or "grade" in {field.name for field in dataclasses.fields(cls)}):
                yield cls


RESULTS = sorted(set(_classes()), key=lambda cls: cls.__name__)
DRAWN = [cls for cls in RESULTS if hasattr(cls, "plot")]


@pytest.fixture(scope="module")
def run():
    return gf.iterate(FLOW, EULER, [1.0, 2.0], step=0.1, steps=20)


@pytest.fixture(scope="module")
def comparison():
    methods = {"gd": (EULER, 0.1), "momentum": gf.optimizers.momentum(BOWL, lr=0.1, beta=0.5)}
    return gf.compare(FLOW, methods, [4.0, -1.0], 1.0, orders=False)


# --- A contract for all results --------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", RESULTS, ids=lambda cls: cls.__name__)
def test_every_result_shows_itself(cls):
    assert issubclass(cls, Result)
    assert callable(cls._repr_html_)


@pytest.mark.parametrize("cls", [*DRAWN, gf.Trajectory], ids=lambda cls: cls.__name__)
def test_every_figure_takes_axes_a_size_and_a_title(cls):
    assert list(inspect.signature(cls.plot).parameters) == ["self", "ax", "figsize", "title"]
    if cls is not gf.Trajectory:
        module, name = cls.drawn_by.split(":")
        assert callable(getattr(importlib.import_module(f"gradientflow.analysis.{module}"), name))


GRID = np.linspace(0.1, 1.0, 4)


def _descent(lr):
    return gf.optimizers.gradient_descent(BOWL, lr=lr)


def _watched():
    """The report of a run that is too long for its curvature."""
    optimizer = gf.watch(optax.sgd(1.0), BOWL, every=2)
    x = jnp.ones(2)
    state = optimizer.init(x)
    for _ in range(5):
        updates, state = optimizer.update(BOWL.grad(x), state, x, value=BOWL(x))
        x = optax.apply_updates(x, updates)
    return gf.analysis.report(state)


MADE = {
    "Basins": lambda _: gf.basins(gf.optimizers.gradient_descent(BOWL, lr=0.1), ((-1, 1), (-1, 1)), resolution=4),
    "Bifurcation": lambda _: gf.Bifurcation(GRID, np.ones((4, 8)), -GRID, np.ones((4, 8))),
    "Comparison": lambda found: found,
    "ConvergenceMap": lambda _: gf.ConvergenceMap(
        "momentum", ("lr", "beta"), GRID, GRID, energy_class("test", 1, 4, strongly=True),
        np.array([[gf.Grade.UNKNOWN] * 4] * 4, dtype=object), np.zeros((4, 4), int),
    ),
    "Cycle": lambda _: gf.find_cycle(gf.optimizers.momentum(BOWL, lr=4 / 36, beta=(4 / 6) ** 2), 1, 25),
    "Design": lambda _: gf.analysis.design(gf.optimizers.gradient_descent, mu=1, L=9, tries=9, lr=(0, 1)),
    "Diagnosis": lambda _: gf.why(lambda x: 2 * jnp.sum(x**2), jnp.ones(2), optax.sgd(0.6), steps=9),
    "LogReading": lambda _: read_off(pd.DataFrame({"step": range(4), "loss": GRID, "lr": GRID})),
    "EdgeOfStability": lambda _: gf.EdgeOfStability(np.arange(4), GRID, GRID, GRID, GRID, GRID, GRID),
    "EnsembleComparison": lambda _: gf.compare_ensemble(FLOW, {"euler": (EULER, 0.1)}, np.eye(2), 0.5),
    "GradientNoise": lambda _: gf.GradientNoise(jnp.ones(2), {"x": 2.0}, 100),
    "SpectralDensity": lambda _: gf.spectral_density(BOWL, [1.0, 2.0]),
    "Spectrum": lambda _: gf.curvature(BOWL, [1.0, 2.0]),
    "Stability": lambda _: gf.stability(FLOW, EULER),
    "StabilityMap": lambda _: gf.StabilityMap("momentum", ("lr", "beta"), GRID, GRID, (1.0, 4.0), np.outer(GRID, GRID)),
    "StabilityRegion": lambda _: gf.stability_region(EULER, points=9),
    "ObservedOrder": lambda _: gf.analysis.ObservedOrder(GRID, GRID, 1.0),
    "StationaryDensity": lambda _: gf.analysis.StationaryDensity(GRID, GRID, GRID),
    "StrongOrder": lambda _: gf.analysis.StrongOrder(GRID, GRID, GRID / 10, 1.0),
    "Tuned": lambda _: gf.tune(_descent, [1.0, 1.0], {"lr": GRID}, 9),
    "StationaryPoints": lambda _: gf.stationary_points(BOWL, ((-1, 1), (-1, 1))),
    "StepSweep": lambda _: gf.step_sweep(FLOW, EULER, [1.0, 1.0], multiples=(0.5, 1.5, 2.1), steps=10),
    "TaylorModel": lambda _: gf.taylor_model(BOWL, [1.0, 2.0]),
    "SuggestedRate": lambda _: gf.suggest_lr(BOWL, jnp.ones(2), optax.sgd, steps=8),
    "Sweep": lambda _: gf.sweep(_descent, [1.0, 1.0], over={"lr": GRID}, steps=9),
    "TrainingReport": lambda _: _watched(),
    "Verification": lambda _: gf.verify(FLOW),
    "WorstCaseBound": lambda _: gf.worst_case_bound(_descent(0.25), steps=2, mu=0, L=4),
    "WorstCaseFormula": lambda _: gf.analysis.worst_case_formula(gf.optimizers.gradient_descent, 1, 4, lr=(0, 0.25)),
    "WorstCaseNoise": lambda _: gf.analysis.worst_case_noise(_descent(0.25), mu=1, L=4),
    "WorstCaseRate": lambda _: gf.worst_case_rate(_descent(0.25), mu=1, L=4),
    "ValidationCurve": lambda _: gf.ValidationCurve(np.arange(4), GRID, GRID, GRID, jnp.ones((4, 2))),
}  # fmt: skip


class Tags(html.parser.HTMLParser):
    """Collects the tags, and checks that they close in order."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(text):
    tags = Tags()
    tags.feed(text)
    assert not tags.open
    assert not any("http" in value for _, attrs in tags.seen for value in attrs.values())
    assert {tag for tag, _ in tags.seen} <= {"div", "p", "b", "em", "table", "thead", "tbody", "tr", "th", "td", "img"}
    return tags.seen


# What takes long to find is drawn by its own tests, too.
LONG = ("Basins", "Sweep")
DRAWN_HERE = [pytest.param(cls, marks=[thorough] * (cls.__name__ in LONG)) for cls in DRAWN]


@pytest.mark.parametrize("cls", DRAWN_HERE, ids=lambda cls: cls.__name__)
def test_a_result_draws_itself_where_it_is_told(cls, comparison):
    found = MADE[cls.__name__](comparison)
    figure = found.plot(figsize=(5, 3), title="as I say")
    assert isinstance(figure, Figure)
    assert figure.get_size_inches().tolist() == [5, 3]
    assert "as I say" in {figure.get_suptitle(), *(ax.get_title() for ax in figure.axes)}
    own = matplotlib.figure.Figure()
    ax = own.subplots()
    assert found.plot(ax=ax, title="mine") is ax
    assert ax.has_data()
    assert ax.get_title() == "mine"
    parsed(found._repr_html_())
    assert str(found.grade) in found._repr_html_()


def test_a_figure_shows_itself_without_pyplot(run):
    figure = run.plot()
    data, size = figure._repr_png_()
    assert data.startswith(b"\x89PNG")
    assert size["width"] == 72 * figure.get_size_inches()[0]


def test_every_figure_is_one_that_shows_itself():
    made = re.compile(r"(?<![\w.])(Figure\(|matplotlib\.figure\.Figure\()|pyplot")
    files = [file for file in pathlib.Path(gf.__file__).parent.rglob("*.py") if made.search(file.read_text("utf-8"))]
    assert [file.name for file in files] == ["figure.py"]


def test_axes_and_sizes_are_checked(run):
    with pytest.raises(TypeError, match="`ax` must be matplotlib axes"):
        run.plot(ax="here")
    with pytest.raises(ValueError, match="`ax` must be one axes, for the main panel, or 3, got 2"):
        run.plot(ax=matplotlib.figure.Figure().subplots(1, 2))
    with pytest.raises(ValueError, match="`figsize` must be a width and a height"):
        run.plot(figsize=(3, -1))
    with pytest.raises(ValueError, match="`figsize` is the size of a new figure"):
        run.plot(ax=matplotlib.figure.Figure().subplots(), figsize=(3, 2))


def test_all_panels_go_into_as_many_axes(run):
    own = matplotlib.figure.Figure()
    axes = own.subplots(1, 3)
    # Not the figure, which a notebook would show a second time beside the user's own.
    assert run.plot(ax=axes) is axes
    assert all(ax.has_data() for ax in own.axes)


def test_a_legend_that_would_cover_narrow_axes_stands_below_them():
    """However high they become; where there is room it stays where it was."""
    figure = matplotlib.figure.Figure(figsize=(12, 4))
    narrow, wide = figure.subplots(1, 2, width_ratios=[1, 4])
    labels = ["gradient descent", "heun", "momentum: its own flow", "momentum", "flow"]

    def draw(ax):
        for k, label in enumerate(labels):
            ax.plot([0, 1], [k, 0], label=label)
        ax.set_xlabel("x")
        ax.legend()

    for ax in (narrow, wide):
        lay_out([draw], (4, 3), ax=ax)
    figure.tight_layout()
    figure.canvas.draw()
    boxes = [(ax.get_legend().get_window_extent(), ax.get_window_extent()) for ax in (narrow, wide)]
    assert boxes[0][0].y1 < boxes[0][1].y0
    assert boxes[0][0].y0 > 0
    assert boxes[1][0].y1 <= boxes[1][1].y1
    assert boxes[1][0].y0 >= boxes[1][1].y0
    assert [text.get_text() for text in narrow.get_legend().get_texts()] == labels


@pytest.mark.parametrize("size", [(12, 3.5), (7, 2.5), (6, 4)])
@pytest.mark.parametrize("layout", [None, "tight", "constrained"])
def test_what_was_drawn_into_given_axes_is_in_the_file_that_they_are_saved_in(size, layout):
    """One legend for all of them, below and within the figure; no name over the axes beside."""
    methods = {f"descent, {k} times": (gf.ForwardEuler(), 0.1) for k in range(7)}
    found = gf.compare(FLOW, methods, [3.0, 1.0], 1.0, orders=False)
    own = matplotlib.figure.Figure(figsize=size, layout=layout)
    axes = own.subplots(1, 3)
    found.plot(ax=axes)
    own.draw_without_rendering()
    edges = own.bbox
    legend = axes[0].get_legend().get_window_extent()
    assert edges.x0 <= legend.x0 < legend.x1 <= edges.x1
    assert edges.y0 <= legend.y0
    assert all(legend.y1 <= ax.xaxis.label.get_window_extent().y0 for ax in axes)
    assert all(left.get_window_extent().x1 <= right.yaxis.label.get_window_extent().x0
               for left, right in itertools.pairwise(axes))  # fmt: skip


def test_a_narrow_figures_legend_is_within_it_and_what_its_owner_sets_later_holds():
    own = matplotlib.figure.Figure(figsize=(4, 3))
    ax = own.subplots()
    methods = {f"a method of a long name, {k}": (gf.ForwardEuler(), 0.1) for k in range(4)}
    gf.compare(FLOW, methods, [3.0, 1.0], 1.0, orders=False).plot(ax=ax)
    own.draw_without_rendering()
    legend = ax.get_legend().get_window_extent()
    assert own.bbox.y0 <= legend.y0 < legend.y1 <= ax.xaxis.label.get_window_extent().y0
    own.subplots_adjust(bottom=0.5)
    own.draw_without_rendering()
    assert ax.get_position().y0 == pytest.approx(0.5)


def test_no_legend_covers_a_line_of_given_axes():
    own = matplotlib.figure.Figure(figsize=(9, 3.5))
    left, right = own.subplots(1, 2)
    gf.stability(FLOW, gf.ForwardEuler()).plot(ax=left)
    gf.plots.phase_portrait(gf.HeavyBallFlow(lambda x: x**2), ((-3, 3), (-3, 3)), ax=right)
    own.draw_without_rendering()
    for ax in (left, right):
        below = ax.get_legend().get_window_extent()
        assert own.bbox.y0 <= below.y0 < below.y1 <= ax.xaxis.label.get_window_extent().y0


def test_a_title_stays_within_the_axes_that_were_given():
    own = matplotlib.figure.Figure(figsize=(9, 3), layout="constrained")
    for ax in own.subplots(1, 3):
        gf.stability_region(gf.ForwardEuler()).plot(ax=ax)
    own.draw_without_rendering()
    boxes = [ax.title.get_window_extent() for ax in own.axes]
    assert all(left.x1 <= right.x0 for left, right in itertools.pairwise(boxes))
    assert "$|R(z)| ≤ 1$" in own.axes[0].get_title()


def test_trajectories_show_themselves(run):
    assert "<em>reached the end</em>" in run._repr_html_()
    parsed(run._repr_html_())
    lanes = jax.tree.map(lambda leaf: jnp.stack([jnp.asarray(leaf)] * 3), run)
    assert "<td" in lanes._repr_html_()
    assert "3 reached the end" in lanes._repr_html_()
    # One line a lane, and not one a time.
    assert [len(ax.lines) for ax in lanes.plot().axes] == [3, 3, 4]


def test_a_trajectory_is_a_table_over_time(run):
    table = run.table()
    assert table.index.name == "t"
    np.testing.assert_array_equal(table["energy"], run.energy)
    np.testing.assert_array_equal(table[["x[0]", "x[1]"]], run.x)
    nested = gf.iterate(gf.GradientFlow(lambda p: p["a"] ** 2 + jnp.sum(p["b"] ** 2)), gf.ForwardEuler(),
                        {"a": 1.0, "b": np.ones((1, 2))}, step=0.1, steps=3)  # fmt: skip
    assert [*nested.table()] == ["step", "energy", "grad norm", "x.a", "x.b[0, 0]", "x.b[0, 1]"]
    lanes = jax.tree.map(lambda leaf: jnp.stack([jnp.asarray(leaf)] * 3), run)
    with pytest.raises(ValueError, match="table: a batch has no one time axis"):
        lanes.table()


def test_what_a_person_wrote_is_escaped():
    claims = gf.verify(FLOW).claims[:1]
    text = gf.analysis.Verification("<script>alert(1)</script>", claims)._repr_html_()
    assert "<script" not in text
    tags = parsed(text)
    # The statement is a formula, and a reader without pictures gets its source.
    assert any(tag == "img" and "lambda" in attrs["alt"] for tag, attrs in tags)


def test_formulas_are_set_and_what_cannot_be_is_left_to_the_notebook():
    proof = gf.worst_case_rate(gf.optimizers.gradient_descent(BOWL, lr=0.25), 1, 4)
    assert proof._repr_latex_() == f"$${proof.latex()}$$"
    shown = [attrs["alt"] for tag, attrs in parsed(proof._repr_html_()) if tag == "img"]
    assert shown[0] == r"\rho = \tfrac{3}{4}"
    assert len(shown) == 2
    assert show_formula(r"\begin{cases}x<1\end{cases}") == r"<div>$$\begin{cases}x&lt;1\end{cases}$$</div>"


def test_formulas_of_modified_equations_and_limits():
    found = gf.modified_equation(EULER, 3)
    assert found.latex() == (
        r"\dot{\tilde x} = f - \tfrac{1}{2}hf'f + \tfrac{1}{12}h^{2}f''(f, f) + \tfrac{1}{3}h^{2}f'f'f + O(h^{3})"
    )
    assert gf.modified_equation(EULER, 2).modified_energy.latex() == r"\tilde E = E + \tfrac{1}{4}hE'E + O(h^{2})"
    assert gf.modified_hamiltonian(gf.MomentumEuler(), 2).latex() == (
        r"\tilde H/m = K_{\mathrm{force}} + K_{\mathrm{transport}} - \tfrac{1}{2}h"
        r"K_{\mathrm{force}}'f_{\mathrm{transport}} + O(h^{2})"
    )
    assert gf.stability(FLOW, EULER).latex() == r"h < \frac{2}{\lambda}"
    found = gf.verify(FLOW)
    lines = found.latex().split("\n")
    assert (lines[0], lines[-1]) == (r"\begin{aligned}", r"\end{aligned}")
    stated = [claim for claim in found if claim.applies is not False]
    assert len(lines) == 2 + len(stated) > 4
    assert all(claim.statement in line for claim, line in zip(stated, lines[1:-1], strict=True))
    # A table of statements shows each of them, and not all of them once more above.
    assert "aligned" not in found._repr_html_()
    assert "2.78529" in gf.stability_intervals(gf.RungeKutta("rk4")).latex()


def test_long_tables_are_cut():
    text = show_table(gf.analysis.EdgeOfStability(*[np.arange(1.0, 101.0)] * 7).table())
    assert "… 76 more …" in text
    assert text.count("<tr>") == 26


def test_a_certificate_is_shown_by_its_statements_and_fractions():
    found = gf.worst_case_rate(gf.optimizers.gradient_descent(BOWL, lr=0.25), 1, 4).certificate
    assert found.fields()["weights"] == str(Fraction(9, 16))
    assert "array(" not in repr(found)


# --- In a notebook ---------------------------------------------------------------------------------------------------

CELLS = (
    """import gradientflow as gf
flow = gf.GradientFlow(gf.Quadratic([[2.0, 0.0], [0.0, 1.0]]))
run = gf.iterate(flow, gf.ForwardEuler(), [1.0, 2.0], step=0.1, steps=20)
run""",
    "run.plot()",
    "gf.stability_region(gf.ForwardEuler(), points=9).plot()",
    "gf.stability(flow, gf.ForwardEuler())",
    "gf.verify(flow)",
    "import sys; 'matplotlib.pyplot' in sys.modules",
    "%matplotlib inline\nrun.plot()",
)


def test_everything_shows_in_a_notebook():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    outputs = [[output for output in cell.outputs if output.output_type != "stream"] for cell in notebook.cells]
    # Each cell shows one thing, under the inline backend too.
    assert [len(found) for found in outputs] == [1] * len(CELLS)
    data = [found[0].data for found in outputs]
    assert all("text/html" in data[i] for i in (0, 3, 4))
    assert all("image/png" in data[i] for i in (1, 2, 6))
    assert data[5]["text/plain"] == "False"


# --- Figures a person can read ---------------------------------------------------------------------------------------


@thorough
def test_a_default_comparison_arrives():
    resolved = gf.Experiment(energy="rosenbrock").resolve()
    path = gf.integrate(gf.GradientFlow(gf.landscapes.rosenbrock()), resolved.x0, resolved.t1)
    assert float(path.energy[-1]) < 1e-4


@pytest.mark.filterwarnings("error")
def test_energies_that_diverge_are_drawn_on_a_logarithmic_scale(run):
    saddle = gf.GradientFlow(gf.energy(lambda x: x[0] ** 2 - x[1] ** 2))
    path = gf.iterate(saddle, EULER, [1.0, 0.1], step=0.1, steps=100)
    assert path.plot().axes[0].get_yscale() == "symlog"
    ax = matplotlib.figure.Figure().subplots()
    draw_energy(
        ax,
        gf.analysis.Comparison(
            saddle, path, {"gd": Entry(gf.Method(saddle, EULER, 0.1), path, path, np.ones(101), None)}
        ),
    )
    assert ax.get_yscale() == "symlog"
    # To the end of all numbers, without a word from the library that draws.
    gf.iterate(FLOW, EULER, [1.0, 2.0], step=10.0, steps=400).plot()._repr_png_()
    low, high = axis_limits([np.array([1e2, 1e302])], 1e-14)
    assert 0 < low < high < 1e13
    short = gf.iterate(FLOW, EULER, [1.0, 2.0], step=0.01, steps=20)
    assert short.plot().axes[0].get_yscale() == "linear"


def test_a_methods_own_flow_is_in_the_legend_and_smooth(comparison):
    ax = matplotlib.figure.Figure().subplots()
    draw_plane(ax, comparison)
    lines = {line.get_label(): line for line in ax.lines}
    assert "momentum: its own flow" in lines
    assert "gd: its own flow" not in lines
    drawn = lines["momentum: its own flow"].get_xydata()
    assert len(drawn) > 300
    turns = np.diff(np.unwrap(np.arctan2(*np.diff(drawn[1:], axis=0).T)))
    assert np.abs(turns).max() < 0.2


def test_the_table_says_from_everywhere_where_the_verdict_does():
    table = StabilitySurvey({"momentum": gf.stability(gf.optimizers.momentum(BOWL, lr=0.1, beta=0.5))}).table()
    assert table.loc["momentum", "verdict"] == "stable, from everywhere"
    assert table.loc["momentum", "from everywhere"] == table.loc["momentum", "limit of h"]


def test_a_step_far_beyond_the_limit_is_still_drawn():
    found = gf.stability(gf.optimizers.adam(gf.Quadratic(np.diag([1.0, 10.0])), lr=0.1))
    ax = found.plot().axes[0]
    drawn = ax.lines[0].get_ydata()
    low, high = ax.get_ylim()
    assert np.isfinite(drawn).all()
    assert low < drawn.min() <= drawn.max() < high
    assert "Exact(" not in found.unread


def test_files_have_names_that_every_system_takes():
    labels = ["momentum lr=0.1 β=0.9", "gradient_descent h=0.1: z = hλ", "a/b", "a b", "日本"]
    assert file_names(labels) == [
        "momentum-lr-0.1-beta-0.9", "gradient_descent-h-0.1-z-h-lambda", "a-b", "a-b-2", "figure"
    ]  # fmt: skip


def test_schemes_of_a_family_have_their_own_names(comparison):
    diffrax = pytest.importorskip("diffrax")
    assert gf.FromDiffrax(diffrax.Heun()).name == "Heun (diffrax)"
    methods = {name: (gf.RungeKutta(name), 0.1) for name in ("rk4", "heun")}
    found = gf.compare(FLOW, methods, [4.0, -1.0], 0.2, orders=False)
    assert found.table()["scheme"].tolist()[1:] == ["rk4", "heun"]
    claims = [claim.name for claim in gf.verify(gf.Method(FLOW, gf.RungeKutta("rk4"), 0.1))]
    assert not any("RungeKutta" in name for name in claims)


# --- Words -----------------------------------------------------------------------------------------------------------

FUNCTIONS = {"log", "exp", "max", "min", "tr", "sign", "sinh", "cosh", "arsinh", "tanh", "sqrt", "diag", "prox"}


def _docstrings():
    for file in pathlib.Path(gf.__file__).parent.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and (text := ast.get_docstring(node)):
                yield f"{file.name}:{node.lineno} {node.name}", node, parents[node], text


def _names(node, parent):
    """What a docstring may speak of by its name: the arguments, and the class's fields."""
    found = {arg.arg for arg in ast.walk(node) if isinstance(arg, ast.arg)}
    if isinstance(parent, ast.ClassDef):
        found |= {s.target.id for s in parent.body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)}
    return found


def test_no_sentence_changes_a_symbol_by_its_capital():
    broken = []
    for where, node, parent, text in _docstrings():
        names = _names(node, parent)
        for word, after in re.findall(r"(?:^|[.:] )([A-Z]\w*)(.{0,3})", text.split("\n\n")[0]):
            small = word[0].lower() + word[1:]
            is_math = re.match(r"\(| [-+−·/=≤≥<>Σ‖xyz(]|[ᵢⱼₖ₀₁²ᵀ/]", after) is not None
            if is_math and (small in FUNCTIONS or (small in names and word not in names)):
                broken.append(f"{where}: {word}{after}")
    assert not broken
    assert "$" in inspect.getdoc(gf.potentials.BoxEntropy.inverse)
    assert "$" in inspect.getdoc(gf.LinearEnergy.grad)


def test_the_count_of_trees_in_the_documentation():
    from gradientflow.analysis.b_series.trees import forest

    page = pathlib.Path(gf.__file__).parents[2] / "docs" / "order-and-modified-equations.md"
    assert len(forest(10).trees) == 1205
    assert "all 1,205 trees through order 10" in page.read_text(encoding="utf-8")
