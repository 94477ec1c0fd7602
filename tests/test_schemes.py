"""Contracts that every scheme meets, and the facts that make each of them what its name says."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sympy import QQ
from sympy.polys.fields import field

import gradientflow as gf

from .catalogue import (
    FLOWS,
    READ_ON,
    SCHEMES,
    fits,
    flow_to_read_on,
    flow_to_run_on,
    is_rational,
    name_of,
    one_step,
    quartic_bowl,
)
from .thorough import part, thorough

EXAMPLE = gf.LeastSquares([[4, 1], [1, 3]], [1, 2])
H = np.array([[17.0, 7.0], [7.0, 10.0]])
X0 = jnp.array([4.0, -1.0])
# One of each class of schemes, tried on every flow; run on the first and the last flow that it fits.
ONE_A_CLASS = {type(scheme): scheme for scheme in reversed(SCHEMES)}.values()


def first_fitting(scheme, flows):
    return next((flow for flow in flows if fits(flow(EXAMPLE), scheme, X0)), None)


FITTING = {scheme: [first_fitting(scheme, flows) for flows in (FLOWS, FLOWS[::-1])] for scheme in ONE_A_CLASS}
PAIRS = [(flow, scheme) for scheme, flows in FITTING.items() for flow in dict.fromkeys(flows)]
PAIRS += [(flow, gf.ForwardEuler()) for flow in FLOWS]


def pair_id(value):
    return name_of(value) if isinstance(value, gf.Discretizer) else getattr(value, "__name__", None)


def test_every_scheme_fits_some_flow():
    assert all(all(flows) for flows in FITTING.values())


# --- One recipe on exact numbers -------------------------------------------------------------------------------------


def exact_flow(scheme, lam):
    """The mode of curvature λ under a flow that the scheme fits, with rational parameters."""
    flow_class = flow_to_read_on(scheme)
    return flow_class(gf.Mode(lam), **READ_ON[flow_class])


@pytest.mark.parametrize("scheme", SCHEMES, ids=pair_id)
def test_a_step_on_fractions_is_the_step_on_floats(scheme):
    lam, h = Fraction(3, 2), Fraction(1, 4)
    flow = exact_flow(scheme, lam)
    z = 2 * flow.init(Fraction(5, 8))
    if not is_rational(scheme):
        with pytest.raises(TypeError):
            one_step(scheme, flow, Fraction(0), z, h)
        return
    exact = one_step(scheme, flow, Fraction(0), z, h)
    floating = one_step(scheme, exact_flow(scheme, 1.5), 0.0, jax.tree.map(float, z), 0.25)
    for e, f in zip(jax.tree.leaves(exact), jax.tree.leaves(floating), strict=True):
        assert isinstance(e, Fraction)
        # A step of one stage is rounded a few times, one of five stages or steps some tens of times.
        assert float(f) == pytest.approx(float(e), rel=1e-15 if scheme.order == 1 else 1e-14)


K, LAM, STEP = field("lam,h", QQ)
STABILITY = {
    "ForwardEuler": 1 - STEP * LAM,
    "BackwardEuler": 1 / (1 + STEP * LAM),
    "ImplicitMidpoint": (2 - STEP * LAM) / (2 + STEP * LAM),
    "EulerMaruyama": 1 - STEP * LAM,
    "euler": 1 - STEP * LAM,
    **dict.fromkeys(("midpoint", "heun", "ralston"), 1 - STEP * LAM + (STEP * LAM) ** 2 / 2),
    **dict.fromkeys(("rk3", "ssp3"), 1 - STEP * LAM + (STEP * LAM) ** 2 / 2 - (STEP * LAM) ** 3 / 6),
    **dict.fromkeys(
        ("rk4", "rk38"), 1 - STEP * LAM + (STEP * LAM) ** 2 / 2 - (STEP * LAM) ** 3 / 6 + (STEP * LAM) ** 4 / 24
    ),
}


@pytest.mark.parametrize("scheme", [s for s in SCHEMES if name_of(s) in STABILITY], ids=pair_id)
def test_a_step_on_a_field_is_the_stability_function(scheme):
    flow = exact_flow(scheme, LAM)
    assert scheme.step(flow, K(0), K(1), STEP) == STABILITY[name_of(scheme)]


def test_momentum_on_a_field_is_its_recurrence():
    flow = gf.HeavyBall(gf.Mode(LAM), mass=K(2), friction=K(3))
    z = gf.MomentumEuler().step(flow, K(0), gf.Phase(K(1), K(5)), STEP)
    assert z.v == (2 * 5 - STEP * LAM) / (2 + 3 * STEP)
    assert z.x == 1 + STEP * z.v
    y = gf.BackwardEuler().step(flow, K(0), gf.Phase(K(1), K(5)), STEP)
    drift = flow.drift(K(0), y)
    assert (y.x, y.v) == (1 + STEP * drift.x, 5 + STEP * drift.v)


# --- Order -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", part((s for s in ONE_A_CLASS if s.order is not None), 6), ids=pair_id)
def test_the_observed_order_is_the_claimed_order(scheme):
    E = gf.energy(quartic_bowl)
    flow = flow_to_run_on(scheme, E, X0)
    noise = {"key": jax.random.key(0)} if isinstance(flow, gf.Langevin) else {}
    start, t1 = jnp.array([1.0, -0.5]), 0.8
    drift = flow if not noise else gf.GradientFlow(E)
    exact = gf.integrate(drift, start, t1, rtol=1e-13, atol=1e-14).x[-1]
    errors = []
    for n in (32, 64, 128, 256):
        run = gf.iterate(flow, scheme, start, step=t1 / n, steps=n, save_every=n, **noise)
        errors.append(float(jnp.linalg.norm(run.x[-1] - exact)))
    slopes = np.log2(np.array(errors[:-1]) / errors[1:])
    above_rounding = np.array(errors[1:]) > 1e-11
    assert above_rounding.any()
    np.testing.assert_allclose(slopes[above_rounding][-1], scheme.order, atol=0.2)


# --- Running ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("flow_class", "scheme"), PAIRS, ids=pair_id)
def test_one_step_of_every_pair(flow_class, scheme):
    """In the state's own precision, without a NaN; a tiny step goes where the drift points, if h is a step at all."""
    E = gf.LeastSquares([[4, 1], [1, 3]], [1, 2])
    flow = flow_class(E)
    z = jax.tree.map(lambda leaf: leaf + 0.3, flow.init(X0))
    t, h = jnp.asarray(1.3), jnp.asarray(1e-7)
    out = one_step(scheme, flow, t, z, h)
    if scheme.clock_only:
        jax.tree.map(np.testing.assert_array_equal, out, one_step(scheme, flow, t, z, 1000 * h))
        assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(out))
        return
    out = out[0] if isinstance(out, tuple) else out
    slope = (out - z) / h
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-2), slope, flow.drift(t, z))


