"""Solvers made for gradient flows: their order is proved on fractions and seen, and diffrax takes them like others."""

import math
from fractions import Fraction

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import gradientflow as gf
from gradientflow.flows.solvers.rosenbrock_wanner import stiffly_accurate
from gradientflow.flows.solving.choice import for_stiff

from .thorough import THOROUGH, part

METHOD = stiffly_accurate()
STAGES = len(METHOD.weights)


def _full(rows):
    return [[*row, *[Fraction(0)] * (STAGES - len(row))] for row in rows]


ALPHA = _full(METHOD.alpha)
BETA = [
    [a + (METHOD.gammas[i][j] if j < i else METHOD.gamma * (i == j)) for j, a in enumerate(row)]
    for i, row in enumerate(ALPHA)
]


def times(matrix, vector):
    return [sum(x * y for x, y in zip(row, vector, strict=True)) for row in matrix]


def total(*vectors):
    return sum(math.prod(entries) for entries in zip(*vectors, strict=True))


def conditions(weights):
    """The order conditions of a Rosenbrock method up to order 4 (Hairer, Wanner, table 7.1), each to be zero."""
    one = [Fraction(1)] * STAGES
    a, b = times(ALPHA, one), times(BETA, one)
    squares = [x**2 for x in a]
    third = [
        total(weights) - 1,
        total(weights, b) - Fraction(1, 2),
        total(weights, squares) - Fraction(1, 3),
        total(weights, times(BETA, b)) - Fraction(1, 6),
    ]
    fourth = [
        total(weights, a, squares) - Fraction(1, 4),
        total(weights, a, times(ALPHA, b)) - Fraction(1, 8),
        total(weights, times(BETA, squares)) - Fraction(1, 12),
        total(weights, times(BETA, times(BETA, b))) - Fraction(1, 24),
    ]
    return third, fourth


def test_its_order_is_four_exactly_and_the_embedded_ones_three():
    third, fourth = conditions(METHOD.weights)
    assert third == [0] * 4
    assert fourth == [0] * 4
    third, fourth = conditions(METHOD.embedded)
    assert third == [0] * 4
    assert any(fourth)


def test_both_of_its_methods_are_stiffly_accurate():
    assert METHOD.weights == [*BETA[-1]]
    assert METHOD.embedded[:-1] == BETA[-2][:-1]


def test_it_is_l_stable():
    """|R(iy)| ≤ 1 for all y and R(∞) = 0: a rational function with its poles at 1/γ, so A-stable by the maximum."""
    z, y = sp.symbols("z y", real=True)
    matrix = sp.eye(STAGES) - z * sp.Matrix(BETA)
    weights, one = sp.Matrix([METHOD.weights]), sp.ones(STAGES, 1)
    R = sp.cancel(1 + z * (weights * matrix.LUsolve(one))[0])
    numerator, denominator = (sp.Poly(part, z) for part in sp.fraction(R))
    assert numerator.degree() < denominator.degree()
    above, below = (part.eval(sp.I * y) * part.eval(-sp.I * y) for part in (numerator, denominator))
    gap = sp.Poly(sp.expand(below - above), y)
    # Nonnegative for all real y: no real root of odd multiplicity.
    assert gap.LC() > 0
    assert all(multiplicity % 2 == 0 for root, multiplicity in sp.Poly(gap, y).sqf_list()[1] if root.count_roots() > 0)


@pytest.mark.parametrize("symmetric", part([False, True]))
def test_its_order_is_seen_with_a_field_that_changes_in_time(symmetric):
    """ẋ = −∇E(x) + (sin t, …) against a tight solve: the error falls by 2⁴ when the step is halved."""

    def field(t, x, _):
        return -jnp.sinh(x) + jnp.array([1.0, -0.3, 0.2]) * jnp.sin(t) - 0.4 * jnp.roll(x, 1) - 0.4 * jnp.roll(x, -1)

    start = jnp.array([1.0, -0.5, 0.3])

    @jax.jit
    def end(h):
        step, solver = dfx.ConstantStepSize(), gf.solvers.RosenbrockWanner(symmetric)
        return dfx.diffeqsolve(dfx.ODETerm(field), solver, 0.0, 2.0, h, start, stepsize_controller=step).ys[-1]

    exact = dfx.diffeqsolve(
        dfx.ODETerm(field), dfx.Dopri8(), 0.0, 2.0, None, start, stepsize_controller=dfx.PIDController(1e-13, 1e-13)
    ).ys[-1]
    errors = [float(jnp.max(jnp.abs(end(h) - exact))) for h in (0.1, 0.05)]
    assert 12 < errors[0] / errors[1] < 20


