"""Runs as components of JAX: under jit, vmap and grad, in forward, reverse and nested mode."""

import functools
import math

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import gradientflow as gf

from .thorough import THOROUGH, thorough

H = jnp.array([[2.0, 0.5], [0.5, 1.0]])
BOWL = gf.Quadratic(H)
FLOW = gf.GradientFlow(BOWL)
X0 = jnp.array([1.0, 2.0])


def last_energy(h, steps=100, save_every=1):
    """On λ = 1: (1 − h)^{2N}/2."""
    flow = gf.GradientFlow(gf.Quadratic([[1.0]]))
    return gf.iterate(flow, gf.ForwardEuler(), [1.0], step=h, steps=steps, save_every=save_every).energy[-1]


@pytest.mark.parametrize("differentiate", [jax.grad, jax.jacfwd], ids=["reverse", "forward"])
@pytest.mark.parametrize("save_every", [1, 7])
def test_an_energy_knows_its_derivative_with_respect_to_the_step(differentiate, save_every):
    slope = jax.jit(differentiate(lambda h: last_energy(h, save_every=save_every)))(1e-3)
    assert float(slope) == pytest.approx(-100 * (1 - 1e-3) ** 199, rel=1e-12)


def test_derivatives_nest():
    curvature = jax.jit(jax.grad(jax.grad(lambda h: last_energy(h, save_every=7))))(1e-3)
    assert float(curvature) == pytest.approx(100 * 199 * (1 - 1e-3) ** 198, rel=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: gf.optimizers.momentum(BOWL, lr=0.1, beta=p),
        pytest.param(lambda p: gf.optimizers.nesterov(BOWL, lr=0.1, beta=p), marks=thorough),
        lambda p: gf.optimizers.adam(BOWL, lr=0.1, b1=p),
        pytest.param(lambda p: gf.optimizers.rmsprop(BOWL, lr=0.1, decay=p), marks=thorough),
    ],
    ids=["momentum", "nesterov", "adam", "rmsprop"],
)
def test_parameters_of_methods_are_differentiated(make):
    """Beside central differences, whose own error is about 1e-9."""

    def end(parameter):
        return make(parameter).iterate(X0, 20).energy[-1]

    step = 1e-5
    difference = (end(0.5 + step) - end(0.5 - step)) / (2 * step)
    assert float(jax.jit(jax.grad(end))(0.5)) == pytest.approx(float(difference), rel=1e-6)


def test_a_schedule_of_a_hundred_rates_has_a_gradient():
    """∂/∂h_k of ½λ∏(1 − h_jλ)² is −λ²∏(1 − h_jλ)²/(1 − h_kλ)."""

    def end(rates):
        flow = gf.GradientFlow(gf.Quadratic([[3.0]]))
        run = gf.iterate(flow, gf.ForwardEuler(), [1.0], step=lambda k: rates[k], steps=100, save_every=10)
        return run.energy[-1]

    rates = 0.01 + 0.0001 * jnp.arange(100)
    whole = jnp.prod((1 - 3 * rates) ** 2)
    np.testing.assert_allclose(jax.jit(jax.grad(end))(rates), -9 * whole / (1 - 3 * rates), rtol=1e-12)


def test_what_a_closure_holds_is_differentiated():
    def end(c):
        flow = gf.GradientFlow(gf.energy(lambda x: c * jnp.sum(x**2) / 2))
        return gf.iterate(flow, gf.ForwardEuler(), X0, step=0.1, steps=10).x[-1, 0]

    assert float(jax.grad(end)(1.0)) == pytest.approx(-0.1 * 10 * 0.9**9, rel=1e-12)
    # Nothing of the first trace is left behind for the second.
    assert float(jax.jit(jax.grad(end))(2.0)) == pytest.approx(-0.1 * 10 * 0.8**9, rel=1e-12)


# Steps on log cosh and its outcomes: arrived, a cycle beyond the limit; on ½x²: slow, exactly at the limit, beyond.
LANES = [
    (0.5, "converged"),
    (1e-4, "reached the end"),
    (2.0, "cycling"),
    (2.5, "diverged"),
    (40.0, "diverged"),
]