@pytest.mark.parametrize("scheme", part(list(ONE_A_CLASS)[1:] + list(ONE_A_CLASS)[:1], 6), ids=pair_id)
def test_runs_in_single_precision_on_pytrees_without_compiling_twice(scheme):
    traces = []

    def fn(p):
        traces.append(1)
        return jnp.sum(p["w"] ** 2) + p["b"] ** 2

    E = gf.energy(fn)
    x0 = {"w": jnp.ones(2, jnp.float32), "b": jnp.ones((), jnp.float32)}
    flow = flow_to_run_on(scheme, E, x0)
    if isinstance(scheme, gf.ExactFlow):
        with pytest.raises(gf.UnansweredQuestionError, match="no closed form"):
            gf.iterate(gf.GradientFlow(E), scheme, x0, step=0.1, steps=3)
        return
    noise = {"key": jax.random.key(0)} if isinstance(flow, gf.Langevin) else {}
    run = gf.iterate(flow, scheme, x0, step=0.1, steps=6, save_every=4, **noise)
    assert run.x["w"].shape == (3, 2)
    assert {leaf.dtype for leaf in jax.tree.leaves(run.x)} == {jnp.dtype("float32")}
    np.testing.assert_array_equal(run.steps, [0, 4, 6])
    np.testing.assert_allclose(run.t, [0, 0.4, 0.6], rtol=1e-6)
    first = len(traces)
    gf.iterate(flow, scheme, x0, step=0.2, steps=6, save_every=4, **noise)
    assert len(traces) - first <= len(traces) / 3


def test_forward_euler_is_the_matrix_power():
    run = gf.iterate(gf.GradientFlow(EXAMPLE), gf.ForwardEuler(), X0, step=0.05, steps=60)
    x_star = np.array([1, 7]) / 11
    for k, x in enumerate(np.asarray(run.x)):
        expected = x_star + np.linalg.matrix_power(np.eye(2) - 0.05 * H, k) @ (np.asarray(X0) - x_star)
        np.testing.assert_allclose(x, expected, atol=1e-12)


