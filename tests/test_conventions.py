"""Momentum and Nesterov in the conventions of the literature: exact conversions, and the recurrences as printed."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradientflow as gf

from .thorough import THOROUGH

E = gf.LeastSquares([[4, 1], [1, 3]], [1, 2])
X0, STEPS = np.array([4.0, -1.0]), 60
ETA, BETA = 0.01, 0.8


def recurrence(update):
    """The iterates of (x, velocity, gradient) ↦ (x, velocity), from velocity 0."""
    x, v, rows = X0, np.zeros(2), [X0]
    for _ in range(STEPS):
        x, v = update(x, v, np.asarray(E.grad(x)))
        rows.append(x)
    return np.array(rows)


def optax_form(x, b, g):
    b = BETA * b + g
    return x - ETA * b, b


def displacement_form(x, d, g):
    d = BETA * d - ETA * g
    return x + d, d


def averaged_form(x, a, g):
    a = BETA * a + (1 - BETA) * g
    return x - 0.05 * a, a


def particle_form(x, v, g):
    v = (0.2 * v - 0.1 * g) / (0.2 + 0.5 * 0.1)
    return x + 0.1 * v, v


@pytest.mark.parametrize(
    ("momentum", "update"),
    [
        (gf.Momentum(ETA, BETA), optax_form),
        (gf.Momentum(ETA, BETA), displacement_form),
        (gf.Momentum.averaged(0.05, BETA), averaged_form),
        (gf.Momentum.particle(mass=0.2, friction=0.5, step=0.1), particle_form),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_convention_is_its_recurrence(momentum, update):
    run = momentum.method(E).iterate(X0, STEPS)
    np.testing.assert_allclose(run.x, recurrence(update), atol=1e-12)


def test_the_conversions_are_exact_and_undo_each_other():
    momentum = gf.Momentum(Fraction(1, 7), Fraction(3, 4))
    assert gf.Momentum.averaged(momentum.averaged_lr, momentum.beta) == momentum
    mass, step = momentum.as_particle(friction=Fraction(5, 3))
    assert gf.Momentum.particle(mass, Fraction(5, 3), step) == momentum
    assert (momentum.constant_gain, momentum.alternating_gain) == (4, Fraction(4, 7))
    assert momentum.memory_steps == 1 + mass / (Fraction(5, 3) * step)
    method = momentum.method(E)
    assert (method.flow.mass, method.step) == momentum.as_particle()


def test_the_gains_along_constant_and_alternating_gradients():
    """Measured on the velocity that a hundred such gradients build up."""
    for sign, gain in ((1, gf.Momentum(1.0, BETA).constant_gain), (-1, gf.Momentum(1.0, BETA).alternating_gain)):
        b = 0.0
        for k in range(100):
            b = BETA * b + sign**k
        assert abs(b) == pytest.approx(gain)


def test_bad_numbers_are_refused():
    with pytest.raises(ValueError, match="`beta` must lie in"):
        gf.Momentum(0.1, 1.0)
    with pytest.raises(ValueError, match="`friction` must be finite and positive"):
        gf.Momentum.particle(1.0, 0.0, 0.1)


# --- Nesterov --------------------------------------------------------------------------------------------------------


def nesterov(betas, s):
    """The textbook's x_{k+1} = y_k − s∇E(y_k), y_{k+1} = x_{k+1} + β_{k+1}(x_{k+1} − x_k): both sequences."""
    x = y = X0
    xs, ys = [x], [y]
    for beta in betas:
        x, last = y - s * np.asarray(E.grad(y)), x
        y = x + beta * (x - last)
        xs.append(x)
        ys.append(y)
    return np.array(xs), np.array(ys)


def test_the_textbooks_accelerated_gradient_is_a_step_of_nesterovs_flow():
    """Learning rate h² and β_k = (k − 1)/(k + 2), two steps on, exactly and in both conventions."""
    h = 0.1
    xs, ys = nesterov([(k - 1) / (k + 2) for k in range(3, STEPS + 3)], h * h)
    flow = gf.Nesterov(E, r=3.0)
    np.testing.assert_allclose(gf.iterate(flow, gf.NesterovStep(), X0, step=h, steps=STEPS).x, xs, atol=1e-12)
    np.testing.assert_allclose(gf.iterate(flow, gf.NesterovLookahead(), X0, step=h, steps=STEPS).x, ys, atol=1e-12)


