"""Discrete gradients: the identity that makes them, the energy that falls by it for every step, and what reads them."""

import functools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy

import gradientflow as gf
from gradientflow.analysis import NotExactError
from gradientflow.flows.discrete_gradients import RULES

from .thorough import part, thorough

MEANS, ALL = ("gonzalez", "average"), tuple(RULES)
EPS = np.finfo(float).eps
# Six decades of steps on three energies: a curved valley, four wells, a field of wells; none is convex.
STEPS = np.tile(np.logspace(-3, 3, 13), 3)
BLENDS = np.repeat(np.eye(3), 13, axis=0)
STARTS = np.repeat([[-1.2, 1.0], [0.0, 0.0], [1.3, -0.7]], 13, axis=0)
# From within rounding to far off.
ELSEWHERE = STARTS + np.random.default_rng(0).normal(size=STARTS.shape) * np.logspace(-9, 1, 39)[:, None]


class Blend(gf.flows.Energy):
    """Rosenbrock's valley, Himmelblau's wells and Rastrigin's, by weights: one program for all three."""

    weights: jax.Array

    def value(self, x):
        rastrigin = jnp.sum(x**2 - 10 * jnp.cos(2 * jnp.pi * x) + 10)
        return self.weights @ jnp.stack([gf.landscapes.rosenbrock()(x), gf.landscapes.himmelblau()(x), rastrigin])


@functools.cache
def program(rule):
    """(weights, x, h) ↦ the next x and its derivative in h; E and ∇̄E from x to there, to `ELSEWHERE` and to x.

    Whatever a batch of 39 is asked of a rule is asked of this one program.
    """

    def one(weights, x, h, elsewhere):
        E = Blend(weights)
        flow = gf.GradientFlow(E)
        y, by_h = jax.jvp(lambda h: gf.DiscreteGradient(rule).step(flow, 0.0, x, h), (h,), (jnp.ones_like(h),))
        ends = jnp.stack([y, elsewhere, x])
        return y, by_h, jax.vmap(E.value)(ends), jax.vmap(lambda end: RULES[rule](E, x, end))(ends), E.grad(x)

    compiled = jax.jit(jax.vmap(one))
    return lambda weights, x, h: map(np.asarray, compiled(weights, x, h, ELSEWHERE))


@pytest.mark.parametrize("rule", part(ALL))
def test_a_discrete_gradient_is_one_and_the_energy_falls_by_the_square_for_every_step(rule):
    y, by_h, energies, discrete, slopes = program(rule)(BLENDS, STARTS, STEPS)
    after, other, before = energies.T

    rises = ~(after < before)
    assert not rises.any(), (STARTS[rises], STEPS[rises], y[rises], before[rises], after[rises])
    moved = np.sum((y - STARTS) ** 2, axis=1) / STEPS
    np.testing.assert_allclose(before - after, moved, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(before - after, STEPS * np.sum(discrete[:, 0] ** 2, axis=1), rtol=1e-9, atol=1e-11)

    allowed = 64 * EPS * (np.abs(before) + np.abs(other) + np.abs(slopes).max(1))
    product = np.sum(discrete[:, 1] * (ELSEWHERE - STARTS), axis=1)
    assert (np.abs(product - (other - before)) <= allowed).all()
    np.testing.assert_allclose(discrete[:, 2], slopes, rtol=1e-13, atol=1e-13)

    # Short steps: of long ones there are several.
    short = STEPS <= 0.1
    right, left = (next(program(rule)(BLENDS, STARTS, STEPS * (1 + s))) for s in (1e-6, -1e-6))
    np.testing.assert_allclose(by_h[short], ((right - left) / (2e-6 * STEPS[:, None]))[short], rtol=1e-5, atol=1e-5)


def runge_kutta(x, h, steps):
    """Down Rosenbrock's valley, by the classical method."""

    def drift(x):
        return -np.array([-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)])

    for _ in range(steps):
        a = drift(x)
        b = drift(x + h / 2 * a)
        c = drift(x + h / 2 * b)
        x = x + h / 6 * (a + 2 * b + 2 * c + drift(x + h * c))
    return x