def test_diffrax_euler_is_forward_euler():
    import diffrax

    flow = gf.GradientFlow(gf.landscapes.beale())
    ours = gf.iterate(flow, gf.ForwardEuler(), [1.0, 1.0], step=1e-3, steps=200)
    theirs = gf.iterate(flow, gf.FromDiffrax(diffrax.Euler()), [1.0, 1.0], step=1e-3, steps=200)
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-14)


def test_the_exact_flow_on_quadratics_is_the_flow():
    run = gf.iterate(gf.HeavyBall(EXAMPLE, mass=0.2), gf.ExactFlow(), X0, step=0.1, steps=20)
    path = gf.integrate(gf.HeavyBall(EXAMPLE, mass=0.2), X0, 2.0, ts=run.t)
    np.testing.assert_allclose(run.x, path.x, atol=1e-7)


def test_momentum_without_memory_is_gradient_descent():
    still = gf.optimizers.momentum(EXAMPLE, lr=0.02, beta=0.0).iterate(X0, 20)
    plain = gf.optimizers.gradient_descent(EXAMPLE, lr=0.02).iterate(X0, 20)
    # Below its limit a step brings errors no further apart: a few roundings of each of twenty steps add up.
    np.testing.assert_allclose(still.x, plain.x, rtol=0, atol=20 * 8 * np.finfo(float).eps * np.max(np.abs(X0)))


def test_the_momentum_conversion_is_exact():
    method = gf.optimizers.momentum(gf.Mode(1), lr=Fraction(1, 7), beta=Fraction(3, 4))
    m, h = method.flow.mass, method.step
    assert (m / (m + h), h * h / (m + h)) == (Fraction(3, 4), Fraction(1, 7))


def test_proximal_point_is_stable_at_any_step():
    run = gf.optimizers.proximal_point(EXAMPLE, lr=1e6).iterate(X0, 3)
    np.testing.assert_allclose(run.x[-1], [1 / 11, 7 / 11], atol=1e-12)


# --- The clock, saving, statuses -------------------------------------------------------------------------------------


def test_a_schedule_is_a_change_of_time():
    run = gf.iterate(gf.GradientFlow(EXAMPLE), gf.ForwardEuler(), X0, step=lambda k: 0.02 / (k + 1), steps=5)
    h = 0.02 / np.arange(1, 6)
    np.testing.assert_allclose(run.t, [0, *np.cumsum(h)], rtol=1e-14)
    x = np.asarray(X0)
    for step in h:
        x = x - step * (H @ x - [6.0, 7.0])
    np.testing.assert_allclose(run.x[-1], x, rtol=1e-13)


def test_the_clock_does_not_drift_in_single_precision():
    E = gf.energy(lambda x: jnp.sum(x**2) / 2)
    x0 = jnp.ones(1, jnp.float32)
    for step in (1e-3, lambda k: jnp.float32(1e-3)):
        run = gf.iterate(gf.GradientFlow(E), gf.ForwardEuler(), x0, step=step, steps=200_000, save_every=200_000)
        assert float(run.t[-1]) == pytest.approx(200.0, rel=1e-6)


def test_a_run_is_continued_from_its_state():
    method = gf.optimizers.momentum(gf.landscapes.beale(), lr=1e-3)
    whole, half = method.iterate([1.0, 1.0], 40), method.iterate([1.0, 1.0], 20)
    rest = method.iterate(None, 20, state=half.state[-1], t0=float(half.t[-1]))
    np.testing.assert_allclose(rest.x[-1], whole.x[-1], rtol=1e-13)
    assert float(rest.t[-1]) == pytest.approx(float(whole.t[-1]))


HALF_SQUARE = gf.GradientFlow(gf.energy(lambda x: x**2 / 2))


@pytest.mark.parametrize("save_every", part([7, 1, 1000, 100]))
def test_the_first_bad_step_is_exact_however_seldom_it_is_saved(save_every):
    run = gf.iterate(HALF_SQUARE, gf.ForwardEuler(), 1.0, step=5.0, steps=1000, save_every=save_every)
    # x_k = (−4)^k, whose square is no longer finite from 2^1024 on.
    assert run.status.outcome == "diverged"
    assert run.status.first_not_finite == 256
    # The first step goes up already.
    assert run.status.step == 1


