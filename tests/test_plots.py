"""Pictures of fields, phase planes and landscapes: what is drawn is what is computed."""

import re

import jax
import jax.numpy as jnp
import matplotlib.figure
import numpy as np
import pytest

import gradientflow as gf
from gradientflow.analysis.plots.cuts import principal_plane
from gradientflow.analysis.plots.fields import rest_kind

from .thorough import of_any_type

MODE = gf.Quadratic([[4.0]])
BOWL = gf.Quadratic([[1.0, 0.0], [0.0, 9.0]])
BOX = ((-2.0, 2.0), (-2.0, 2.0))


@pytest.mark.parametrize(
    ("flow", "kind"),
    [
        # Roots of r² + γr + 4 = 0: they meet at γ = 4.
        (gf.HeavyBallFlow(MODE, mass=1.0, friction=3.9), "a stable spiral"),
        (gf.HeavyBallFlow(MODE, mass=1.0, friction=4.0), "a stable node, critically damped"),
        (gf.HeavyBallFlow(MODE, mass=1.0, friction=4.1), "a stable node"),
        (gf.HeavyBallFlow(gf.Quadratic([[-4.0]]), mass=1.0, friction=1.0), "a saddle"),
        (gf.GradientFlow(gf.Quadratic([[-1.0, 0.0], [0.0, -2.0]])), "an unstable node"),
        (gf.field(lambda x: x[::-1] * np.array([1.0, -1.0])), "a centre"),
        (gf.GradientFlow(gf.Quadratic([[1.0, 0.0], [0.0, 0.0]])), ""),
        # Whatever the unit of E.
        (gf.GradientFlow(gf.Quadratic([[1e-10, 0.0], [0.0, 2e-10]])), "a stable node"),
    ],
)
def test_what_kind_of_rest_it_is(flow, kind):
    at = np.zeros(1 if isinstance(flow, gf.HeavyBallFlow) else 2)
    assert rest_kind(flow, flow.init(at)) == kind


def test_a_phase_portrait_has_its_nullclines_its_paths_and_its_kind():
    figure = gf.plots.phase_portrait(gf.HeavyBallFlow(MODE, mass=1.0, friction=1.0), BOX, starts=[[1.0, 0.0]], t1=20.0)
    (ax,) = figure.axes
    assert ax.get_title() == "HeavyBallFlow: a stable spiral at the minimum"
    drawn = [path.vertices for collection in ax.collections for path in getattr(collection, "get_paths", list)()]
    # v = 0, where x stands still; and 4x + v = 0, where v does.
    assert any(len(v) > 2 and np.abs(v[:, 1]).max() < 1e-9 < np.ptp(v[:, 0]) for v in drawn)
    assert any(len(v) > 2 and np.abs(4 * v[:, 0] + v[:, 1]).max() < 1e-9 < np.ptp(v[:, 1]) for v in drawn)
    path = ax.lines[0].get_xydata()
    np.testing.assert_allclose(path[0], [1, 0])
    np.testing.assert_allclose(path[-1], 0, atol=1e-3)


def test_a_field_and_a_surface_have_the_paths_that_they_are_given():
    run = gf.optimizers.gradient_descent(BOWL, lr=0.1).iterate([1.5, 1.0], 10)
    ax = matplotlib.figure.Figure().subplots()
    assert gf.plots.field(BOWL, BOX, paths=[run], ax=ax) is ax
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), run.x)
    alone = gf.plots.field(BOWL, BOX, paths=run).axes[0]
    np.testing.assert_array_equal(alone.lines[0].get_xydata(), run.x)
    drawn = gf.plots.surface(BOWL, BOX, paths=run).axes[0].lines[0].get_data_3d()
    np.testing.assert_allclose(np.array(drawn).T, np.column_stack([run.x, run.energy]))


def test_an_energy_and_a_flow_draw_themselves():
    himmelblau = gf.landscapes.himmelblau()
    run = gf.optimizers.gradient_descent(himmelblau, lr=0.01).iterate([0.0, 0.0], 9)
    ax = himmelblau.plot(paths=[run]).axes[0]
    assert ax.get_xlim() == (-5, 5)
    stars = sorted(tuple(line.get_xydata()[0]) for line in ax.lines if line.get_marker() == "*")
    np.testing.assert_allclose(stars, sorted(himmelblau.minima))
    assert any(np.array_equal(line.get_xydata(), run.x) for line in ax.lines)
    graph = gf.energy(lambda x: x**4).plot((-2, 1)).axes[0].lines[0].get_xydata()
    np.testing.assert_allclose(graph[:, 1], graph[:, 0] ** 4, atol=1e-12)
    assert "minimum" not in gf.GradientFlow(BOWL).plot(BOX).axes[0].get_title()
    portrait = gf.HeavyBallFlow(MODE, mass=1.0, friction=1.0).plot(BOX, starts=[[1.0, 0.0]])
    assert portrait.axes[0].get_title().endswith("a stable spiral at the minimum")