def test_lanes_end_as_single_runs_do():
    flow = gf.GradientFlow(gf.Quadratic([[1.0]]))
    steps = jnp.array([h for h, _ in LANES])

    def run(h):
        return gf.iterate(flow, gf.ForwardEuler(), [1.0], step=h, steps=300)

    batch = jax.jit(jax.vmap(run))(steps)
    assert batch.status.outcome.tolist() == [outcome for _, outcome in LANES]
    for lane, h in enumerate(steps):
        alone = run(h)
        assert alone.status.outcome == batch.status.outcome[lane]
        assert (alone.status.step or 0) == max(int(batch.status.step[lane]), 0)
        assert (alone.status.first_not_finite or -1) == int(batch.status.first_not_finite[lane])
        np.testing.assert_allclose(alone.x, batch.x[lane], rtol=1e-13)
    assert str(batch.status) == "2 diverged, 1 converged, 1 reached the end, 1 cycling"
    assert "a batch of 5" in repr(batch)
    assert int(batch.status.code[3]) == list(gf.Outcome).index("diverged")


def test_a_trajectory_goes_through_jit():
    run = jax.jit(lambda x: gf.iterate(FLOW, gf.ForwardEuler(), x, step=0.1, steps=5))(X0)
    again = gf.iterate(FLOW, gf.ForwardEuler(), X0, step=0.1, steps=5)
    np.testing.assert_allclose(run.x, again.x, rtol=1e-14)
    assert run.status == again.status
    assert run.stats["scheme"] == "ForwardEuler"
    halved = jax.jit(lambda run: run.energy / 2)(again)
    np.testing.assert_array_equal(halved, again.energy / 2)


def test_a_status_has_no_words_while_it_is_traced():
    with pytest.raises(TypeError, match="outside of jit"):
        jax.jit(lambda x: str(gf.iterate(FLOW, gf.ForwardEuler(), x, step=0.1, steps=3).status.outcome))(X0)


def test_shapes_are_checked_under_jit_too():
    with pytest.raises(ValueError, match=r"iterate: `x0` of shape \(3,\) does not fit the energy"):
        jax.jit(lambda x: gf.iterate(FLOW, gf.ForwardEuler(), x, step=0.1, steps=3).energy)(jnp.ones(3))


def test_noise_is_differentiated_along_its_own_path():
    """Of dx = −λx dt + √(2T) dW from 0 each draw is √T times what it is at T = 1."""
    flow = gf.Quadratic([[1.0]])

    def second_moment(temperature):
        chains = gf.sample(
            gf.Langevin(flow, temperature), gf.EulerMaruyama(), [0.0], step=0.1, draws=5, chains=20, burn_in=5,
            key=jax.random.key(0),
        )  # fmt: skip
        return jnp.mean(chains.x**2)

    value, slope = jax.jit(jax.value_and_grad(second_moment))(0.5)
    assert float(slope) == pytest.approx(float(value) / 0.5, rel=1e-10)
    assert float(value) == pytest.approx(float(second_moment(0.5)), rel=1e-12)


def test_seeds_are_lanes():
    keys = jax.random.split(jax.random.key(1), 3)
    flow = gf.Langevin(BOWL)
    draw = jax.vmap(lambda key: gf.iterate(flow, gf.EulerMaruyama(), X0, step=0.1, steps=4, key=key).x)
    batch = jax.jit(draw)(keys)
    alone = gf.iterate(flow, gf.EulerMaruyama(), X0, step=0.1, steps=4, key=keys[2]).x
    np.testing.assert_allclose(batch[2], alone, rtol=1e-13)


