"""Nothing is graded higher than it is: cases in which a proof would be a lie, found by trying to break them."""

import dataclasses
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradientflow as gf

from .thorough import part, thorough

IDENTITY = gf.Quadratic(np.eye(2))
EULER = gf.ForwardEuler()


class Phased(gf.Flow):
    """ẋ = v, v̇ = −∇E − cv, with V = E + ½‖v‖²."""

    energy: gf.Energy
    damping: float = 1.0

    def init(self, x):
        return gf.Phase(x, 0 * x)

    def position(self, z):
        return z.x

    def drift(self, t, z):
        return gf.Phase(z.v, -self.gradient(z.x) - self.damping * z.v)

    def lyapunov(self, t, z):
        return self.energy.value(z.x) + gf.flows.inner(z.v, z.v) / 2


def grades(flow):
    return [str(claim.grade) for claim in gf.verify(flow).claims[-2:]]


# --- Curvatures ------------------------------------------------------------------------


@pytest.mark.parametrize("least", [-1e-20, -1e-300])
def test_a_tiny_negative_curvature_is_negative(least):
    E = gf.Quadratic(np.diag([1.0, least]))
    assert gf.verify(gf.GradientFlow(E)).claims[0].grade == "refuted"
    with pytest.raises(ValueError, match="not a minimizer"):
        gf.stability(gf.GradientFlow(E), EULER)


def test_a_tiny_positive_curvature_is_not_flat():
    undamped = gf.HeavyBall(gf.Quadratic(np.diag([1.0, 1e-20])), 1.0, 0.0)
    found = gf.stability(undamped, gf.MomentumEuler())
    assert found.limit == pytest.approx(2, rel=1e-12)
    assert found.grade == "proved"


def test_no_curvature_at_all_and_tiny_scales():
    assert gf.stability(gf.GradientFlow(gf.Quadratic(np.zeros((2, 2)))), EULER).limit == math.inf
    assert gf.stability(gf.HeavyBall(gf.Quadratic([[0.0]]), 1.0, 1.0), EULER).limit == pytest.approx(2)
    tiny = gf.stability(gf.GradientFlow(gf.Quadratic(1e-200 * np.diag([1.0, 2.0]))), EULER)
    assert tiny.limit == pytest.approx(1e200, rel=1e-12)
    assert gf.stability(gf.GradientFlow(gf.Quadratic(1e200 * np.eye(2))), EULER).limit == pytest.approx(
        2e-200, rel=1e-12
    )


def test_what_floating_point_cannot_tell_from_zero_is_unknown():
    values = np.ones(40)
    values[-1] = -1e-14
    claim = gf.verify(gf.GradientFlow(gf.Quadratic(np.diag(values)))).claims[0]
    assert claim.grade == "unknown"
    gram = gf.LeastSquares(np.random.default_rng(0).normal(size=(33, 36)), np.zeros(33))
    assert gf.verify(gf.GradientFlow(gram)).claims[0].grade == "certified"


def test_brackets_of_single_precision_data_hold():
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(200, 40)).astype(np.float32) * 20
    greatest = gf.stability(
        gf.GradientFlow(gf.LeastSquares(matrix, np.ones(200, np.float32))), EULER
    ).curvatures.greatest
    exact = np.linalg.svd(matrix.astype(np.longdouble).astype(float), compute_uv=False)[0] ** 2
    assert float(greatest[0]) <= exact <= float(greatest[1])


# --- Limits ------------------------------------------------------------------------


class TwoModes(Phased):
    """Two numbers a mode that don't touch: at curvature 0 the step is the identity."""

    def drift(self, t, z):
        return gf.Phase(-self.gradient(z.x), -self.gradient(z.v))


def test_repeated_eigenvalues_of_a_diagonalizable_step_are_no_instability():
    E = gf.LeastSquares([[1.0, 0.0]], [0.0])
    assert gf.stability(TwoModes(E), EULER).limit == pytest.approx(2, rel=1e-12)


class Resonant(gf.Discretizer):
    """w² − 2cw + 1, c = 1 − s(2 − s)²/8, s = hλ: on the unit circle to s = 4, with a double root −… at s = 2."""

    def init(self, flow, t, z, h):
        return 0 * z

    def step(self, flow, t, z, h, *, memory, **_):
        a = -h * flow.drift(t, z)
        b = -h * flow.drift(t, a)
        c = -h * flow.drift(t, b)
        return 2 * z - (4 * a - 4 * b + c) / 4 - memory, z


def test_isolated_resonances_are_told():
    found = gf.stability(gf.GradientFlow(gf.Quadratic([[1.0]])), Resonant())
    assert "at the isolated steps 2 errors may grow slowly" in found.step_limit.cause