def test_a_slice_of_a_quadratic_is_its_model():
    ax = gf.plots.slice(BOWL, [1.0, 1.0]).axes[0]
    (s, values), (_, model) = (line.get_data() for line in ax.lines[:2])
    np.testing.assert_allclose(values, model, atol=1e-12)
    d = -np.array([1.0, 9.0]) / 82**0.5
    np.testing.assert_allclose(values, [float(BOWL.value(np.ones(2) + t * d)) for t in s], atol=1e-12)


def test_the_plane_of_a_run_is_told_with_its_share():
    """A descent on three modes: the plane's share is that of the squares that a singular value decomposition has."""
    E = gf.Quadratic(np.diag([1.0, 3.0, 9.0]))
    run = gf.optimizers.gradient_descent(E, lr=0.1).iterate([3.0, 2.0, 1.0], 60)
    end, axes, share = principal_plane("plane", run)
    away = np.asarray(run.x - run.x[-1])
    kept = (away @ np.asarray(axes).T) @ np.asarray(axes)
    assert share == pytest.approx((kept**2).sum() / (away**2).sum(), rel=1e-12)
    assert 0.9 < share < 1
    np.testing.assert_array_equal(end, run.x[-1])
    assert gf.plots.plane(E, run).axes[0].get_title() == f"The plane of the run: {share:.0%} of its way"
    level = principal_plane("plane", gf.optimizers.gradient_descent(BOWL, lr=0.1).iterate([3.0, 2.0], 9))[2]
    assert level == pytest.approx(1, rel=1e-12)


def _drawn(ax, label):
    (line,) = [line for line in ax.lines if str(line.get_label()).startswith(label)]
    return np.asarray(line.get_ydata(), dtype=float)


def test_a_rate_is_drawn_over_the_steps_and_above_all_quadratics():
    """Of gradient descent with h = 1/8 on F(1, 10): the factor on λ is |1 − λ/8|, at worst 7/8 at μ."""
    found = gf.worst_case_rate(gf.optimizers.gradient_descent(MODE, lr=0.125), mu=1, L=10)
    decay, factors = found.plot().axes
    np.testing.assert_allclose(_drawn(decay, "proved for all"), found.rate ** np.arange(len(_drawn(decay, "proved"))))
    lam, on_quadratics = factors.lines[0].get_data()
    np.testing.assert_allclose(on_quadratics, np.abs(1 - lam / 8), atol=1e-12)
    assert on_quadratics.max() <= found.rate == _drawn(factors, "proved for all")[0] == 0.875
    flow = gf.worst_case_rate(gf.GradientFlow(MODE), mu=1, L=10)
    ax = flow.plot().axes[0]
    t, bound = ax.lines[1].get_data()
    np.testing.assert_allclose(bound, np.exp(-flow.rate * np.asarray(t)))


def test_a_rate_of_a_sum_is_above_its_worst_quadratics():
    E = gf.Composite(BOWL, gf.penalties.L1(0.1))
    found = gf.worst_case_rate(gf.optimizers.ista(E, lr=0.125), mu=1, L=10)
    lam, factors = found.plot().axes[1].lines[0].get_data()
    np.testing.assert_allclose(factors, np.abs(1 - lam / 8), atol=1e-4)
    assert max(factors) <= found.rate


@pytest.mark.parametrize(("at", "steps"), [("last", 5), ("best", 3), ("average", 3)])
def test_a_bound_is_drawn_above_the_worst_run_and_the_worst_quadratic(at, steps):
    bound = gf.worst_case_bound(gf.optimizers.gradient_descent(MODE, lr=1), steps=steps, mu=0, L=1, at=at)
    ax = bound.plot().axes[0]
    worst, quadratic = _drawn(ax, "the worst run"), _drawn(ax, "the worst quadratic")
    assert worst[-1] == pytest.approx(bound.value, rel=1e-5)
    assert 0 < worst[0] <= 0.5  # L/2
    assert _drawn(ax, "no more after").tolist() == [bound.value]
    assert quadratic[-1] <= bound.value
    if at == "last":
        # (1 − λ)^{2N} λ/2 is greatest at λ = 1/(2N + 1), but for the curvatures that are tried.
        best = (2 * steps / (2 * steps + 1)) ** (2 * steps) / (2 * (2 * steps + 1))
        assert quadratic[-1] == pytest.approx(best, rel=1e-3)