def test_constant_momentum_in_both_conventions():
    xs, ys = nesterov([BETA] * STEPS, ETA)
    method = gf.optimizers.nesterov(E, lr=ETA, beta=BETA)
    np.testing.assert_allclose(method.iterate(X0, STEPS).x, ys, atol=1e-12)
    textbook = gf.iterate(method.flow, gf.NesterovStep(), X0, step=method.step, steps=STEPS)
    np.testing.assert_allclose(textbook.x, xs, atol=1e-12)


def test_nesterovs_rates_and_limits_are_read_from_the_step():
    """The limit (2 + 2β)/((1 + 2β)λ) in the learning rate; and 1 − √(μ/L) on a quadratic, for the tuned β."""
    method = gf.optimizers.nesterov(gf.Quadratic([[2.0]]), lr=Fraction(1, 10), beta=Fraction(3, 4))
    found = gf.stability(method)
    assert found.lr_limit == pytest.approx(float(Fraction(7, 2) / Fraction(5, 2) / 2))
    assert str(found.grade) == "proved"
    mu, L = 1.0, 100.0
    beta = (10 - 1) / (10 + 1)
    tuned = gf.optimizers.nesterov(gf.Quadratic(np.diag([mu, 30.0, L])), lr=1 / L, beta=beta)
    radius = max(
        gf.stability(gf.optimizers.nesterov(gf.Quadratic([[lam]]), 1 / L, beta)).spectral_radius(tuned.step)
        for lam in (mu, 30.0, L)
    )
    assert radius == pytest.approx(1 - np.sqrt(mu / L), abs=1e-6)


def test_nesterov_through_the_worst_case():
    """κ = 10 and the tuned β of the quadratics: between the quadratics' 1 − 1/√κ and the general √(1 − 1/√κ)."""
    beta = (np.sqrt(10) - 1) / (np.sqrt(10) + 1)
    rates = [
        gf.worst_case_rate(gf.Method(flow.flow, scheme, flow.step), mu=1, L=10).rate
        for flow in (gf.optimizers.nesterov(E, lr=0.1, beta=beta),)
        for scheme in (gf.NesterovStep(), gf.NesterovLookahead())
    ]
    assert rates[0] == pytest.approx(rates[1], abs=1e-6)
    assert 1 - 1 / np.sqrt(10) < rates[0] < np.sqrt(1 - 1 / np.sqrt(10))


# --- Other geometries ------------------------------------------------------------------------------------------------


def test_newtons_method_converges_quadratically_and_damped_it_shrinks_by_its_damping():
    run = gf.optimizers.newton(gf.energy(lambda x: jnp.sum(jnp.cosh(x)))).iterate([1.0], 4)
    errors = np.abs(np.asarray(run.x[:, 0]))
    # tanh turns a quadratic rate into a cubic one: x' = x − tanh x ≈ x³/3.
    np.testing.assert_allclose(errors[2:4], errors[1:3] ** 3 / 3, rtol=0.2)
    damped = gf.optimizers.newton(E, lr=0.15).iterate(X0, 10)
    away = np.asarray(damped.x) - np.asarray(E.minimizer)
    np.testing.assert_allclose(away, 0.85 ** np.arange(11)[:, None] * away[0], atol=1e-12)


def test_the_natural_gradient_of_a_constant_metric_is_preconditioned_descent():
    G = np.array([[17.0, 7.0], [7.0, 10.0]])
    run = gf.optimizers.natural_gradient(E, 0.3, G).iterate(X0, 5)
    away = np.asarray(run.x) - np.asarray(E.minimizer)
    np.testing.assert_allclose(away, 0.7 ** np.arange(6)[:, None] * away[0], atol=1e-12)


def test_projected_gradient_settles_where_the_flow_does():
    box = gf.constraints.Box([0.2, -1.0], [4.0, 0.5])
    run = gf.optimizers.projected_gradient(E, 0.05, box).iterate([4.0, -1.0], 300)
    path = gf.integrate(gf.ProjectedFlow(E, box), [4.0, -1.0], np.inf)
    assert run.status.outcome == path.status.outcome == "converged"
    np.testing.assert_allclose(run.x[-1], path.x[-1], atol=1e-8)


def test_accelerated_gradient_keeps_its_rate_on_a_convex_energy():
    """E − E* ≤ 2‖x₀ − x*‖²/(η k²), Nesterov's bound, on a spectrum reaching down to 1e-4."""
    lam = np.geomspace(1e-4, 1.0, 40)
    run = gf.optimizers.accelerated_gradient(gf.Quadratic(np.diag(lam)), lr=1.0).iterate(np.ones(40), 400)
    k = np.arange(1, 401)
    assert (np.asarray(run.energy)[1:] <= 2 * 40 / (k + 1) ** 2).all()
    plain = gf.optimizers.gradient_descent(gf.Quadratic(np.diag(lam)), lr=1.0).iterate(np.ones(40), 400)
    assert float(run.energy[-1]) < float(plain.energy[-1]) / 10