class AsksBounds(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + h / flow.energy.curvature.L * flow.drift(t, z)


def test_a_mode_does_not_lend_its_own_bounds():
    with pytest.raises(gf.NotExactError, match="curvature bounds"):
        gf.stability_function(AsksBounds())
    assert gf.stability(gf.GradientFlow(gf.Quadratic(np.diag([1.0, 100.0]))), AsksBounds()).limit == pytest.approx(
        2, rel=1e-6
    )


class Late(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + h * (1 + t) * flow.drift(t, z)


def test_no_theorem_protects_a_scheme_that_depends_on_time():
    assert gf.stability(gf.GradientFlow(IDENTITY), Late()).global_limit is None


class Fractional(gf.Discretizer):
    alpha: float = 0.25

    def step(self, flow, t, z, h, **_):
        return z + h * self.alpha**0.5 * flow.drift(t, z)


def test_a_formula_is_left_out_where_symbols_have_no_root():
    found = gf.stability(gf.GradientFlow(IDENTITY), Fractional())
    assert (found.limit, found.formula, found.grade) == (pytest.approx(4), None, "proved")


@thorough
def test_flat_modes_of_large_systems_do_not_make_the_limit_zero():
    E = gf.LeastSquares(np.random.default_rng(0).normal(size=(33, 36)), np.zeros(33))
    assert 0 < gf.stability(gf.HeavyBall(E, 1.0, 200.0), EULER).limit <= 0.01 + 1e-12


# --- Users' flows ------------------------------------------------------------------------


class Drifting(Phased):
    def drift(self, t, z):
        return gf.Phase(z.v, -self.gradient(z.x) - (1 - t) * z.v)


class Descending(gf.GradientFlow):
    """A subclass with a drift of its own."""

    def drift(self, t, z):
        return -2 * self.gradient(z)


class Swirling(Phased):
    """Depends on where the minimizer is."""

    def drift(self, t, z):
        return gf.Phase(z.v - self.gradient(z.x), -z.x - z.v)

    def lyapunov(self, t, z):
        return gf.flows.inner(z.x, z.x) / 2 + gf.flows.inner(z.v, z.v) / 2


class Shaken(Phased):
    def brownian(self, z):
        return z.v

    def diffusion(self, t, z):
        return lambda increment: gf.Phase(0 * increment, increment)


class TwoRates(Phased):
    rates: tuple[float, float] = (1.0, 3.0)

    def drift(self, t, z):
        return gf.Phase(z.v, -self.gradient(z.x) - self.rates[0] * z.v + self.rates[1] * z.v)


class Named(Phased):
    """Parameters with names that readings use themselves."""

    h: float = 0.5
    g: float = 0.25
    e: float = 2.0

    def drift(self, t, z):
        return gf.Phase(z.v, -self.gradient(z.x) - self.h * self.g * self.e * z.v)


def test_the_flow_itself_is_proved():
    assert grades(Phased(IDENTITY)) == ["proved", "proved"]
    assert grades(Phased(gf.LeastSquares([[4, 1], [1, 3]], [1, 2]))) == ["proved", "proved"]


def test_a_damping_that_drives_is_refuted():
    assert grades(Phased(IDENTITY, damping=-0.25)) == ["proved", "refuted"]


def test_time_dependence_is_unknown():
    assert grades(Drifting(IDENTITY)) == ["unknown", "unknown"]


def test_a_subclass_is_not_its_parent():
    found = gf.verify(Descending(IDENTITY))
    assert not any("gradient flow" in claim.name for claim in found.claims)
    assert r"- 2 \lambda" in next(c.statement for c in found.claims if "closed form" in c.name)


def test_a_flow_that_knows_the_origin_is_proved_only_there():
    assert grades(Swirling(IDENTITY)) == ["proved", "proved"]
    assert grades(Swirling(gf.LeastSquares([[4, 1], [1, 3]], [1, 2]))) == ["unknown", "unknown"]


class Steep(Phased):
    """V with ‖∇E‖² in it, whose derivative needs the Hessian."""

    def lyapunov(self, t, z):
        g = self.gradient(z.x)
        return self.energy.value(z.x) + gf.flows.inner(z.v, z.v) / 2 + 10 * gf.flows.inner(g, g)


def test_a_derivative_through_the_hessian_is_not_zero():
    """V̇ holds ⟨∇E, Hv⟩, which is positive somewhere on a quadratic."""
    assert gf.verify(Steep(IDENTITY)).claims[-1].grade == "refuted"


class Scaled(gf.Discretizer):
    """Divides by the Hessian along a constant direction, which no mode has."""

    def step(self, flow, t, z, h, **_):
        return z + h * flow.drift(t, z) / flow.energy.hvp(z, 0 * z + 1)


def test_a_mode_has_no_constant_direction():
    with pytest.raises(gf.NotExactError, match="picks a direction"):
        gf.stability_function(Scaled())


def test_noise_is_not_left_out():
    assert gf.verify(Shaken(IDENTITY)).claims[-1].grade == "unknown"


def test_parameters_of_one_name_are_told_apart():
    assert gf.verify(TwoRates(IDENTITY)).claims[-1].grade == "refuted"
    matrix = gf.stability_function(EULER, TwoRates(IDENTITY))
    assert float(matrix[1, 1].subs("h", 0.1)) == pytest.approx(1 + 0.1 * 2)
    assert grades(Named(IDENTITY)) == ["proved", "proved"]
    assert float(gf.stability_function(EULER, Named).subs({"h": 0.1, "h_1": 0.5, "g_1": 0.25, "e_1": 2})[1, 1]) == 0.975


# --- Runs ------------------------------------------------------------------------


def test_a_run_from_zero_is_measured():
    E = gf.LeastSquares([[4, 1], [1, 3]], [1, 2])
    for method in part((gf.optimizers.momentum(E, 0.01, 0.9), gf.optimizers.gradient_descent(E, 0.05))):
        assert gf.verify(method, method.iterate([0.0, 0.0], steps=200)).claims[-1].grade == "measured"
    flow = gf.GradientFlow(E)
    assert gf.verify(flow, gf.integrate(flow, [0.0, 0.0], 1.0)).claims[-1].grade == "measured"


def test_a_run_with_holes_is_refuted():
    import dataclasses

    method = gf.optimizers.gradient_descent(gf.LeastSquares([[4, 1], [1, 3]], [1, 2]), 0.05)
    run = method.iterate([4.0, -1.0], steps=10)
    assert gf.verify(method, dataclasses.replace(run, x=run.x.at[5:].set(jnp.nan))).claims[-1].grade == "refuted"


def test_without_a_minimum_nothing_is_compared():
    method = gf.optimizers.gradient_descent(gf.Quadratic(np.diag([1.0, 0.0]), [0.0, 1.0]), 0.1)
    assert gf.verify(method, method.iterate([1.0, 1.0], steps=5)).claims[-1].grade == "unknown"


def test_the_edge_is_followed_into_divergence():
    method = gf.optimizers.gradient_descent(gf.energy(lambda x: jnp.sum(x**4) / 4), lr=1.0)
    found = gf.edge_of_stability(method, method.iterate([5.0], steps=20))
    assert (found.ratio > 1).all()
    assert jax.tree.all(jax.tree.map(np.all, found.limit >= 0))


class Clipped(gf.Discretizer):
    """Clips where it runs, far out, and not where it is read."""

    def step(self, flow, t, z, h, **_):
        slope = flow.drift(t, z)
        if isinstance(slope, jax.Array):
            slope = slope * jnp.minimum(1.0, 10.0 / jnp.linalg.norm(slope))
        return z + h * slope


class LongerWhereCompiled(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + (4 if isinstance(z, jax.core.Tracer) else 1) * h * flow.drift(t, z)


class LongerOfTwo(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        h = 4 * h if getattr(z, "shape", ()) == (2,) else h
        return flow.parts["nonsmooth"].resolvent(t + h, z + h * flow.parts["smooth"].drift(t, z), h)


class LongerOnLeastSquares(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        h = 4 * h if isinstance(flow.parts["smooth"].energy, gf.LeastSquares) else h
        return flow.parts["nonsmooth"].resolvent(t + h, z + h * flow.parts["smooth"].drift(t, z), h)


ALONE = gf.GradientFlow(gf.Quadratic([[1.0, 0.0], [0.0, 0.5]]))
BOTH = gf.GradientFlow(gf.Composite(gf.LeastSquares(np.eye(2), np.zeros(2)), gf.penalties.L1(0.001)))


@pytest.mark.parametrize(
    ("flow", "scheme", "words"),
    [
        (ALONE, Clipped(), "times as large"),
        (ALONE, LongerWhereCompiled(), "compiled"),
        (BOTH, LongerOfTwo(), r"own (sum )?f \+ g"),
        (BOTH, LongerOnLeastSquares(), r"own (sum )?f \+ g"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_step_that_is_another_where_it_runs_is_not_bounded(flow, scheme, words):
    with pytest.raises(gf.analysis.NotExactError, match=words):
        gf.worst_case_bound(gf.Method(flow, scheme, 1), steps=2, mu=0, L=1)


def test_a_schedule_that_draws_is_no_schedule():
    drawn = gf.optimizers.gradient_descent(ALONE.energy, lr=lambda k: np.random.default_rng().uniform(0.5, 3) + 0.0 * k)
    with pytest.raises(gf.analysis.NotExactError, match="asked twice alike"):
        gf.worst_case_bound(drawn, steps=2, mu=0, L=1)


class LeavesOut(gf.Discretizer):
    """Descends f, and never asks g."""

    def step(self, flow, t, z, h, **_):
        return z + h * flow.parts["smooth"].drift(t, z)


class AsksAgain(gf.Discretizer):
    """Asks g for a gradient where the proximal map has led: at a kink that is another subgradient."""

    def step(self, flow, t, z, h, **_):
        forward = z + h * flow.parts["smooth"].drift(t, z)
        y = flow.parts["nonsmooth"].resolvent(t + h, forward, h)
        return y + h * flow.parts["nonsmooth"].drift(t, y) / 2 + (forward - y) / 2


class Elsewhere(gf.ForwardEuler):
    """Gradient descent, shown elsewhere where there are several unknowns."""

    def position(self, flow, z, h):
        return z if getattr(z, "size", 1) == 1 else 2 * z


class LooksAtTheSize(gf.Discretizer):
    """Proximal gradients, shown elsewhere where there are several unknowns."""

    def step(self, flow, t, z, h, **_):
        return gf.ForwardBackward().step(flow, t, z, h)

    def position(self, flow, z, h):
        return z if getattr(z, "size", 1) == 1 else 2 * z


BOTH = gf.GradientFlow(gf.Composite(gf.landscapes.bowl(), gf.penalties.L1(1.0)))


def test_of_a_sum_nothing_is_proved_that_its_g_can_break():
    method = gf.Method(BOTH, AsksAgain(), 1)
    assert gf.worst_case_bound(method, steps=2, mu=0, L=1).grade is gf.Grade.UNKNOWN
    assert gf.worst_case_rate(method, mu=1, L=2).grade is gf.Grade.UNKNOWN


@pytest.mark.parametrize("flow", [BOTH, ALONE], ids=["f + g", "f"])
def test_an_iterate_that_is_another_on_vectors_is_not_bounded(flow):
    scheme = LooksAtTheSize() if flow is BOTH else Elsewhere()
    with pytest.raises(gf.analysis.NotExactError, match="another step on vectors"):
        gf.worst_case_bound(gf.Method(flow, scheme, 1), steps=2, mu=0, L=1)


class Ahead(gf.ForwardEuler):
    """Gradient descent, shown a step ahead: x₀ is not what it was started from."""

    def position(self, flow, z, h):
        return flow.position(z + h * flow.drift(None, z))


@pytest.mark.parametrize("initial", ["gap", "distance", "gradient"])
def test_the_first_iterate_is_the_first_position_on_both_sides_of_a_bound(initial):
    found = gf.worst_case_bound(gf.Method(ALONE, Ahead(), 1), 1, Fraction(1, 4), 1, final=initial, initial=initial)
    assert found.check()
    # Between x₀ and x₁ there is one step, not two.
    plain = gf.worst_case_bound(gf.Method(ALONE, gf.ForwardEuler(), 1), 1, Fraction(1, 4), 1, initial, initial)
    assert found.exact >= Fraction(9, 16)
    assert found.value <= plain.value * (1 + 1e-6)
    quadratic = gf.GradientFlow(gf.Quadratic([[0.25]]))
    run = gf.iterate(quadratic, Ahead(), [1.0], step=1.0, steps=1)
    ratio = {"gap": run.energy, "distance": run.x[:, 0] ** 2, "gradient": run.x[:, 0] ** 2}[initial]
    assert float(ratio[1] / ratio[0]) <= found.value
    assert found.worst().ratio <= found.value * (1 + 1e-9)


def test_a_certificate_is_of_its_own_method():
    slow, fast = (gf.optimizers.gradient_descent(ALONE.energy, lr=h) for h in (1, 100))
    results = [
        gf.worst_case_bound(slow, 3, 0, 1), gf.worst_case_rate(slow, Fraction(1, 4), 1),
        gf.settle(lambda run: run.E[0] - run.E[1], slow, 0, 1), gf.settle(lambda run: run.E[1] - run.E[0], slow, 0, 1),
    ]  # fmt: skip
    for result in results:
        assert result.check()
        assert not dataclasses.replace(result, subject=fast).check()


def test_what_does_not_rest_where_both_gradients_cancel_has_no_bound_of_a_sum():
    for ask in (lambda method: gf.worst_case_bound(method, 2, 0, 1), lambda method: gf.worst_case_rate(method, 1, 2)):
        with pytest.raises(gf.analysis.NotExactError, match="does not minimize the sum"):
            ask(gf.Method(BOTH, LeavesOut(), 1))