def test_growth_without_overflow_is_divergence_and_a_slow_end_is_not():
    flow = gf.GradientFlow(gf.Quadratic([[1.0]]))
    grown = gf.iterate(flow, gf.ForwardEuler(), [1.0], step=2.5, steps=40)
    assert grown.status.outcome == "diverged"
    np.testing.assert_allclose(grown.x[:, 0], (-1.5) ** np.arange(41))
    assert gf.iterate(flow, gf.ForwardEuler(), [1.0], step=2.0, steps=40).status.outcome == "cycling"
    assert gf.iterate(flow, gf.ForwardEuler(), [1.0], step=1.99, steps=40).status.outcome == "reached the end"
    assert gf.iterate(flow, gf.ForwardEuler(), [1.0], step=1.0, steps=3).status.outcome == "converged"


def test_a_memory_is_handed_on():
    class HeavyBallByMemory(gf.Discretizer):
        """x' = x + β(x − x₋₁) − h∇E, the form with the last position as memory."""

        def init(self, flow, t, z, h):
            return z

        def step(self, flow, t, z, h, *, memory, **_):
            return z + (z - memory) * 9 / 10 + h * flow.drift(t, z), z

    E = gf.landscapes.beale()
    run = gf.iterate(gf.GradientFlow(E), HeavyBallByMemory(), [1.0, 1.0], step=1e-3, steps=100)
    ours = gf.optimizers.momentum(E, lr=1e-3, beta=0.9).iterate([1.0, 1.0], 100)
    np.testing.assert_allclose(run.x, ours.x, atol=1e-12)


def test_a_position_may_be_read_elsewhere():
    class Ahead(gf.Discretizer):
        """Forward Euler that reports where its next step goes."""

        def step(self, flow, t, z, h, **_):
            return z + h * flow.drift(t, z)

        def position(self, flow, z, h):
            return flow.position(z + h * flow.drift(0.0, z))

    flow = gf.GradientFlow(EXAMPLE)
    ahead = gf.iterate(flow, Ahead(), X0, step=0.02, steps=5)
    plain = gf.iterate(flow, gf.ForwardEuler(), X0, step=0.02, steps=6)
    np.testing.assert_allclose(ahead.x, plain.x[1:], rtol=1e-13)


def test_an_oracle_says_what_flow_a_step_sees():
    """Noisy gradients: each step sees another linear term, drawn from its key and number."""

    def oracle(flow, key, k):
        return gf.GradientFlow(gf.Quadratic(H, jax.random.normal(key, (2,)) * 0 + k))

    run = gf.iterate(
        gf.GradientFlow(EXAMPLE), gf.ForwardEuler(), X0, step=0.02, steps=3, oracle=oracle, key=jax.random.key(0)
    )
    x = np.asarray(X0)
    for k in range(3):
        x = x - 0.02 * (H @ x - k)
    np.testing.assert_allclose(run.x[-1], x, rtol=1e-13)


def test_a_step_rule_may_look_at_the_state():
    class Cautious(gf.StepRule):
        """h = 1/(10 + ‖∇E‖), and counts."""

        def init(self, flow, discretizer, t, z):
            return jnp.asarray(0)

        def __call__(self, flow, discretizer, t, z, rule_state):
            return 1 / (10 + jnp.linalg.norm(flow.drift(t, z))), rule_state + 1

    run = gf.iterate(gf.GradientFlow(EXAMPLE), gf.ForwardEuler(), X0, step=Cautious(), steps=4)
    h = 1 / (10 + np.linalg.norm(np.asarray(run.x[:-1]) @ H - [6.0, 7.0], axis=1))
    np.testing.assert_allclose(np.diff(run.t), h, rtol=1e-12)


# --- Noise -----------------------------------------------------------------------------------------------------------


@thorough
def test_a_flow_and_its_scheme_share_a_brownian_path():
    """Additive noise: strong order 1, averaged over paths."""
    flow = gf.Langevin(gf.energy(quartic_bowl), temperature=0.5)
    errors = np.zeros(2)
    for seed in range(6):
        path = gf.BrownianPath(flow, X0 / 4, 0.0, 1.0, jax.random.key(seed))
        exact = gf.integrate(flow, X0 / 4, 1.0, key=path, ts=[1.0]).x[-1]
        for i, n in enumerate((16, 64)):
            run = gf.iterate(flow, gf.EulerMaruyama(), X0 / 4, step=1 / n, steps=n, key=path, save_every=n)
            errors[i] += float(jnp.linalg.norm(run.x[-1] - exact))
    assert np.log2(errors[0] / errors[1]) / 2 == pytest.approx(1, abs=0.2)


