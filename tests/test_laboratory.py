"""The laboratory's page as Python writes it: what is on it, what is known, what is refused."""

import json
import re

import jax
import jax.numpy as jnp
import pytest
from typer.testing import CliRunner

import gradientflow as gf
from gradientflow.experiments.cli import app
from gradientflow.experiments.laboratory import kept
from gradientflow.experiments.laboratory.knobs import knobs_of, with_values
from gradientflow.experiments.laboratory.known import known_of
from gradientflow.experiments.laboratory.mathml import mathml
from gradientflow.experiments.laboratory.programs import gradients_of, method_programs
from gradientflow.experiments.laboratory.scene import read_scene, shipped_scenes

from .thorough import part

BOWL = gf.Quadratic([[1.0, 0.0], [0.0, 9.0]])
DESCENT = gf.optimizers.gradient_descent(BOWL, lr=0.2)
SCENE = 'title = "t"\nquestion = "q"\nmethods = ["gradient_descent:0.1"]\nx0 = [1, 1]\nmatrix = [[1, 0], [0, 2]]\n'


@pytest.fixture(scope="module")
def page():
    return gf.lab(BOWL, {"</script><script>alert(1)</script>": DESCENT}, x0=[3.0, 1.0], title="<b>bowl</b>").html()


def test_a_title_may_hold_what_the_page_is_filled_by():
    text = gf.lab(BOWL, DESCENT, x0=[3.0, 1.0], title="VERSION of /*SCRIPT*/").html()
    assert '"title":"VERSION of /*SCRIPT*/"' in text
    assert "/*STYLE*/" not in text