@pytest.mark.parametrize("rule", ALL)
def test_the_error_falls_with_the_claimed_order(rule):
    """On the valley, from off its floor: runs of 8, 16 and 32 steps to one time."""
    exact = runge_kutta(STARTS[0], 1e-6, 4000)
    x, valley = np.tile(STARTS[0], (39, 1)), np.tile(BLENDS[0], (39, 1))
    errors = dict.fromkeys((8, 16, 32))
    n = np.resize(list(errors), 39)
    for k in range(1, 33):
        x = next(program(rule)(valley, x, 0.004 / n))
        errors |= {runs: np.linalg.norm(x[i] - exact) for i, runs in enumerate(errors) if runs == k}
    assert np.log2(errors[16] / errors[32]) == pytest.approx(gf.DiscreteGradient(rule).order, abs=0.2)


@pytest.mark.parametrize("rule", MEANS)
def test_the_stability_function_is_the_midpoint_rules(rule):
    scheme, z = gf.DiscreteGradient(rule), sympy.Symbol("z")
    assert sympy.simplify(gf.stability_function(scheme) - (2 + z) / (2 - z)) == 0


@thorough
def test_the_stability_function_on_heavy_balls_is_the_midpoint_rules():
    on_balls = [gf.stability_function(s, gf.HeavyBallFlow) for s in (gf.DiscreteGradient(), gf.ImplicitMidpoint())]
    assert (on_balls[0] - on_balls[1]).applyfunc(sympy.simplify) == sympy.zeros(2)


def test_the_average_is_the_average_vector_field_method():
    """Its B-series: f''(f, f) has ∫s² ds; the modified equation's first term is f'f'f/12."""
    found = gf.order(gf.DiscreteGradient("average"), up_to=4)
    assert (found.order, str(found.grade)) == (2, "proved")
    assert {str(tree): pair for tree, pair in found.against.items()}["f'f'f"] == (Fraction(1, 4), Fraction(1, 6))
    weights = {str(tree): weight for tree, weight in found.coefficients.items()}
    assert (weights["f''(f,f)"], weights["f'''(f,f,f)"], weights["f''(f,f'f)"]) == (
        Fraction(1, 3), Fraction(1, 4), Fraction(1, 6),
    )  # fmt: skip
    modified = gf.modified_equation(gf.DiscreteGradient("average"), 3)
    assert {str(tree): c for tree, c in modified.coefficients.items() if c and tree.order > 1} == {
        "f'f'f": Fraction(1, 12)
    }


def test_what_has_no_series_says_so():
    with pytest.raises(NotExactError, match="through order 2 only, asked for 3"):
        gf.modified_equation(gf.DiscreteGradient("gonzalez"), 3)
    with pytest.raises(NotExactError, match="of no order"):
        gf.order(gf.DiscreteGradient("itoh-abe"))
    with pytest.raises(NotExactError, match="from coordinate to coordinate"):
        gf.stability_function(gf.DiscreteGradient("itoh-abe"))


def test_on_a_quadratic_they_are_the_midpoint_rule_and_successive_overrelaxation():
    E, x, h = gf.LeastSquares([[4.0, 1.0], [1.0, 3.0]], [1.0, 2.0]), jnp.array([4.0, -1.0]), 0.7
    H, b, relaxed = np.asarray(E.hessian), np.asarray(E.linear), np.asarray(x)
    flow, one = gf.GradientFlow(E), np.eye(2)
    midpoint = np.linalg.solve(one + h / 2 * H, (one - h / 2 * H) @ x + h * b)
    for rule in MEANS:
        np.testing.assert_allclose(gf.DiscreteGradient(rule).step(flow, 0.0, x, h), midpoint, rtol=1e-13)
    for i in range(2):
        omega = 2 * h * H[i, i] / (2 + h * H[i, i])
        relaxed = relaxed + one[i] * omega * (b[i] - H[i] @ relaxed) / H[i, i]
    np.testing.assert_allclose(gf.DiscreteGradient("itoh-abe").step(flow, 0.0, x, h), relaxed, rtol=1e-13)