def test_a_named_method_knows_its_parameters():
    method = gf.optimizers.momentum(E, lr=ETA)
    assert method.parameters == {"lr": ETA, "beta": 0.9}
    other = method.with_parameters(beta=BETA)
    assert other.parameters == {"lr": ETA, "beta": BETA}
    assert other.step == gf.optimizers.momentum(E, ETA, BETA).step
    # What momentum without momentum comes down to keeps the name and what it was asked for.
    still = method.with_parameters(beta=0.0)
    assert still.parameters == {"lr": ETA, "beta": 0.0}
    assert isinstance(still.flow, gf.GradientFlow)
    assert still.with_parameters(beta=BETA).step == other.step
    assert gf.Method(method.flow, method.discretizer, 0.5).with_parameters(step=0.25).step == 0.25
    with pytest.raises(ValueError, match="with_parameters: unknown parameter 'betta'; did you mean 'beta'\\?"):
        method.with_parameters(betta=0.5)


@pytest.mark.parametrize("name", [name for name, make in vars(gf.optimizers).items() if hasattr(make, "equation")])
def test_every_named_method_is_made_again_from_its_parameters(name):
    make = getattr(gf.optimizers, name)
    further = {"mirror_descent": gf.potentials.Entropy(), "natural_gradient": [1.0, 2.0],
               "projected_gradient": gf.constraints.Box(-1.0, 1.0)}  # fmt: skip
    rate = [] if name in ("conjugate_gradients", "steepest_descent") else [0.01]
    energy = gf.Composite(E, gf.penalties.L1(1.0)) if make.__module__.endswith("proximal") else E
    method = make(energy, *rate, *([further[name]] if name in further else []))
    assert method.parameters.get("lr") == (0.01 if rate else None)
    again = method.with_parameters()
    assert jax.tree.structure(again) == jax.tree.structure(method)
    for old, new in zip(jax.tree.leaves(method), jax.tree.leaves(again), strict=True):
        assert old is new or np.array_equal(old, new)


def test_a_traced_parameter_is_one():
    method = gf.optimizers.momentum(E, lr=ETA, beta=BETA)
    betas = jnp.asarray([0.5, BETA])
    ends = jax.jit(jax.vmap(lambda beta: method.with_parameters(beta=beta).iterate(X0, 5).energy[-1]))(betas)
    np.testing.assert_allclose(ends[1], method.iterate(X0, 5).energy[-1], rtol=1e-12)
    if not THOROUGH:
        return
    slope = jax.jit(jax.grad(lambda lr: method.with_parameters(lr=lr).iterate(X0, 5).energy[-1]))(ETA)
    near = [method.with_parameters(lr=ETA + d).iterate(X0, 5).energy[-1] for d in (1e-6, -1e-6)]
    np.testing.assert_allclose(slope, (near[0] - near[1]) / 2e-6, rtol=1e-6)


def test_a_method_comes_first_where_a_flow_and_its_scheme_do():
    method, key = gf.optimizers.gradient_descent(E, ETA), jax.random.key(0)
    run = gf.iterate(method, X0, steps=5)
    np.testing.assert_array_equal(run.x, method.iterate(X0, 5).x)
    np.testing.assert_array_equal(gf.iterate(method, steps=2, state=run.state[-1]).x[0], run.x[-1])
    noisy = gf.Method(gf.Langevin(E, temperature=0.1), gf.EulerMaruyama(), 0.01)
    chains = gf.sample(noisy, X0, draws=2, chains=3, key=key)
    np.testing.assert_array_equal(
        chains.x, gf.sample(noisy.flow, noisy.discretizer, X0, step=0.01, draws=2, chains=3, key=key).x
    )
    for ask, more in ((gf.iterate, {"steps": 1}), (gf.sample, {"draws": 1})):
        with pytest.raises(TypeError, match=f"^{ask.__name__}: a Method has its own scheme; leave `step` out"):
            ask(method, X0, step=0.1, **more)
        with pytest.raises(TypeError, match=f"^{ask.__name__}: `step` must be given with a flow and its scheme"):
            ask(noisy.flow, noisy.discretizer, X0, **more)
    with pytest.raises(TypeError, match=r"^compare: method 'a': `discretizer` must be one such as ForwardEuler\(\)"):
        gf.compare(method.flow, {"a": (0.1, 0.1)}, X0, 1.0)