def test_a_bound_without_a_worst_run_is_drawn_without_it():
    descent = gf.optimizers.gradient_descent(MODE, lr=1)
    bound = gf.worst_case_bound(descent, steps=2, mu=-1, L=1, final="gradient", initial="gap", at="best")
    labels = [str(line.get_label()) for line in bound.plot().axes[0].lines]
    assert not any(label.startswith("the worst run") for label in labels)
    quadratic = _drawn(bound.plot().axes[0], "the worst quadratic")
    assert (np.diff(quadratic) <= 0).all()


def test_noise_is_drawn_over_the_curvature():
    """Of gradient descent the variance is h²/(1 − (1 − hλ)²) = h/(λ(2 − hλ))."""
    found = gf.analysis.worst_case_noise(gf.optimizers.gradient_descent(MODE, lr=0.125), mu=1, L=10)
    ax = found.plot().axes[0]
    lam, gains = ax.lines[0].get_data()
    np.testing.assert_allclose(gains, 0.125 / (lam * (2 - 0.125 * lam)), rtol=1e-12)
    assert _drawn(ax, "proved for all")[0] == found.gain >= max(gains) * (1 - 1e-12)
    lost = gf.analysis.worst_case_noise(gf.optimizers.gradient_descent(MODE, lr=0.25), mu=1, L=10)
    on = lost.plot().axes[0].lines[0].get_data()
    np.testing.assert_array_equal(np.isnan(on[1]), on[0] >= 8)


def test_what_is_verified_is_drawn_claim_by_claim():
    path = gf.integrate(gf.GradientFlow(BOWL), [1.0, 1.0], t1=1.0)
    found = gf.verify(gf.GradientFlow(BOWL), path)
    strip, against = found.plot().axes
    assert [text.get_text().split(";")[0] for text in strip.texts] == [claim.verdict for claim in found]
    assert [label.get_text().replace("\n", " ") for label in strip.get_yticklabels()] == [claim.name for claim in found]
    evidence = next(claim.evidence for claim in found if claim.evidence is not None)
    np.testing.assert_array_equal(_drawn(against, "the path's numbers"), evidence.difference[evidence.difference > 0])
    assert len(gf.verify(gf.GradientFlow(BOWL)).plot().axes) == 1


def test_a_design_is_drawn_over_each_parameter():
    found = gf.analysis.design(gf.optimizers.nesterov, mu=1, L=9, tries=40, lr=(0, 0.4), beta=(0, 0.9))
    axes = found.plot().axes
    assert [ax.get_xlabel() for ax in axes] == ["lr", "beta"]
    for ax, name in zip(axes, ("lr", "beta"), strict=True):
        there = found.tried[found.tried["rho"].notna()]
        np.testing.assert_array_equal(ax.lines[0].get_xydata(), there[[name, "rho"]].to_numpy())
        (star,) = [line for line in ax.lines if line.get_marker() == "*"]
        assert star.get_xydata().tolist() == [[float(found.parameters[name]), found.rate.rate]]


def test_chains_are_drawn_with_the_flows_density():
    flow = gf.Langevin(BOWL, temperature=0.5)
    chains = gf.sample(flow, gf.ExactSolution(), [0.0, 0.0], step=0.5, draws=30, chains=20, key=jax.random.key(0))
    axes = chains.plot(flow=flow).axes
    assert len(axes) == 4
    np.testing.assert_array_equal(axes[2].lines[3].get_xydata(), np.column_stack([chains.t, chains.x[3, :, 1]]))
    for ax, curvature in ((axes[1], 1.0), (axes[3], 9.0)):
        x, density = ax.lines[0].get_data()
        np.testing.assert_allclose(density, np.sqrt(curvature / np.pi) * np.exp(-curvature * x**2), rtol=1e-4)
        bars = sum(patch.get_height() * patch.get_width() for patch in ax.patches)
        assert bars == pytest.approx(1)
    assert not any(ax.lines for ax in chains.plot().axes[1::2])
    ax = matplotlib.figure.Figure().subplots()
    assert chains.plot(ax=ax, title="mine") is ax
    assert ax.get_title() == "mine"


def test_chains_in_two_wells_are_drawn_beside_the_density_of_both():
    flow = gf.Langevin(gf.energy(lambda x: (x[0] ** 2 - 1) ** 2), temperature=0.3)
    chains = gf.sample(flow, gf.EulerMaruyama(), [1.0], step=0.02, draws=20, chains=8, key=jax.random.key(0))
    x, density = chains.plot(flow=flow).axes[1].lines[0].get_data()
    assert np.trapezoid(density, x) == pytest.approx(1, abs=2e-3)
    assert density[np.argmin(np.abs(x + 1))] == pytest.approx(density[np.argmin(np.abs(x - 1))], rel=1e-2)