BALLS = {
    "heavy ball": (lambda E: gf.HeavyBallFlow(E, mass=2.0, friction=0.3), lambda t: 0.3),
    "Nesterov": (gf.NesterovFlow, lambda t: 3 / t),
}


@pytest.mark.parametrize("name", ["heavy ball", pytest.param("Nesterov", marks=thorough)])
def test_inertia_loses_what_friction_takes(name):
    make, friction = BALLS[name]
    flow, h = make(gf.landscapes.himmelblau()), 0.5
    run = gf.iterate(flow, gf.DiscreteGradient(), [0.0, 0.0], step=h, steps=20)
    energy = np.asarray(jax.vmap(lambda z: flow.lyapunov(0.0, z))(run.state))
    mean, t = (run.state.v[1:] + run.state.v[:-1]) / 2, (run.t[1:] + run.t[:-1]) / 2
    np.testing.assert_allclose(np.diff(energy), -h * friction(t) * np.sum(mean**2, axis=1), atol=1e-10)


@thorough
def test_a_metric_changes_the_norm_by_which_the_energy_falls():
    G, E = np.array([[2.0, 0.5], [0.5, 1.0]]), gf.landscapes.rosenbrock()
    x = jnp.array([-1.2, 1.0])
    d = gf.DiscreteGradient().step(gf.PreconditionedFlow(E, G), 0.0, x, 10.0) - x
    assert float(E(x) - E(x + d)) == pytest.approx(float(d @ G @ d) / 10, rel=1e-10)


def test_it_is_proved_what_a_step_takes_and_the_double_is_refuted():
    for flow in (gf.GradientFlow, gf.HeavyBallFlow):
        claims = gf.verify(gf.Method(flow(gf.landscapes.rosenbrock()), gf.DiscreteGradient(), 0.1)).claims
        claim = next(claim for claim in claims if "takes of the energy" in claim.name)
        assert (str(claim.grade), str(claim.sibling.grade)) == ("proved", "refuted")


def test_itoh_abe_descends_over_kinks_and_stops_at_walls():
    def kinked(x):
        inside = jnp.where(x[0] > 0.25, 0.0, jnp.inf)
        return jnp.abs(x[0]) + 2 * jnp.abs(x[1] - 0.5) + x[1] ** 2 + inside

    run = gf.iterate(
        gf.GradientFlow(gf.energy(kinked)), gf.DiscreteGradient("itoh-abe"), [1.3, -2.0], step=0.5, steps=12
    )
    assert (np.diff(run.energy) <= 1e-15).all()
    np.testing.assert_allclose(run.x[-1], [0.25, 0.5], atol=0.02)
    assert (np.diff(run.energy) <= -np.sum(np.diff(run.x, axis=0) ** 2, axis=1) / 0.5 + 1e-12).all()


def test_refusals_name_the_remedy():
    with pytest.raises(ValueError, match="did you mean 'itoh-abe'"):
        gf.DiscreteGradient("itoabe")
    composite = gf.Composite(gf.landscapes.rosenbrock(), gf.penalties.L1(1.0))
    with pytest.raises(gf.UnansweredQuestionError, match=r"kinks of its energy; DiscreteGradient\('itoh-abe'\)"):
        gf.iterate(gf.GradientFlow(composite), gf.DiscreteGradient(), [1.0, 2.0], step=0.1, steps=1)
    with pytest.raises(gf.UnansweredQuestionError, match=r"friction linear in v.*schemes that fit: "):
        gf.iterate(gf.field(lambda x: -x), gf.DiscreteGradient(), [1.0, 2.0], step=0.1, steps=1)


def test_a_step_without_a_solution_is_a_status():
    """E = −y² has none from h = 1 on: nothing falls that slowly."""
    run = gf.iterate(
        gf.GradientFlow(gf.landscapes.saddle()), gf.DiscreteGradient("itoh-abe"), [0.1, 0.1], step=3.0, steps=4
    )
    assert run.status.outcome == "diverged"
    assert run.status.first_not_finite == 1