def test_the_stationary_variance_of_unadjusted_langevin():
    """(T/λ)/(1 − hλ/2), within four standard errors, over independent coordinates."""
    lam, h, T, chains = 2.0, 0.3, 0.7, 20_000
    flow = gf.Langevin(gf.energy(lambda x: lam * jnp.sum(x**2) / 2), temperature=T)
    x0 = jnp.zeros(chains)
    run = gf.iterate(flow, gf.EulerMaruyama(), x0, step=h, steps=60, save_every=60, key=jax.random.key(1))
    expected = (T / lam) / (1 - h * lam / 2)
    standard_error = expected * np.sqrt(2 / chains)
    assert float(jnp.var(run.x[-1])) == pytest.approx(expected, abs=4 * standard_error)


@thorough
def test_kinetic_langevin_equipartitions():
    m, T, chains = 0.5, 0.8, 10_000
    flow = gf.KineticLangevin(gf.energy(lambda x: jnp.sum(x**2) / 2), mass=m, friction=1.0, temperature=T)
    run = gf.iterate(
        flow, gf.EulerMaruyama(), jnp.zeros(chains), step=0.01, steps=500, save_every=500, key=jax.random.key(2)
    )
    # Euler–Maruyama's own bias is of the order of h: 2 % of the variance here.
    assert float(jnp.var(run.state.v[-1])) == pytest.approx(T / m, rel=4 * np.sqrt(2 / chains) + 0.03)


SUM_OF_SQUARES = gf.energy(lambda p: sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(p)))


@pytest.mark.parametrize(
    "x0",
    [1.0, pytest.param({"w": 1.0}, marks=thorough), jnp.asarray(1.0)],
    ids=["float", "dict of floats", "weak array"],
)
def test_python_floats_are_run_in_full_precision(x0):
    """A weakly typed start must not drag the flow's parameters and the step to a lower precision."""
    run = gf.optimizers.momentum(SUM_OF_SQUARES, lr=0.1, beta=0.9).iterate(x0, steps=np.int64(2))
    # b₁ = 2, x₁ = 0.8; b₂ = 0.9·2 + 1.6 = 3.4, x₂ = 0.8 − 0.34.
    assert float(jax.tree.leaves(run.x)[0][-1]) == pytest.approx(0.46, rel=1e-14)
    flow = gf.HeavyBall(SUM_OF_SQUARES, mass=0.3, friction=0.7)
    path = gf.integrate(flow, x0, 1.0)
    assert path.stats["precision"] == "float64"
    again = gf.integrate(flow, jax.tree.map(jnp.float64, x0), 1.0)
    np.testing.assert_array_equal(jax.tree.leaves(path.x)[0], jax.tree.leaves(again.x)[0])


@pytest.mark.parametrize("beta", [1.5, np.float64(1.5), jnp.asarray(-0.1)])
def test_momentum_refuses_what_is_no_fraction(beta):
    with pytest.raises(ValueError, match=r"beta.*\[0, 1\)"):
        gf.optimizers.momentum(EXAMPLE, lr=0.1, beta=beta)


def test_a_short_divergent_run_is_told_on():
    run = gf.iterate(gf.GradientFlow(gf.Quadratic([[1.0]])), gf.ForwardEuler(), [1.0], step=2.5, steps=10)
    assert run.status == "diverged"
    assert not run.status.ok
    assert (run.status.step, run.status.first_not_finite) == (1, None)


def test_noise_is_not_dropped_silently():
    noisy = gf.KineticLangevin(EXAMPLE)
    with pytest.raises(gf.UnansweredQuestionError, match="it has noise, which this scheme would drop"):
        gf.iterate(noisy, gf.MomentumEuler(), [1.0, 0.5], step=0.1, steps=1, key=jax.random.key(0))
    with pytest.raises(TypeError, match="optax draws none"):
        gf.Method(gf.Langevin(EXAMPLE), gf.EulerMaruyama(), 0.1).to_optax().init(jnp.ones(2))


def test_states_can_be_summed():
    class Summed(gf.Discretizer):
        def step(self, flow, t, z, h, **_):
            return sum([z, h * flow.drift(t, z)])

    flow = gf.HeavyBall(EXAMPLE)
    runs = [gf.iterate(flow, s, [1.0, 0.5], step=0.1, steps=3) for s in (Summed(), gf.ForwardEuler())]
    np.testing.assert_array_equal(runs[0].x, runs[1].x)