@of_any_type
def test_chains_that_are_all_lost_and_what_is_no_flow_are_refused():
    flow = gf.Langevin(BOWL, temperature=0.5)
    chains = gf.sample(flow, gf.EulerMaruyama(), [1.0, 1.0], step=9.0, draws=400, chains=2, key=jax.random.key(0))
    with pytest.raises(ValueError, match="plot: no chain stayed finite"):
        chains.plot()
    with pytest.raises(TypeError, match="plot: `flow` must be the flow that was sampled, got 3"):
        chains.plot(flow=3)


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: gf.plots.field(BOWL, (0, 1)), "field: `box` must be two pairs of bounds"),
        (
            lambda: gf.plots.field(gf.Quadratic(np.eye(3)), BOX),
            "field: the states of GradientFlow must have two",
        ),
        (lambda: BOWL.plot(), "plot: `box` must say where to draw, ((-2, 2), (-1, 1)) say; only landscapes know it"),
        (
            lambda: BOWL.plot((2, 1)),
            "plot: `box` must be two pairs of bounds, ((-2, 2), (-1, 1)) say, or one, got (2, 1)",
        ),
        (lambda: gf.Quadratic(np.eye(3)).plot(BOX), "takes none such; gf.plots.plane(E, x) cuts one of more unknowns"),
        (lambda: gf.GradientFlow(BOWL).plot(), "plot: `box` must say where to draw"),
        (lambda: gf.plots.phase_portrait(BOWL, BOX, starts=[1.0]), "phase_portrait: `starts` must be states"),
        (lambda: gf.plots.slice(BOWL, [1.0, 1.0], [0.0, 0.0]), "slice: a direction must have a length, got one of 0"),
        (lambda: gf.plots.slice(BOWL, [1.0, 1.0], [1.0]), "slice: a direction must be shaped like x"),
        (lambda: gf.plots.plane(BOWL, [1.0, 1.0], [[1.0, 1.0], [2.0, 2.0]]), "plane: `directions` lie along one line"),
    ],
)
def test_what_can_not_be_drawn_is_one_line(draw, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        draw()


def test_a_flow_is_drawn_between_the_steps_of_its_solver_too():
    """Mirror descent of a linear energy is its flow: their energies are one curve, however few steps a solver takes."""
    E = gf.energy(lambda p: p @ jnp.array([1.0, 2.0, 3.0]))
    flow, start = gf.MirrorFlow(E, gf.potentials.Entropy()), jnp.ones(3) / 3
    descent = gf.optimizers.mirror_descent(E, lr=0.5, potential=gf.potentials.Entropy())
    found = gf.compare(flow, {"descent": descent}, start, 10.0, orders=False)
    assert len(found.path) < 10
    energies = found.plot().axes[0].lines
    (times, drawn), (at, iterates) = (line.get_data() for line in energies)
    np.testing.assert_allclose(np.interp(at, times, drawn), iterates, atol=1e-3)
    own = gf.integrate(flow, start, 10.0)
    times, drawn = own.plot().axes[0].lines[0].get_data()
    np.testing.assert_allclose(np.interp(at, times, drawn), iterates, atol=1e-3)


def test_a_run_of_few_unknowns_is_drawn_over_time():
    """A damped oscillator's x(t), a pytree's numbers by name; of more than six, and of several in a batch, none."""
    ball = gf.HeavyBallFlow(MODE, friction=0.0)
    path = gf.integrate(ball, [1.0], 6.0)
    t, x = path.plot().axes[2].lines[0].get_data()
    np.testing.assert_allclose(x, np.cos(2 * np.asarray(t)), atol=1e-3)
    flow = gf.GradientFlow(lambda p: jnp.sum(p["w"] ** 2) + p["b"] ** 2)
    run = gf.iterate(flow, gf.ForwardEuler(), {"w": np.ones(2), "b": 1.0}, step=0.25, steps=2)
    lines = run.plot().axes[2].lines
    assert [line.get_label() for line in lines] == ["x.b", "x.w[0]", "x.w[1]"]
    np.testing.assert_allclose(lines[1].get_ydata(), [1.0, 0.5, 0.25])
    wide = gf.iterate(gf.GradientFlow(lambda x: jnp.sum(x**2)), gf.ForwardEuler(), np.ones(7), step=0.25, steps=2)
    assert len(wide.plot().axes) == 2


def test_a_gradient_that_is_zero_after_a_step_is_seen():
    E = gf.Composite(gf.LeastSquares(np.eye(2), [3.0, 0.5]), gf.penalties.L1(1.0))
    run = gf.optimizers.ista(E, lr=1.0).iterate([0.0, 0.0], steps=3)
    assert run.plot().axes[1].lines[0].get_marker() == "."