def test_the_page_is_one_file_that_asks_nothing_of_a_network(page):
    assert len(page.encode()) < 400_000
    assert set(re.findall(r"https?://[^\"'\s]+", page)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\bfetch\(|XMLHttpRequest|import\(|<link[^>]+stylesheet|<script[^>]+src", page)
    assert "default-src 'none'" in page
    assert not re.search(r"/\*(STYLE|SCENES|SCRIPT)\*/|VERSION", page)


def test_no_label_ends_the_script_that_it_stands_in(page):
    assert page.count("<script>") == page.count("</script>") == 1
    assert "<b>bowl" not in page


def test_it_is_saved_and_shown(tmp_path, page):
    made = gf.lab(BOWL, DESCENT, x0=[3.0, 1.0])
    made.save(tmp_path / "lab.html")
    assert (tmp_path / "lab.html").read_text() == made.html()
    frame = made._repr_html_()
    assert frame.startswith("<iframe")
    assert 'sandbox="allow-scripts allow-downloads"' in frame
    assert "<script>" not in frame
    assert "½" in repr(gf.lab(gf.landscapes.bowl(), DESCENT))


def test_what_nobody_chose_is_chosen():
    E = gf.energy(lambda p: (p[0] - 1) ** 2 + (p[1] - 1) ** 2)
    assert gf.lab(E).scenes[0].x0 == (-1.0, 0.5)
    (pair,) = gf.lab(E, {"rk4": (gf.RungeKutta("rk4"), 0.1)}).scenes[0].methods.values()
    assert (pair.step, pair.flow.name) == (0.1, "GradientFlow")
    assert gf.lab(E, x0=[1.0, 1.0]).scenes[0].x0 == (1.0, 1.0)


@pytest.mark.parametrize(
    ("text", "at", "value"),
    [("x^2 + 3*y", (2.0, 1.0), 7.0), ("y^2", (2.0, 3.0), 9.0), ("u*v^2", (2.0, 3.0), 18.0), ("bowl", (1.0, 1.0), 5.0)],
)
def test_an_energy_may_be_a_formula_or_a_name(text, at, value):
    assert float(gf.lab(text, DESCENT, x0=at).scenes[0].energy(at)) == pytest.approx(value, rel=1e-12)


def test_what_is_known_is_what_stability_says():
    known = known_of(DESCENT, jnp.zeros(2))
    assert (known.limit, known.grade, known.words) == (pytest.approx(2 / 9, rel=1e-12), "proved", "stable up to")
    assert known_of(gf.optimizers.adam(BOWL, lr=0.1), jnp.zeros(2)).limit is None
    assert "no minimum" in known_of(DESCENT, None).words
    searched = gf.Method(gf.GradientFlow(BOWL), gf.ForwardEuler(), gf.ArmijoSearch())
    assert known_of(searched, jnp.zeros(2)).words == "its step changes: a rule chooses it on the way"
    sign = known_of(gf.optimizers.sign_descent(BOWL, lr=0.1), jnp.zeros(2))
    assert (sign.limit, sign.words[:22]) == (None, "no step of one length,")


@pytest.mark.parametrize(
    ("method", "linear"),
    [
        (DESCENT, True),
        (gf.optimizers.momentum(BOWL, lr=0.1), True),
        (gf.Method(gf.NesterovFlow(BOWL), gf.NesterovScheme(), 0.1), False),
        (gf.optimizers.adam(BOWL, lr=0.1), False),
    ],
)
def test_a_mode_has_a_multiplier_where_it_is_the_same_at_every_time(method, linear):
    assert ("modes" in method_programs(method, jnp.zeros(2), knobs_of(method, None)).code) is linear


@pytest.mark.parametrize(
    ("method", "count"),
    [
        (DESCENT, 1),
        (gf.Method(gf.GradientFlow(BOWL), gf.RungeKutta("rk4"), 0.1), 4),
        (gf.optimizers.momentum(BOWL, lr=0.1), 1),
        (gf.optimizers.adam(BOWL, lr=0.1), 1),
        (gf.Method(gf.Langevin(BOWL, 0.1), gf.EulerMaruyama(), 0.1), 1),
        (gf.optimizers.proximal_point(BOWL, lr=0.1), None),
    ],
)
def test_gradients_are_counted_in_the_program(method, count):
    assert gradients_of(method, jnp.zeros(2)) == count


def test_every_number_of_a_method_can_be_turned():
    langevin = gf.Method(gf.Langevin(BOWL, 0.5), gf.EulerMaruyama(), 0.1)
    knobs = {knob.name: knob for knob in knobs_of(langevin, 0.2)}
    assert list(knobs) == ["step", "temperature"]
    assert knobs["step"].low < 0.1 < 0.2 < knobs["step"].high
    turned = with_values(langevin, {"step": 0.3, "temperature": 2.0})
    assert (turned.step, float(turned.flow.temperature)) == (0.3, 2.0)
    names = [knob.name for knob in knobs_of(gf.optimizers.adam(BOWL, lr=0.1), None)]
    assert names == ["lr", "b1", "b2"]
    assert knobs_of(DESCENT, None, {"lr": (0.1, 0.4)})[0].high == 0.4


def test_the_scenes_that_come_with_it_ask_one_question_each():
    scenes = shipped_scenes()
    assert len(scenes) >= 5
    assert all(scene.question.endswith("?") for scene in scenes)
    for scene in part(scenes, 3):
        for label, method in scene.methods.items():
            path = method.iterate(scene.x0, steps=1, **({"key": jax.random.key(0)} if method.flow.noise else {}))
            assert bool(jnp.isfinite(path.x).all()), label


def test_polyaks_cycle_is_one():
    scene = next(scene for scene in shipped_scenes() if "Polyak" in scene.title)
    run = scene.methods["momentum"].iterate(scene.x0, steps=300)
    assert run.status == "cycling"
    assert float(jnp.abs(run.x[-1] - run.x[-4]).max()) < 1e-9


def test_at_the_edge_of_stability_a_run_ends_where_its_step_is_just_short_enough():
    """The flow keeps y² − x² and ends where the curvature y² is 14.56, whatever it meets; a step of h allows 2/h."""
    scene = next(scene for scene in shipped_scenes() if "Edge" in scene.title)
    invariant = scene.x0[1] ** 2 - scene.x0[0] ** 2
    assert scene.minima() == [(0.0, pytest.approx(invariant**0.5, rel=1e-12))]
    sharpness = jax.jit(jax.vmap(lambda x: jnp.linalg.eigvalsh(jax.hessian(scene.energy.value)(x))[-1]))

    def along(h):
        return sharpness(gf.optimizers.gradient_descent(scene.energy, lr=h).iterate(scene.x0, steps=300).x)

    assert float(along(0.1)[-1]) == pytest.approx(invariant, rel=0.04)
    for h in (0.15, 0.2, 0.3):
        found = along(h)
        assert float(found[0]) < 1.1
        assert 0.92 * 2 / h < float(found[-1]) < 2 / h < invariant
    assert float(along(0.15).max()) > 2 / 0.15


@pytest.mark.parametrize(("more", "at"), [("minima = [[0.1, 0]]", "[0.1, 0.0]"), ("minima = [[0, 0]]", "[0.0, 0.0]")])
def test_a_minimum_that_is_none_is_told(more, at):
    text = SCENE if "0.1" in more else SCENE.replace("[0, 2]]", "[0, -2]]")
    with pytest.raises(ValueError, match=re.escape(f"where the gradient is {at}, no minimum")):
        read_scene(text + more).minima()


def test_a_scene_that_comes_with_the_package_is_translated_once_a_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(kept.platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path))
    asked = []
    monkeypatch.setattr(kept, "written", lambda scene, progress: asked.append(scene.title) or f"{{{scene.title}}}")
    left = tmp_path / "laboratory" / "older" / "page.js"
    left.parent.mkdir(parents=True)
    left.write_text("old")
    one, other = shipped_scenes()[:2]
    answers = [kept.kept(scene, print) for scene in (one, other, one)]
    assert answers == [f"{{{one.title}}}", f"{{{other.title}}}", f"{{{one.title}}}"]
    assert asked == [one.title, other.title]
    assert not left.exists()
    monkeypatch.setattr(kept, "_sources", lambda: "of another version")
    kept.kept(one, print)
    assert asked[2:] == [one.title]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("title = ", "scene: not valid TOML"),
        (SCENE + "colour = 1", "scene: unknown entry 'colour'. Known: title, question"),
        ('title = "t"', "scene: the entry 'question' is missing"),
        (SCENE + 'show = ["pie"]', "scene: `show` may have slice, energy"),
        (SCENE + 'clock = "sun"', "scene: `clock` must be time, gradients, steps, got 'sun'"),
        (SCENE.replace("gradient_descent", "descend"), "unknown method 'descend'"),
    ],
)
def test_a_scene_that_is_none_is_told(text, named):
    with pytest.raises(ValueError, match=re.escape(named)):
        read_scene(text)