def test_diffrax_takes_it_with_any_pytree_dense_output_and_single_precision():
    term = dfx.ODETerm(lambda t, p, _: {"w": -100 * p["w"], "b": -p["b"]})
    start = {"w": jnp.ones((2, 2), jnp.float32), "b": jnp.ones((), jnp.float32)}
    times = jnp.linspace(0, 1, 5, dtype=jnp.float32)
    found = dfx.diffeqsolve(
        term, gf.solvers.RosenbrockWanner(), 0.0, 1.0, None, start, saveat=dfx.SaveAt(ts=times),
        stepsize_controller=dfx.PIDController(rtol=1e-5, atol=1e-5),
    )  # fmt: skip
    assert found.ys["w"].dtype == jnp.float32
    np.testing.assert_allclose(found.ys["b"], np.exp(-times), rtol=1e-3)


def test_derivatives_go_through_it_both_ways():
    """∂x(t)/∂λ = −t e^{−λt}."""

    def end(lam, adjoint):
        return dfx.diffeqsolve(
            dfx.ODETerm(lambda t, x, lam: -lam * x), gf.solvers.RosenbrockWanner(), 0.0, 1.0, None, jnp.ones(3), lam,
            stepsize_controller=dfx.PIDController(rtol=1e-9, atol=1e-9), adjoint=adjoint,
        ).ys[-1, 0]  # fmt: skip

    reverse = jax.jit(jax.grad(lambda lam: end(lam, dfx.RecursiveCheckpointAdjoint())))(2.0)
    assert float(reverse) == pytest.approx(-math.exp(-2), rel=1e-6)
    if THOROUGH:
        forward = jax.jit(jax.jacfwd(lambda lam: end(lam, dfx.ForwardMode())))(2.0)
        assert float(forward) == pytest.approx(-math.exp(-2), rel=1e-6)


def test_a_direction_of_negative_curvature_is_followed():
    """Where I − hγJ is not positive definite Cholesky's factors don't exist, and LU's are taken."""
    H = np.diag([1e4, 1.0, -1.0])
    flow = gf.GradientFlow(gf.Quadratic(H))
    path = gf.integrate(flow, [1.0, 1.0, 1e-3], 8.0, solver="rosenbrock-wanner")
    assert path.stats["solver"] == "RosenbrockWanner"
    np.testing.assert_allclose(path.x[-1], np.exp(-8 * np.diag(H)) * [1.0, 1.0, 1e-3], rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("pace", part([1.0, 7.0]))
def test_a_second_order_state_is_solved_for_by_its_schur_complement(pace):
    """One step from (x, v), ẋ = cv, v̇ = −∇E(x) − D(t, x)v, is that of the whole matrix to rounding."""

    def field(t, z, _):
        x, v = z
        return pace * v, -jnp.sinh(x) - 0.4 * jnp.roll(x, 1) - (1 + t) * (2 + jnp.cos(x)) * jnp.roll(v, 1)

    start = jnp.array([1.0, -0.5, 0.3]), jnp.array([0.2, 0.1, -0.7])
    ends = []
    for second_order in (False, True):
        solver, terms = gf.solvers.RosenbrockWanner(second_order=second_order), dfx.ODETerm(field)
        memory = solver.init(terms, 0.5, 0.6, start, None)
        step = jax.jit(lambda memory, solver=solver, terms=terms: solver.step(
            terms, jnp.array(0.5), jnp.array(0.6), start, None, memory, jnp.array(False)))  # fmt: skip
        ends.append(step(memory)[:2])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-14), *ends)


def test_who_is_of_second_order_is_read_off_the_drift():
    class Twice(gf.HeavyBallFlow):
        def drift(self, t, z):
            return 2 * super().drift(t, z)

    E, x = gf.landscapes.rosenbrock(), {"w": jnp.ones(1), "b": jnp.ones(())}
    tree = gf.energy(lambda p: jnp.sum(p["w"] ** 2) + p["b"] ** 2)
    asked = [(gf.HeavyBallFlow(E), jnp.ones(2)), (gf.NesterovFlow(E), jnp.ones(2)), (gf.HeavyBallFlow(tree), x),
             (gf.BregmanFlow(E), jnp.ones(2)), (Twice(E), jnp.ones(2)), (gf.GradientFlow(E), jnp.ones(2))]  # fmt: skip
    found = [for_stiff(flow, flow.init(x)).second_order for flow, x in asked]
    assert found == [True, True, True, False, False, False]


def test_a_heavy_ball_of_more_numbers_than_a_matrix_is_formed_for_is_solved_with_one_of_its_positions():
    """101 positions, overdamped: against the closed form of every mode, which a fast oscillation never enters."""
    lam = np.geomspace(1, 1e6, 101)
    flow = gf.HeavyBallFlow(gf.Quadratic(np.diag(lam)), friction=4e3)
    path = gf.integrate(flow, jnp.ones(101), 100.0, ts=[100.0])
    assert path.stats["solver"] == "RosenbrockWanner"
    slow, fast = (-2e3 + sign * np.sqrt(4e6 - lam) for sign in (1, -1))
    exact = (fast * np.exp(100 * slow) - slow * np.exp(100 * fast)) / (fast - slow)
    np.testing.assert_allclose(path.x[-1], exact, atol=1e-6)