def test_the_iteration_itself_is_pure():
    iteration = gf.Iteration(gf.HeavyBall(BOWL), gf.MomentumEuler(), 0.1)
    z0 = iteration.flow.init(X0)

    def after(z0, steps):
        carry = jax.lax.fori_loop(0, steps, lambda _, carry: iteration.one(carry), iteration.start(z0))
        return iteration.position(carry)

    run = gf.iterate(iteration.flow, iteration.scheme, X0, step=0.1, steps=6)
    np.testing.assert_allclose(jax.jit(after)(z0, 6), run.x[-1], rtol=1e-13)
    carry = iteration.start(z0)
    vector, carried = iteration.flat(carry)
    assert vector.shape == (4,)
    jacobian = jax.jacfwd(lambda v: iteration.flat(iteration.one(carried(v)))[0])(vector)
    np.testing.assert_allclose(
        jnp.linalg.matrix_power(jacobian, 6) @ vector, iteration.flat(run_carry(iteration, carry, 6))[0]
    )


def run_carry(iteration, carry, steps):
    for _ in range(steps):
        carry = iteration.one(carry)
    return carry


def test_paths_of_many_starts_are_one_batch():
    times = jnp.linspace(0.5, 2.0, 4)
    paths = jax.jit(jax.vmap(lambda x: gf.integrate(FLOW, x, 2.0, ts=times).x))(jnp.eye(2))
    exact = np.stack([scipy.linalg.expm(-float(t) * np.asarray(H)) for t in times], axis=1)
    np.testing.assert_allclose(paths, exact, atol=1e-7)


def test_a_path_knows_its_derivatives():
    """By the start e^(−tH), by the end of time ẋ = −∇E, and the opposite by its start, where nothing else tells it."""

    def end(x, t0, t1):
        return gf.integrate(FLOW, x, t1, t0=t0).x[-1]

    by_x, by_t0, by_t1 = jax.jit(jax.jacrev(end, (0, 1, 2)))(X0, 0.5, 2.0)
    propagator = scipy.linalg.expm(-1.5 * np.asarray(H))
    np.testing.assert_allclose(by_x, propagator, atol=1e-7)
    gradient = np.asarray(H) @ propagator @ np.asarray(X0)
    np.testing.assert_allclose([by_t0, by_t1], [gradient, -gradient], rtol=1e-6)


def test_a_path_has_a_forward_derivative():
    def end(x):
        return gf.integrate(FLOW, x, 2.0, adjoint=diffrax.ForwardMode()).x[-1]

    np.testing.assert_allclose(jax.jit(jax.jacfwd(end))(X0), scipy.linalg.expm(-2 * np.asarray(H)), atol=1e-7)


@pytest.mark.parametrize(
    ("count", "flow_class"), [(2, gf.GradientFlow), pytest.param(17, gf.HeavyBallFlow, marks=thorough)]
)
def test_a_stiff_mode_at_rest_has_its_derivative_all_the_same(count, flow_class):
    """Explicit steps grow beyond stability where nothing moves: 3.7e29 and 868 came out."""
    lam, slow = jnp.linspace(1.0, 300.0, count), jnp.zeros(count).at[0].set(1.0)
    flow = flow_class(gf.energy(lambda x: jnp.sum(lam * x**2) / 2))
    (derivative,) = jax.jit(
        lambda x: jax.vjp(lambda x: gf.integrate(flow, x, 1.0, rtol=1e-6).x[-1], x)[1](jnp.ones(count))
    )(slow)
    exact = flow_class(gf.Quadratic(jnp.diag(lam)))
    modes = exact.position(exact.solution(0.0, exact.init(jnp.ones(count)), 1.0))
    np.testing.assert_allclose(derivative, modes, atol=1e-2)


@thorough
def test_a_wrong_adjoint_is_told():
    with pytest.raises(TypeError, match=r"adjoint=diffrax\.ForwardMode"):
        jax.jacfwd(lambda x: gf.integrate(FLOW, x, 2.0).x[-1])(X0)


def test_a_state_of_rest_is_differentiated_implicitly():
    """The minimizer of ½‖Mx − v‖² is M⁺v, from everywhere if there is one; else where one starts decides.

    On a line of minima the derivative in the start is the projection on it, which is no root's; NaN says so.
    """
    M = jnp.array([[4.0, 1.0], [1.0, 3.0], [0.0, 1.0]])

    @jax.jit
    @functools.partial(jax.jacrev, argnums=(1, 2))
    def slopes(M, v, x0):
        return gf.integrate(gf.GradientFlow(gf.LeastSquares(M, v)), x0, math.inf).x[-1]

    v, x0 = jnp.array([1.0, 2.0, 3.0]), jnp.array([0.3, 0.1])
    of_data, of_start = slopes(M, v, x0)
    np.testing.assert_allclose(of_data, np.linalg.pinv(M), atol=1e-12)
    np.testing.assert_array_equal(of_start, np.zeros((2, 2)))
    for slope in slopes(jnp.ones((3, 2)), v, x0):
        assert np.isnan(slope).all()