@pytest.mark.parametrize(
    ("call", "kind", "named"),
    [
        (lambda: gf.lab(None, DESCENT), ValueError, "lab: `methods` go with an energy"),
        (lambda: gf.lab("x^2 +"), ValueError, "expression: 'x\\^2 \\+' is not a formula"),
        (lambda: gf.lab("a*x^2"), ValueError, "variable 'a' is not among the variables x, y"),
        (lambda: gf.lab("mine.py:E"), ValueError, "names a file, which is not run from here"),
        (lambda: gf.lab(BOWL, DESCENT, x0=[1.0]), ValueError, "lab: `x0` must be two finite numbers"),
        (lambda: gf.lab(BOWL, DESCENT, x0=[1.0, jnp.nan]), ValueError, "lab: `x0` must be two finite numbers"),
        (lambda: gf.lab(lambda x: x, DESCENT), ValueError, "lab: `energy` must answer one number"),
        (lambda: gf.lab(gf.Quadratic([[1.0]]), DESCENT), ValueError, "lab: `energy` can't be asked at"),
        (lambda: gf.lab(BOWL, [gf.ForwardEuler()]), TypeError, "lab: `methods` must be methods such as"),
        (lambda: gf.lab(BOWL, []), ValueError, "lab: `methods` has none"),
        (lambda: gf.lab(BOWL, DESCENT, colour=1), TypeError, "colour"),
        (lambda: gf.lab(lambda x: jnp.linalg.svd(jnp.outer(x, x))[1][0], DESCENT).html(), TypeError, "uses .*svd"),
    ],
)
def test_bad_input_is_told_in_a_line(call, kind, named):
    with pytest.raises(kind, match=named):
        call()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--no-browser", "--quiet"], "quiet: without a browser nobody would know the address"),
        (["--export", "lab.pdf"], "export: 'lab.pdf' must end in .html"),
        (["--export", "nowhere/lab.html"], "export: there is no folder 'nowhere'"),
        (["--energy", "bowls", "--export", "lab.html"], "unknown landscape 'bowls'; did you mean 'bowl'?"),
        (["--method", "descent", "--export", "lab.html"], "unknown method 'descent'"),
        (["--scene", "far.toml", "--export", "lab.html"], "does not lie beside it; give --allow-code if you trust it"),
        (["--scene", "no.toml", "--export", "lab.html"], "scene: 'no.toml' can't be read"),
        (["--scene", "a.toml", "--energy", "bowl", "--export", "lab.html"], "scene: its file has its energy"),
        (["--energy", "quartic", "--export", "lab.html"], "lab: `x0` must be two finite numbers"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(arguments, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "far.toml").write_text(SCENE.replace("matrix = [[1, 0], [0, 2]]", 'energy = "elsewhere/mine.py:E"'))
    done = CliRunner().invoke(app, ["lab", *arguments])
    assert done.exit_code == 2
    assert named in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_users_own_file_is_one_command_away(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def E(p):\n    x, y = p\n    return x**2 + 5 * (y - x**2) ** 2\n")
    (tmp_path / "scene.toml").write_text(SCENE)
    options = ["--energy", "mine.py:E", "--method", "gradient_descent:0.01", "--export", "lab.html"]
    done = CliRunner().invoke(app, ["lab", *options])
    assert (done.exit_code, done.stdout) == (0, "page: lab.html\n")
    assert '"label":"gradient_descent"' in (tmp_path / "lab.html").read_text()
    done = CliRunner().invoke(app, ["lab", "--scene", "scene.toml", "--export", "lab.html", "--quiet"])
    assert (done.exit_code, done.stdout) == (0, "")
    assert json.dumps("q") in (tmp_path / "lab.html").read_text()


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("x₁² < 1", "<msup><msub><mi>x</mi><mn>1</mn></msub><mn>2</mn></msup>"),
        ("3*x^2", "<mn>3</mn>"),
        ("<script>", "<mo>&lt;</mo>"),
        ("then x' = x + hẋ", "<mtext>then</mtext>"),
    ],
)
def test_equations_are_set(text, inside):
    markup = mathml(text)
    assert inside in markup
    assert "<script" not in markup