LOG_COSH = gf.GradientFlow(gf.energy(lambda x: jnp.log(jnp.cosh(x))))


@pytest.mark.parametrize("save_every", part([2, 1, 3], 3))
def test_bouncing_for_ever_is_a_cycle(save_every):
    """On log cosh steps beyond 2 end in a 2-cycle ±x with tanh(x) = 2x/h."""
    run = gf.iterate(LOG_COSH, gf.ForwardEuler(), 0.5, step=2.5, steps=120, save_every=save_every)
    assert run.status.outcome == "cycling"
    assert "a cycle of 2 steps" in run.status.detail
    assert 10 <= run.status.step <= 20
    x = abs(float(run.x[-1]))
    assert np.tanh(x) == pytest.approx(2 * x / 2.5, rel=1e-12)


def test_a_rise_that_froze_is_divergence():
    """Steps that are cut off once the loss is 1e53: it stands still there, but not well."""
    flow = gf.GradientFlow(gf.Quadratic([[1.0]]))
    run = gf.iterate(flow, gf.ForwardEuler(), [1.0], step=lambda k: jnp.where(k < 60, 10.0, 1e-9), steps=400)
    assert run.status.outcome == "diverged"
    assert (run.status.step, run.status.first_not_finite) == (1, None)


def test_a_gradient_that_is_not_finite_at_the_start_is_told():
    """√(x − 1) under `where`: its derivative is NaN though it is not chosen; no step is to blame."""
    energy = gf.energy(lambda x: jnp.sum(jnp.where(x > 5, jnp.sqrt(x - 1), x)))
    run = gf.iterate(gf.GradientFlow(energy), gf.ForwardEuler(), [1.0, 2.0], step=0.1, steps=20)
    assert run.status.outcome == "diverged"
    assert run.status.step == run.status.first_not_finite == 0
    assert run.status.detail == "not finite from step 0 on: ∇E"


def test_a_step_whose_equation_has_no_solution_says_so_and_what_to_give():
    """The proximal point method on |x|: a step to the kink solves no equation; with its prox it gets there."""
    failed = gf.optimizers.proximal_point(jnp.abs, lr=0.3).iterate(2.0, steps=12)
    assert failed.status.first_not_finite == 7
    assert "the state and E, though nothing grew: if a step solves an equation" in failed.status.detail
    assert "gf.penalties" in failed.status.detail
    known = gf.optimizers.proximal_point(gf.penalties.L1(1.0), lr=0.3).iterate(2.0, steps=12)
    assert known.x[7:].tolist() == [0.0] * 6
    # What grows until it is no number any more is no such step.
    grown = gf.iterate(gf.GradientFlow(lambda x: x**4), gf.ForwardEuler(), 3.0, step=0.2, steps=30)
    assert "equation" not in grown.status.detail


def test_what_comes_back_below_its_start_has_not_diverged():
    """A catapult: beyond 2/λ at the start ½(uv)² rises until u² + v² is small enough."""
    flow = gf.GradientFlow(gf.energy(lambda x: (x[0] * x[1]) ** 2 / 2))
    run = gf.iterate(flow, gf.ForwardEuler(), [2.0, 0.1], step=0.7, steps=200)
    assert float(run.energy.max()) > 5 * float(run.energy[0]) > 1e6 * float(run.energy[-1])
    assert run.status.outcome == "converged"


def test_a_step_below_resolution_is_told_apart_from_standing_still():
    flow = gf.GradientFlow(gf.energy(lambda x: 1e-20 * x))
    assert gf.iterate(flow, gf.ForwardEuler(), 1.0, step=1.0, steps=30, gtol=1e-30).status.outcome == "precision floor"


def test_a_cycle_at_level_zero_is_told_with_its_energy():
    run = gf.iterate(gf.GradientFlow(lambda x: x**2 - 1), gf.ForwardEuler(), 1.0, step=1.0, steps=10)
    assert (run.status, run.energy[0], run.energy[-1]) == ("cycling", 0, 0)
    assert "energy 0 → 0" in run.status.detail
    assert not run.is_of_a_field
    assert gf.iterate(gf.field(lambda x: -x), gf.ForwardEuler(), 1.0, step=0.1, steps=1).is_of_a_field