@thorough
def test_a_state_of_rest_has_second_derivatives_through_closures():
    """Where x³ + 1 = c, x = (c − 1)^{1/3} and x″ = −(2/9)(c − 1)^{−5/3}."""

    def rest(c):
        return gf.integrate(gf.GradientFlow(gf.energy(lambda x: x**4 / 4 + x - c * x)), 1.0, math.inf).x[-1]

    second = jax.jit(jax.jacfwd(jax.grad(rest)))(3.0)
    assert float(second) == pytest.approx(-2 / 9 * 2 ** (-5 / 3), rel=1e-8)


def test_a_traced_path_says_when_its_steps_ran_out():
    path = jax.jit(lambda x: gf.integrate(FLOW, x, 100.0, max_steps=5))(X0)
    assert path.status == "out of steps"
    # It got as far as it got.
    assert 0 < float(path.t[-1]) < 100
    np.testing.assert_allclose(path.x[-1], scipy.linalg.expm(-float(path.t[-1]) * np.asarray(H)) @ X0, rtol=1e-6)


def test_no_traced_step_leads_across_the_wall_where_the_energy_ends():
    """ẋ = −1 + a/x comes to rest at a, with dx/da = 1; behind the pole of −a log x the field is finite again."""

    def end(a):
        flow = gf.GradientFlow(gf.energy(lambda x: jnp.sum(x - a * jnp.log(x))))
        path = gf.integrate(flow, jnp.array([1.0]), 3.0, solver="kvaerno5")
        return path.x[-1, 0], path.status

    value, status = jax.jit(end)(1e-8)
    assert float(value) == pytest.approx(1e-8, rel=1e-6)
    assert status == "reached the end"
    if THOROUGH:
        slope, _ = jax.jit(jax.grad(end, has_aux=True))(1e-8)
        assert float(slope) == pytest.approx(1.0, rel=1e-6)


def test_the_second_call_traces_nothing():
    traces = []

    def counted(x):
        traces.append(1)
        return jnp.sum(x**4) + jnp.sum(x**2)

    flow = gf.GradientFlow(gf.energy(counted))
    gf.iterate(flow, gf.ForwardEuler(), X0, step=0.01, steps=3)
    gf.iterate(flow, gf.ForwardEuler(), X0, step=0.01, steps=3, save_every=2)
    # Whether an end is at rest is asked where it may be, and traced once for that.
    gf.iterate(flow, gf.ForwardEuler(), X0, step=0.1, steps=90)
    known = len(traces)
    # Another step, another start, another number of steps.
    gf.iterate(flow, gf.ForwardEuler(), 2 * X0, step=0.02, steps=9)
    gf.iterate(flow, gf.ForwardEuler(), 2 * X0, step=0.02, steps=9, save_every=4)
    assert len(traces) == known


def test_a_state_of_rest_that_a_constraint_holds_has_its_derivative_but_where_it_only_just_does():
    box = gf.constraints.Box(-1.0, 1.0)

    def end(c):
        flow = gf.ProjectedFlow(gf.energy(lambda x: (x - c) ** 2 / 2), box)
        return gf.integrate(flow, jnp.asarray(0.5), math.inf).x[-1]

    derivative = jax.jit(jax.grad(end))
    assert derivative(0.25) == pytest.approx(1, abs=1e-6)
    assert derivative(2.0) == 0
    # From one side it is 1, from the other 0.
    assert jnp.isnan(derivative(1.0))


def test_a_bound_takes_its_coordinate_out_of_the_others_derivatives():
    """With x₁ at its bound b, x₀ = c₀ − b/2."""

    def end(c, bound):
        flow = gf.ProjectedFlow(
            gf.energy(lambda x: jnp.sum((x - c) ** 2) / 2 + 0.5 * x[0] * x[1]), gf.constraints.Box(0.0, bound)
        )
        return gf.integrate(flow, jnp.array([0.5, 0.5]), math.inf).x[-1]

    by_c, by_bound = jax.jit(jax.jacobian(end, argnums=(0, 1)))(jnp.array([0.9, 2.0]), 1.0)
    np.testing.assert_allclose(by_c, [[1, 0], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(by_bound, [-0.5, 1], atol=1e-6)


@pytest.mark.parametrize("differentiate", [jax.jacrev, jax.jacfwd], ids=["reverse", "forward"])
def test_on_a_curved_boundary_a_state_of_rest_turns_with_its_data(differentiate):
    """The point of the disk nearest to c is c/‖c‖: its derivative projects on the tangent, over ‖c‖."""

    def end(c):
        flow = gf.ProjectedFlow(gf.energy(lambda x: jnp.sum((x - c) ** 2) / 2), gf.constraints.L2Ball(1.0))
        return gf.integrate(flow, jnp.array([0.1, 0.1]), math.inf).x[-1]

    c = jnp.array([1.5, 1.0])
    normal, size = np.asarray(c) / np.linalg.norm(c), np.linalg.norm(c)
    found = jax.jit(differentiate(end))(c)
    np.testing.assert_allclose(found, (np.eye(2) - np.outer(normal, normal)) / size, atol=1e-6)


def test_another_number_of_rows_compiles_nothing():
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: compiled.append(name) if "backend_compile" in name else None
    )
    flow = gf.GradientFlow(gf.energy(lambda x: jnp.sum((x - 1.0) ** 4) + jnp.sum(x**2)))
    runs = [lambda k: gf.iterate(flow, gf.ForwardEuler(), [1.0, 2.0], step=0.01, steps=17 + k),
            lambda k: gf.integrate(flow, [1.0, 2.0], 1.0 + k)]  # fmt: skip
    for run in runs:
        first = run(0)
        compiled.clear()
        second = run(3)
        assert not compiled
        assert len(second) != len(first)


def test_at_a_saddle_that_a_nudge_leaves_there_is_no_derivative():
    """x₁ = 0 leads to the saddle, any other x₁ to one of two minima."""
    E = gf.energy(lambda x: x[0] ** 2 - x[1] ** 2 + x[1] ** 4)
    found = jax.jit(jax.jacobian(lambda x: gf.integrate(gf.GradientFlow(E), x, math.inf).x[-1]))(jnp.array([1.0, 0.0]))
    assert np.isnan(found).all()


def test_a_start_is_written_out_with_numbers_that_are_traced():
    """A gradient by one coordinate: of gradient descent's E = (0.9³a)²/2 + …, and of the flow's e^(−2t)a²/2 + …"""
    flow = gf.GradientFlow(gf.Quadratic([[1.0, 0.0], [0.0, 9.0]]))
    run = lambda a: gf.iterate(flow, gf.ForwardEuler(), [a, 2.0], step=0.1, steps=3).energy[-1]
    path = lambda a, b: gf.integrate(flow, (a, b), 0.5).energy[-1]
    assert jax.grad(run)(1.0) == pytest.approx(0.9**6)
    assert jax.grad(path, (0, 1))(1.0, 2.0) == pytest.approx((np.exp(-1.0), 18 * np.exp(-9.0)), rel=1e-4)
    assert jax.jit(lambda x: gf.iterate(flow, gf.ForwardEuler(), x, step=0.1, steps=3).x)([1.0, 1.0]).shape == (4, 2)


def test_a_state_is_written_out_with_numbers_that_are_traced():
    flow = gf.HeavyBallFlow(gf.energy(lambda x: x**2 / 2), friction=0.0)
    end = lambda v: gf.iterate(flow, gf.MomentumEuler(), state=(1.0, v), step=0.1, steps=1).x[-1]
    assert end(0.0) == pytest.approx(0.99)
    assert jax.grad(end)(0.0) == pytest.approx(0.1)
