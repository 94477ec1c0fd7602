"""Flows with noise: exact laws by linear algebra and quadrature, sampled ones within four standard errors."""

import math
import warnings

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.stats
from scipy.special import gamma

import gradientflow as gf
from gradientflow.flows.linear.oscillation import oscillated

from .thorough import part, thorough

H = np.array([[2.0, 0.5], [0.5, 1.0]])
BOWL = gf.Quadratic(H, [1.0, -1.0])
MEAN = np.linalg.solve(H, [1.0, -1.0])
T, M, FRICTION, STEP = 0.5, 0.7, 1.3, 0.3
OVERDAMPED = gf.Langevin(BOWL, temperature=T)
KINETIC = gf.KineticLangevin(BOWL, mass=M, friction=FRICTION, temperature=T)
OBABO = gf.StrangSplitting("friction", "force", "transport")
ABOBA = gf.StrangSplitting("transport", "force", "friction")
KEY = jax.random.key(0)
# The mean square of a draw of e^{−x⁴/4}.
QUARTIC = 2 * gamma(0.75) / gamma(0.25)


def stationary(flow, scheme, h=STEP):
    return gf.stationary_law(flow, [0.0, 0.0], discretizer=scheme, step=h)


def within(estimate, expected, largest=0.05):
    """Within four standard errors, which are at most so large a part of the value."""
    value, error = (np.asarray(part) for part in estimate)
    assert (error <= largest * np.abs(expected)).all()
    np.testing.assert_array_less(np.abs(value - expected), 4 * error)


# --- stationary laws on quadratics: no sampling -----------------------------------------------------------------------


def test_the_stationary_covariance_of_unadjusted_langevin():
    """T[H(I − hH/2)]⁻¹, and the flow's TH⁻¹."""
    law = stationary(OVERDAMPED, gf.EulerMaruyama())
    np.testing.assert_allclose(law.covariance, T * np.linalg.inv(H @ (np.eye(2) - STEP * H / 2)), rtol=1e-12)
    np.testing.assert_allclose(law.mean, MEAN, rtol=1e-12)
    np.testing.assert_allclose(gf.stationary_law(OVERDAMPED, [0.0, 0.0]).covariance, T * np.linalg.inv(H), rtol=1e-12)


def test_equipartition():
    """Positions T H⁻¹, velocities T/m, and nothing between them; after any time the transition leaves it so."""
    expected = scipy.linalg.block_diag(T * np.linalg.inv(H), T / M * np.eye(2))
    for law in (gf.stationary_law(KINETIC, [0.0, 0.0]), stationary(KINETIC, gf.ExactFlow())):
        np.testing.assert_allclose(law.state_covariance, expected, atol=1e-14)


@pytest.mark.parametrize("scheme", [gf.LeimkuhlerMatthews(), gf.ExactFlow()])
def test_overdamped_schemes_without_bias_on_quadratics(scheme):
    np.testing.assert_allclose(stationary(OVERDAMPED, scheme).covariance, T * np.linalg.inv(H), rtol=1e-13)


def test_kinetic_splittings_on_quadratics():
    """BAOAB and ABOBA sample positions exactly, OBABO velocities; what each gets wrong, it gets wrong by h²λ/4m."""
    off = np.eye(2) - STEP**2 * H / (4 * M)
    x, v = T * np.linalg.inv(H), T / M * np.eye(2)
    for scheme, expected in (
        (gf.BAOAB(), scipy.linalg.block_diag(x, v @ off)),
        (ABOBA, scipy.linalg.block_diag(x, v @ np.linalg.inv(off))),
        (OBABO, scipy.linalg.block_diag(x @ np.linalg.inv(off), v)),
    ):
        np.testing.assert_allclose(stationary(KINETIC, scheme).state_covariance, expected, atol=1e-14)


@pytest.mark.parametrize(
    ("flow", "scheme", "order"),
    [
        (OVERDAMPED, gf.EulerMaruyama(), 1),
        (KINETIC, gf.EulerMaruyama(), 1),
        (KINETIC, gf.StochasticExponential(), 1),
        (KINETIC, OBABO, 2),
        (KINETIC, gf.LieSplitting("force", "transport", "friction"), 1),
    ],
)
def test_the_order_of_the_stationary_bias(flow, scheme, order):
    exact = gf.stationary_law(flow, [0.0, 0.0]).covariance
    bias = [np.abs(stationary(flow, scheme, h).covariance - exact).max() for h in (0.02, 0.01)]
    assert math.log2(bias[0] / bias[1]) == pytest.approx(order, abs=0.05)


# --- laws at finite times ---------------------------------------------------------------------------------------------


def test_the_law_of_langevin_at_any_time():
    """The gradient flow's mean, the covariance T H⁻¹(I − e^{−2Ht}), and one at the start carried along by e^{−Ht}."""
    start = np.array([[0.3, 0.1], [0.1, 0.2]])
    law = gf.gaussian_law(OVERDAMPED, [1.0, 2.0], 0.8, covariance=start)
    decay = scipy.linalg.expm(-0.8 * H)
    np.testing.assert_allclose(law.mean, MEAN + decay @ ([1.0, 2.0] - MEAN), rtol=1e-12)
    expected = T * np.linalg.inv(H) @ (np.eye(2) - decay @ decay) + decay @ start @ decay
    np.testing.assert_allclose(law.covariance, expected, rtol=1e-12)


FAR_OVERDAMPED = gf.KineticLangevin(BOWL, mass=1e-4, friction=2.0, temperature=T)


@pytest.mark.parametrize("flow", [OVERDAMPED, KINETIC, FAR_OVERDAMPED])
@pytest.mark.parametrize("steps", [1, 7])
def test_exact_transitions_compose(flow, steps):
    """However many there are, they lead to the law of the flow, which is found by another route."""
    one = gf.gaussian_law(flow, [1.0, 2.0], 1.3)
    many = gf.gaussian_law(flow, [1.0, 2.0], 1.3, discretizer=gf.ExactFlow(), steps=steps)
    np.testing.assert_allclose(many.state_mean, one.state_mean, atol=1e-13)
    np.testing.assert_allclose(many.state_covariance, one.state_covariance, rtol=1e-9, atol=1e-13)


def test_transitions_where_nothing_pulls_back():
    """A flat mode spreads: √(2Tt), and with friction as the integral of an Ornstein–Uhlenbeck process."""
    flat = gf.Quadratic([[0.0]])
    law = gf.gaussian_law(gf.Langevin(flat, T), [0.0], 2.0, discretizer=gf.ExactFlow(), steps=3)
    assert law.covariance[0, 0] == pytest.approx(2 * T * 2.0, rel=1e-13)
    flow = gf.KineticLangevin(flat, mass=1.0, friction=FRICTION, temperature=T)
    for t in (0.01, 30.0):
        g, law = FRICTION, gf.gaussian_law(flow, [0.0], t, discretizer=gf.ExactFlow(), steps=1)
        spread = 2 * T / g * (t - 2 * -math.expm1(-g * t) / g - math.expm1(-2 * g * t) / (2 * g))
        assert law.covariance[0, 0] == pytest.approx(spread, rel=1e-7)


@pytest.mark.parametrize("scheme", [gf.EulerMaruyama(), gf.LeimkuhlerMatthews()])
def test_weak_order_one(scheme):
    exact = gf.gaussian_law(OVERDAMPED, [1.0, 2.0], 1.0).covariance
    error = [
        np.abs(gf.gaussian_law(OVERDAMPED, [1.0, 2.0], 1.0, discretizer=scheme, steps=n).covariance - exact).max()
        for n in (40, 80)
    ]
    assert math.log2(error[0] / error[1]) == pytest.approx(1, abs=0.05)


def test_laws_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match=r"spectral radius 1\.2"):
        stationary(gf.Langevin(gf.Quadratic([[2.2, 0.0], [0.0, 1.0]])), gf.EulerMaruyama(), 1.0)
    with pytest.raises(ValueError, match="every mode of the energy must have positive curvature"):
        gf.stationary_law(gf.Langevin(gf.landscapes.saddle()), [0.0, 0.0])
    with pytest.raises(ValueError, match="Langevin is not affine, or not the same at all times"):
        gf.stationary_law(gf.Langevin(gf.landscapes.rosenbrock()), [0.0, 0.0])
    with pytest.raises(ValueError, match="not the same at all times"):
        gf.stationary_law(gf.TimeChanged(OVERDAMPED, lambda t: t + t**2), [0.0, 0.0])
    with pytest.raises(TypeError, match="GradientFlow has no noise"):
        gf.stationary_law(gf.GradientFlow(BOWL), [0.0, 0.0])
    with pytest.raises(TypeError, match="`discretizer` and `step` belong together"):
        gf.stationary_law(OVERDAMPED, [0.0, 0.0], step=0.1)


# --- beyond quadratics ------------------------------------------------------------------------------------------------


def test_the_stationary_bias_on_a_quartic_by_quadrature():
    """O(h) for unadjusted Langevin; what is exact is known from Γ functions."""
    flow = gf.Langevin(gf.energy(lambda x: x**4 / 4))
    bias = []
    for h in (0.04, 0.02):
        scheme, exact = gf.stationary_density(flow, gf.EulerMaruyama(), step=h, low=-4.5, high=4.5, points=601).moments(
            2
        )
        assert exact == pytest.approx(QUARTIC, rel=1e-13)
        bias.append(scheme - exact)
    assert math.log2(bias[0] / bias[1]) == pytest.approx(1, abs=0.1)


def test_the_density_of_a_quadratic_is_its_gaussian_law():
    flow = gf.Langevin(gf.energy(lambda x: x**2), temperature=T)
    density = gf.stationary_density(flow, gf.EulerMaruyama(), step=STEP, low=-5.0, high=5.0, points=301)
    assert density.moments(2)[0] == pytest.approx(T / (2 * (1 - STEP)), rel=1e-12)
    assert density.moments(4)[0] == pytest.approx(3 * density.moments(2)[0] ** 2, rel=1e-12)
    [line] = density.plot().axes[0].lines
    np.testing.assert_array_equal(line.get_ydata(), density.scheme)


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ({"high": 1.0}, "move `low` and `high` outwards"),
        ({"points": 11}, "take more `points`"),
        ({"step": -1}, "`step`"),
    ],
)
def test_densities_that_a_grid_does_not_hold_are_refused(change, remedy):
    options = {"step": 0.3, "low": -4.0, "high": 4.0, "points": 201} | change
    with pytest.raises(ValueError, match=remedy):
        gf.stationary_density(gf.Langevin(gf.energy(lambda x: x**4 / 4)), gf.EulerMaruyama(), **options)


def test_wells_that_do_not_exchange_have_no_one_density():
    """At T = 0.1 the mean is 0, by symmetry; at T = 0.02 rounding would mix the wells as it likes."""
    energy, grid = gf.energy(lambda x: (x**2 - 1) ** 2), {"step": 0.02, "low": -2.0, "high": 2.0}
    found = gf.stationary_density(gf.Langevin(energy, 0.1), gf.EulerMaruyama(), **grid)
    assert abs(found.moments(1)[0]) < 1e-6
    with pytest.raises(ValueError, match="any mixture of them is stationary"):
        gf.stationary_density(gf.Langevin(energy, 0.02), gf.EulerMaruyama(), **grid)


@pytest.mark.parametrize("scheme", [None, gf.EulerMaruyama(), gf.LeimkuhlerMatthews()])
def test_flat_modes_have_no_stationary_law_whatever_rounding_says(scheme):
    for seed in range(20):
        A = np.random.default_rng(seed).normal(size=(3, 2))
        step = {} if scheme is None else {"discretizer": scheme, "step": 0.02}
        with pytest.raises(ValueError, match="nothing is stationary"):
            gf.stationary_law(gf.Langevin(gf.Quadratic(A @ A.T)), np.zeros(3), **step)


def test_noise_and_walls_are_refused_together():
    wall = gf.penalties.Indicator(gf.constraints.Box(0.0, 1.0))
    for make in (gf.Langevin, gf.KineticLangevin):
        with pytest.raises(ValueError, match="through the wall of Box; MirrorLangevin stays inside"):
            make(gf.Composite(BOWL, wall))
        make(gf.Composite(BOWL, gf.MoreauEnvelope(wall, 0.1)))


def test_a_path_is_walked_to_its_end_and_by_the_flow_it_is_of():
    flow = gf.Langevin(gf.energy(lambda x: jnp.sum(x**2)))
    path = gf.BrownianPath(flow, [0.0], 0.0, 0.3, KEY)  # 3 · 0.1 is more than 0.3
    run = gf.iterate(flow, gf.EulerMaruyama(), [0.0], step=0.1, steps=3, key=path)
    assert np.isfinite(run.x).all()
    with pytest.raises(ValueError, match=r"has shape \[\(1,\)\], and the flow needs \[\(3,\)\]"):
        gf.iterate(flow, gf.EulerMaruyama(), np.zeros(3), step=0.1, steps=3, key=path)


def test_a_draw_of_a_bounded_energy_is_not_running_off():
    flow = gf.Langevin(gf.landscapes.double_well(), 0.05)
    run = gf.iterate(flow, gf.EulerMaruyama(), [0.001, 0.0], step=0.05, steps=2000, save_every=100, key=KEY)
    assert run.status == "reached the end"


@jax.jit
def swung(a, k):
    """The variances that two halves of white noise, each of variance 1/2, leave."""
    kicks = jax.jit(jax.jacfwd(lambda halves: jnp.stack(oscillated(a, k, 1.0, (halves[0], halves[1])))))(jnp.zeros(2))
    return jnp.sum(kicks**2, axis=1) / 2


@pytest.mark.parametrize(("a", "k"), part([(0.0, 2_500.0), (1e-16, 100.0), (1e-9, 100.0), (1e-3, 100.0), (1.5, 400.0)]))
def test_fast_modes_swing_as_precisely_as_slow_ones(a, k):
    """White noise on the velocity for a unit of time: the variances, by adaptive integrals of the response."""
    found = swung(a, k)
    s = math.sqrt(k - a**2)

    def position(t):
        return math.exp(-a * t) * math.sin(s * t) / s

    def velocity(t):
        return math.exp(-a * t) * (math.cos(s * t) - a / s * math.sin(s * t))

    expected = [scipy.integrate.quad(lambda t, f=f: f(t) ** 2, 0, 1, limit=400)[0] for f in (position, velocity)]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_a_step_below_a_path_s_resolution_is_refused():
    flow = gf.Langevin(gf.energy(lambda x: jnp.sum(x**2)))
    path = gf.BrownianPath(flow, [0.0], 0.0, 1.0, KEY, resolution=0.1)
    with pytest.raises(ValueError, match="below the Brownian path's resolution"):
        gf.iterate(flow, gf.EulerMaruyama(), [0.0], step=0.05, steps=3, key=path)


@thorough
def test_kramers_time_is_out_of_the_well_of_the_start():
    tilted = gf.energy(lambda x: (x**2 - 1) ** 2 - 0.2 * x)
    times = gf.exit_time(tilted, temperature=0.05, start=-1.0, end=1.0, wall=-3.0)
    assert times.kramers == pytest.approx(times.mean, rel=0.1)


def test_a_density_is_of_gaussian_steps_only():
    class StochasticHeun(gf.Discretizer):
        def step(self, flow, t, z, h, noise=None, **_):
            ahead = z + h * flow.drift(t, z) + flow.diffusion(t, z)(noise)
            return z + h * (flow.drift(t, z) + flow.drift(t + h, ahead)) / 2 + flow.diffusion(t, z)(noise)

    options = {"step": 0.05, "low": -4.0, "high": 4.0, "points": 201}
    with pytest.raises(ValueError, match="StochasticHeun are not linear in their noise"):
        gf.stationary_density(gf.Langevin(gf.energy(lambda x: x**4 / 4)), StochasticHeun(), **options)


def test_leimkuhler_matthews_is_baoab_at_infinite_friction():
    """Of the step h²/2m, at the same normal numbers: the velocities that BAOAB draws are forgotten at once."""
    energy, h = gf.energy(lambda x: x**4 / 4), 0.3
    kinetic = gf.KineticLangevin(energy, mass=M, friction=1e6, temperature=T)
    normals, step = jnp.asarray(np.random.default_rng(0).normal(size=6)), h**2 / (2 * M)
    z = kinetic.init(jnp.asarray(0.8))
    # BAOAB starts on the way, LM where a friction's stroke is over: the first half of a transport comes before.
    first = 0.8 + h / 2 * (-h / (2 * M) * 0.8**3)
    x = [first + h / 2 * math.sqrt(T / M) * normals[0]]
    memory, ends = math.sqrt(step) * normals[0], []
    overdamped, scheme = gf.Langevin(energy, temperature=T), gf.LeimkuhlerMatthews()
    for k, normal in enumerate(normals):
        z = gf.BAOAB().step(kinetic, 0.0, z, h, noise=math.sqrt(h) * normal)
        ends.append(z.x)
        if k:
            after, memory = scheme.step(overdamped, 0.0, x[-1], step, noise=math.sqrt(step) * normal, memory=memory)
            x.append(after)
    np.testing.assert_allclose(x, ends, rtol=1e-12)


@thorough
def test_leimkuhler_matthews_is_less_biased_on_a_quartic():
    """By sampling: within its errors where unadjusted Langevin is off by tens of them."""
    flow = gf.Langevin(gf.energy(lambda x: x**4 / 4))
    options = {"step": 0.1, "draws": 50, "chains": 4_000, "burn_in": 40, "thin": 20, "key": KEY}
    (good, error), (biased, _) = (
        gf.sample(flow, scheme, 0.5, **options).expectation(lambda x: x**2)
        for scheme in (gf.LeimkuhlerMatthews(), gf.EulerMaruyama())
    )
    assert abs(good - QUARTIC) < 4 * error + 0.002
    assert biased - QUARTIC > 5 * error


def test_sampled_covariances_are_those_of_linear_algebra():
    for flow, scheme in ((OVERDAMPED, gf.EulerMaruyama()), (KINETIC, gf.BAOAB())):
        chains = gf.sample(flow, scheme, MEAN, step=STEP, draws=20, chains=2_000, burn_in=60, thin=10, key=KEY)
        within(chains.expectation(lambda x: (x - MEAN) ** 2), np.diag(stationary(flow, scheme).covariance))


@thorough
def test_equipartition_in_a_double_well():
    """Each velocity has the variance T/m, whatever the energy, where the scheme is exact for velocities."""
    flow = gf.KineticLangevin(gf.landscapes.double_well(), mass=2.0, temperature=0.3)
    states = gf.iterate(flow, OBABO, [1.0, 0.0], step=0.2, steps=100_000, key=KEY).state.v
    # Batches much longer than the memory of a velocity, m/γ = 2, are as good as independent.
    batches = jnp.mean(states[1:].reshape(100, 1000, 2) ** 2, axis=1)
    within((jnp.mean(batches, axis=0), jnp.std(batches, axis=0, ddof=1) / 10), 0.3 / 2.0)


# --- strong orders ----------------------------------------------------------------------------------------------------

QUARTIC_BOWL = gf.energy(lambda x: jnp.sum(x**4 / 4 + x**2 / 2))


@pytest.mark.parametrize(
    ("flow", "scheme", "order"),
    [
        (gf.Langevin(QUARTIC_BOWL, 0.3), gf.EulerMaruyama(), 1),
        pytest.param(gf.KineticLangevin(QUARTIC_BOWL), gf.BAOAB(), 1, marks=thorough),
        pytest.param(gf.KineticLangevin(QUARTIC_BOWL), gf.StochasticExponential(), 1, marks=thorough),
        pytest.param(gf.Langevin(QUARTIC_BOWL), gf.LeimkuhlerMatthews(), 0.5, marks=thorough),
        (gf.MirrorLangevin(gf.energy(jnp.sum), gf.potentials.PositiveEntropy(), 0.1), gf.EulerMaruyama(), 0.5),
    ],
)
def test_strong_orders(flow, scheme, order):
    """1 for additive noise, 1/2 for multiplicative; Leimkuhler–Matthews lags half a step behind its path."""
    found = gf.strong_order(flow, scheme, [0.5], 0.1, key=KEY, steps=(8, 16, 32))
    assert found.order == pytest.approx(order, abs=0.15)
    assert (found.standard_errors <= 0.05 * found.errors).all()


def test_a_flow_and_its_exact_transition_share_a_path():
    """Strong order 1 of the transition: its law is exact, its coupling to the path is not."""
    found = gf.strong_order(OVERDAMPED, gf.ExactFlow(), [1.0, 2.0], 1.0, key=KEY, steps=(4, 8, 16), paths=200)
    assert found.order == pytest.approx(1, abs=0.15)


# --- stationary laws of any energy: no sampling -----------------------------------------------------------------------


def current(flow, log_density, z):
    """What the Fokker–Planck equation says that a density changes by, as a share of it: 0 where it is stationary."""
    flat, unravel = jax.flatten_util.ravel_pytree(z)

    def drift(y):
        return jax.flatten_util.ravel_pytree(flow.drift(0.0, unravel(y)))[0]

    def diffusivity(y):
        noise, form = jax.flatten_util.ravel_pytree(flow.brownian(z))
        factor = jax.jacobian(lambda w: jax.flatten_util.ravel_pytree(flow.diffusion(0.0, unravel(y))(form(w)))[0])(
            jnp.zeros_like(noise)
        )
        return factor @ factor.T / 2

    def density(y):
        return jnp.exp(log_density(unravel(y)) - log_density(z))

    def flux(y):
        spread = jax.jacfwd(lambda y: diffusivity(y) * density(y))(y)
        return drift(y) * density(y) - jnp.einsum("ijj->i", spread)

    return jnp.trace(jax.jacfwd(flux)(flat))


WAVY = gf.energy(lambda x: jnp.sum(x**4) / 4 + x[0] * x[1] + jnp.sin(x[1]))


@pytest.mark.parametrize("flow", [
    pytest.param(gf.Langevin(WAVY, temperature=T), marks=thorough),
    gf.KineticLangevin(WAVY, mass=M, friction=FRICTION, temperature=T),
    gf.MirrorLangevin(WAVY, gf.potentials.HyperbolicEntropy(0.5), temperature=T),
    gf.InteractingLangevin(WAVY, temperature=T),
], ids=lambda flow: type(flow).__name__)  # fmt: skip
def test_the_law_of_gibbs_is_stationary(flow):
    """Exactly, on an energy that is neither convex nor even: no current at a point of no distinction."""

    def log_density(z):
        x = flow.position(z)
        if isinstance(flow, gf.MirrorLangevin):  # in the dual variables, with dx = |∂x/∂y| dy
            return -WAVY.value(x) / T + jnp.linalg.slogdet(jax.jacobian(flow.position)(z))[1]
        if isinstance(flow, gf.InteractingLangevin):  # independent particles
            return -jnp.sum(jax.vmap(WAVY.value)(x)) / T
        kinetic = M * jnp.sum(z.v**2) / 2 if isinstance(flow, gf.KineticLangevin) else 0.0
        return -(WAVY.value(x) + kinetic) / T

    if isinstance(flow, gf.InteractingLangevin):
        z = flow.init(jnp.array([[0.7, -0.4], [0.1, 0.9], [-0.6, 0.2], [0.3, 0.5]]))
    else:
        z = jax.tree.map(lambda leaf: leaf + 0.3, flow.init(jnp.array([0.7, -0.4])))

    @jax.jit
    def currents(z):
        return current(flow, log_density, z), current(flow, lambda z: log_density(z) / 2, z)

    still, hotter = currents(z)
    assert float(still) == pytest.approx(0, abs=1e-12)
    assert abs(float(hotter)) > 1e-2


# --- other flows with noise -------------------------------------------------------------------------------------------


@thorough
def test_mirror_langevin_samples_a_gamma_law():
    """E = βx − (α − 1) log x on the half line, which no chain leaves."""
    alpha, beta = 4.0, 2.0
    energy = gf.energy(lambda x: jnp.sum(beta * x - (alpha - 1) * jnp.log(x)))
    flow = gf.MirrorLangevin(energy, gf.potentials.PositiveEntropy())
    chains = gf.sample(
        flow, gf.EulerMaruyama(), [1.0], step=0.004, draws=20, chains=1_000, burn_in=800, thin=150, key=KEY
    )
    assert bool((chains.x > 0).all())
    within(chains.expectation(), alpha / beta)
    within(chains.expectation(lambda x: x**2), alpha * (alpha + 1) / beta**2)


def test_the_noise_of_mirror_langevin_is_a_root_of_the_hessian():
    phi = gf.potentials.potential(lambda x: jnp.sum(x**4 + x**2) / 4 + (x[0] + x[1]) ** 2)
    flow, x = gf.MirrorLangevin(BOWL, phi, temperature=T), jnp.array([0.7, -1.1])
    box = gf.potentials.BoxEntropy(-2.0, 3.0)

    @jax.jit
    def asked(x):
        factor = jax.jacobian(flow.diffusion(0.0, flow.init(x)))(jnp.zeros(2))
        return factor, jax.hessian(phi.fn)(x), box.root(x)(jnp.ones(2)), jax.hessian(box.value)(x)

    factor, hessian, root, of_box = (np.asarray(found) for found in asked(x))
    np.testing.assert_allclose(factor @ factor.T, 2 * T * hessian, rtol=1e-7)
    np.testing.assert_allclose(root**2, np.diag(of_box), rtol=1e-12)
    with pytest.raises(TypeError, match="dual variables aren't unique"):
        gf.MirrorLangevin(BOWL, gf.potentials.Entropy())


SCALES, PLACES = np.array([0.5, 1.0, 3.0]), np.array([-1.0, 0.5, 2.0])
SAMPLES = gf.FiniteSum(lambda x, d: d["a"] * (x - d["b"]) ** 2 / 2, {"a": SCALES, "b": PLACES})


def sgd_moments(h, steps):
    """Mean and mean square of descent on one example at a time, drawn with replacement: an exact recursion."""
    mean, square = 2.0, 4.0
    for _ in range(steps):
        keep, push = 1 - h * SCALES, h * SCALES * PLACES
        square = np.mean(keep**2) * square + 2 * np.mean(keep * push) * mean + np.mean(push**2)
        mean = np.mean(keep) * mean + np.mean(push)
    return np.array([mean, square])


def diffusion_moments(flow, t):
    """Those of the diffusion, by an ODE whose coefficients are read off its drift and its noise."""

    def variance(x):
        return float(jnp.sum(jax.jacobian(flow.diffusion(0.0, x))(jnp.zeros(3)) ** 2))

    points = jnp.array([-1.0, 0.0, 1.0])
    slope, constant = np.polyfit(points, [float(flow.drift(0.0, x)) for x in points], 1)
    second, first, zeroth = np.polyfit(points, [variance(x) for x in points], 2)

    def rates(_, moments):
        mean, square = moments
        return [
            slope * mean + constant,
            2 * (slope * square + constant * mean) + second * square + first * mean + zeroth,
        ]

    return scipy.integrate.solve_ivp(rates, (0, t), [2.0, 4.0], rtol=1e-11, atol=1e-12).y[:, -1]


@pytest.mark.parametrize("order", [1, 2])
def test_the_weak_order_of_stochastic_modified_equations(order):
    errors = []
    for steps in (160, 320, 640):
        flow = gf.SGDDiffusion(SAMPLES, step=1 / steps, approximation=order)
        errors.append(np.abs(diffusion_moments(flow, 1.0) - sgd_moments(1 / steps, steps)))
    slopes = np.log2(np.array(errors)[:-1] / np.array(errors)[1:])
    np.testing.assert_allclose(slopes[-1], order, atol=0.15)


@thorough
def test_the_second_order_drift_is_the_modified_equations():
    """−(h/4)∇‖∇E‖² is what backward error analysis proves of forward Euler."""
    flow = gf.SGDDiffusion(SAMPLES, step=0.1, approximation=2)
    modified = gf.ModifiedFlow(gf.GradientFlow(SAMPLES), gf.ForwardEuler(), step=0.1, order=2)
    for x in (-1.0, 2.0):
        assert float(flow.drift(0.0, jnp.asarray(x))) == pytest.approx(
            float(modified.drift(0.0, jnp.asarray(x))), rel=1e-13
        )


def test_sgd_diffusion_is_scaled_by_step_and_batch():
    x = jnp.asarray(0.3)
    gradients = SCALES * (0.3 - PLACES)
    factor = jax.jacobian(gf.SGDDiffusion(SAMPLES, step=0.1, batch_size=4).diffusion(0.0, x))(jnp.zeros(3))
    assert float(factor @ factor) == pytest.approx(0.1 / 4 * gradients.var(), rel=1e-13)
    with pytest.raises(TypeError, match="must be a mean over examples"):
        gf.SGDDiffusion(BOWL, step=0.1)


@pytest.mark.parametrize("energy", [
    gf.LinearRegression([[0.0, 1.0], [1.0, 2.0], [2.0, -1.0]], [1.0, 3.0, 4.0], ridge=0.2),
    gf.LogisticRegression([[0.0, 1.0], [1.0, 2.0], [2.0, -1.0]], [0, 1, 1], ridge=0.2),
])  # fmt: skip
def test_a_regression_has_the_noise_of_its_examples(energy):
    """A penalty that all examples share is no noise."""
    x = jnp.array([0.3, -0.2, 0.5])

    @jax.jit
    def asked(x):
        each = jax.vmap(lambda i: energy.subset(i[None]).grad(x))(jnp.arange(3))
        diffusion = gf.SGDDiffusion(energy, step=0.1, batch_size=4).diffusion(0.0, x)
        return each, energy.grad(x), jax.jacobian(diffusion)(jnp.zeros(3))

    each, gradient, factor = (np.asarray(found) for found in asked(x))
    np.testing.assert_allclose(each.mean(axis=0), gradient, rtol=1e-13)
    np.testing.assert_allclose(factor @ factor.T, 0.1 / 4 * np.cov(each.T, bias=True), rtol=1e-12)


# --- interacting particles --------------------------------------------------------------------------------------------


def test_two_stein_particles_balance():
    """±a with e^{−2a²}(1 + 2) = 1 on x²/2 with T = ℓ = 1."""
    flow = gf.SteinFlow(gf.energy(lambda x: x**2 / 2), bandwidth=1.0)
    end = gf.integrate(flow, [-0.1, 0.1], 60.0).x[-1]
    np.testing.assert_allclose(end, math.sqrt(math.log(3) / 2) * np.array([-1, 1]), rtol=1e-8)


@thorough
def test_stein_flow_comes_close_to_the_moments_of_a_gaussian():
    """Forward Euler of it, which is Stein variational descent."""
    start = np.random.default_rng(0).normal(size=(60, 2)) + 3
    method = gf.Method(gf.SteinFlow(BOWL, temperature=T), gf.ForwardEuler(), 0.2)
    end = np.asarray(method.iterate(start, steps=2_000, save_every=2_000).x[-1])
    np.testing.assert_allclose(end.mean(axis=0), MEAN, atol=0.02)
    np.testing.assert_allclose(np.cov(end.T), T * np.linalg.inv(H), rtol=0.15, atol=0.02)


def test_interacting_langevin_does_not_see_an_affine_change_of_coordinates():
    A, b = np.array([[100.0, 3.0], [0.0, 0.1]]), np.array([1.0, -2.0])
    start = np.random.default_rng(1).normal(size=(6, 2))
    energy = gf.energy(lambda x: jnp.sum(x**4) / 4 + x[0] * x[1])
    changed = gf.energy(lambda y: energy.value(jnp.linalg.solve(A, y - b)))
    one, other = (
        gf.iterate(gf.InteractingLangevin(E), gf.EulerMaruyama(), x0, step=0.01, steps=50, key=KEY).x[-1]
        for E, x0 in ((energy, start), (changed, start @ A.T + b))
    )
    np.testing.assert_allclose(other, one @ A.T + b, rtol=1e-9)


@thorough
def test_interacting_langevin_on_a_narrow_valley():
    """Ten particles, condition 10⁴; each of them is a draw."""
    narrow = gf.Quadratic([[1e4, 0.0], [0.0, 1.0]])
    start = np.random.default_rng(0).normal(size=(10, 2)) * [1e-2, 1.0]
    chains = gf.sample(
        gf.InteractingLangevin(narrow), gf.EulerMaruyama(), start,
        step=0.02, draws=10, chains=200, burn_in=500, thin=50, key=KEY,
    )  # fmt: skip
    within(chains.expectation(lambda x: jnp.mean(x**2, axis=0)), np.array([1e-4, 1.0]), largest=0.03)


def test_a_particle_alone_is_refused():
    with pytest.raises(ValueError, match="at least two particles"):
        gf.integrate(gf.SteinFlow(gf.energy(lambda x: x**2)), [1.0], 1.0)


# --- leaving a well ---------------------------------------------------------------------------------------------------

DOUBLE = gf.energy(lambda x: (x**2 - 1) ** 2)


def test_exit_times_by_quadrature():
    """Free diffusion and an Ornstein–Uhlenbeck process in closed form, a double well at low temperature by Kramers."""
    flat = gf.exit_time(gf.energy(lambda x: 0.0 * x), temperature=0.3, start=0.5, end=2.0, wall=0.0)
    assert flat.mean == pytest.approx((2.0**2 - 0.5**2) / 0.6, rel=1e-12)
    bowl = gf.exit_time(gf.energy(lambda x: x**2 / 2), temperature=1.0, start=0.0, end=2.0, wall=-12.0)

    def inner(y):
        return math.exp(y**2 / 2) * math.sqrt(2 * math.pi) * scipy.stats.norm.cdf(y)

    assert bowl.mean == pytest.approx(scipy.integrate.quad(inner, 0, 2, epsrel=1e-12)[0], rel=1e-10)
    assert math.isnan(flat.kramers)
    # The formula's relative error falls with the temperature.
    ratios = []
    for temperature in (0.05, 0.025):
        time = gf.exit_time(DOUBLE, temperature=temperature, start=-1.0, end=1.0, wall=-3.0)
        ratios.append(time.mean / time.kramers - 1)
    assert abs(ratios[1]) < 0.55 * abs(ratios[0]) < 0.05
    with pytest.raises(ValueError, match="`start` must lie between"):
        gf.exit_time(DOUBLE, temperature=0.1, start=0.0, end=1.0, wall=2.0)


@thorough
def test_the_kramers_time_of_a_double_well_by_sampling():
    """The first arrival at the barrier's top of 4,000 particles, against quadrature."""
    h, temperature, steps = 0.004, 0.4, 20_000
    flow, scheme = gf.Langevin(DOUBLE, temperature), gf.EulerMaruyama()
    expected = gf.exit_time(DOUBLE, temperature=temperature, start=-1.0, end=0.0, wall=-4.0).mean

    @jax.jit
    def first_arrivals(key):
        def one(k, carry):
            x, arrival = carry
            noise = jnp.sqrt(h) * jax.random.normal(jax.random.fold_in(key, k), x.shape)
            after = jax.vmap(lambda x, w: scheme.step(flow, 0.0, x, h, noise=w))(x, noise)
            # Between two steps a Brownian bridge may have been there: it was, with this chance.
            bridge = jnp.exp(-x * after / (temperature * h))
            crossed = (after >= 0) | (jax.random.uniform(jax.random.fold_in(key, -k - 1), x.shape) < bridge)
            return after, jnp.where(crossed & jnp.isinf(arrival), (k + 0.5) * h, arrival)

        return jax.lax.fori_loop(0, steps, one, (jnp.full(1_000, -1.0), jnp.full(1_000, jnp.inf)))[1]

    arrivals = np.asarray(first_arrivals(KEY))
    assert np.isfinite(arrivals).all()
    within((arrivals.mean(), arrivals.std(ddof=1) / math.sqrt(len(arrivals))), expected)


# --- chains -----------------------------------------------------------------------------------------------------------


def test_chains_are_labelled_as_arviz_takes_them():
    energy = gf.energy(lambda p: jnp.sum(p["w"] ** 2) + p["b"] ** 2)
    start = {"w": jnp.zeros((5, 3)), "b": jnp.arange(5.0)}
    chains = gf.sample(gf.KineticLangevin(energy), gf.BAOAB(), start, step=0.1, draws=7, thin=2, burn_in=3, key=KEY)
    tree = chains.to_arviz()
    assert tree["posterior"]["w"].dims == ("chain", "draw", "w_dim_0")
    assert dict(tree["posterior"].sizes) == {"chain": 5, "draw": 7, "w_dim_0": 3}
    np.testing.assert_allclose(tree["posterior"]["t"], 0.1 * (3 + 2 * np.arange(1, 8)))
    expected = (tree["posterior"]["w"] ** 2).sum("w_dim_0") + tree["posterior"]["b"] ** 2
    np.testing.assert_allclose(tree["sample_stats"]["energy"], expected, rtol=1e-14)


def test_a_leaf_may_be_called_energy():
    flow = gf.Langevin(gf.energy(lambda p: p["energy"] ** 2 + p["b"] ** 2))
    chains = gf.sample(flow, gf.EulerMaruyama(), {"energy": 0.0, "b": 0.0}, step=0.1, draws=3, chains=2, key=KEY)
    data = chains.to_xarray()
    np.testing.assert_allclose(data["energy"], data["x.energy"] ** 2 + data["b"] ** 2, rtol=1e-14)


@thorough
@pytest.mark.filterwarnings("ignore:\\s*ArviZ is undergoing:FutureWarning")
def test_arviz_finds_the_mean_that_we_find():
    import arviz

    chains = gf.sample(OVERDAMPED, gf.ExactFlow(), [0.0, 0.0], step=1.0, draws=200, chains=4, burn_in=10, key=KEY)
    found = arviz.summary(chains.to_arviz(), round_to="none")
    np.testing.assert_allclose(np.asarray(found["mean"], dtype=float), chains.expectation()[0], rtol=1e-12)
    assert list(found.index) == ["x[0]", "x[1]"]
    assert (np.asarray(found["r_hat"], dtype=float) < 1.02).all()


def test_single_precision_noise_keeps_the_state_double():
    options = {"step": 0.1, "draws": 3, "chains": 2, "key": KEY}
    chains = gf.sample(OVERDAMPED, gf.EulerMaruyama(), [0.0, 0.0], noise_dtype=jnp.float32, **options)
    assert chains.x.dtype == jnp.float64
    assert chains.stats["noise_precision"] == "float32"


def test_chains_that_diverge_are_told():
    chains = gf.sample(gf.Langevin(DOUBLE), gf.EulerMaruyama(), 0.0, step=1.0, draws=2, chains=3, burn_in=50, key=KEY)
    assert not chains.finite.any()
    assert "3 lost" in repr(chains)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"key": None}, TypeError, "give `key=jax.random.key"),
        ({"key": 3}, TypeError, "must be made by jax.random.key"),
        ({"flow": gf.GradientFlow(BOWL)}, TypeError, "GradientFlow has no noise"),
        ({"discretizer": gf.ForwardEuler()}, gf.UnansweredQuestionError, "this scheme would drop"),
        ({"chains": None}, ValueError, "give `chains` to start all from one position"),
        ({"step": 0.0}, ValueError, "`step` must be finite and positive"),
        ({"draws": 1.5}, TypeError, "`draws` must be an integer"),
    ],
)
def test_bad_input_to_sample(change, error, words):
    options = {"flow": OVERDAMPED, "discretizer": gf.EulerMaruyama(), "x0": {"x": 0.0}, "step": 0.1, "draws": 2}
    options = options | {"chains": 2, "key": KEY, "x0": [0.0, 0.0] if change.get("chains", 2) else 0.0} | change
    with pytest.raises(error, match=words):
        gf.sample(**options)


def test_starts_may_be_nested_lists():
    starts = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    chains = gf.sample(gf.Langevin(BOWL, 0.0), gf.EulerMaruyama(), starts, step=1e-9, draws=1, key=KEY)
    np.testing.assert_allclose(chains.x[:, 0], starts, atol=1e-6)


def test_one_chain_has_no_error():
    chains = gf.sample(OVERDAMPED, gf.EulerMaruyama(), [0.0, 0.0], step=0.1, draws=3, chains=1, key=KEY)
    with pytest.raises(ValueError, match="sample at least two"):
        chains.expectation()


def test_a_flow_with_noise_has_no_equilibrium_to_reach():
    with pytest.raises(ValueError, match="a flow with noise has no equilibrium to reach"):
        gf.integrate(OVERDAMPED, [0.0, 0.0], math.inf, key=KEY)


def test_integrating_multiplicative_noise_is_ito():
    """Two routes along one path: the fine solve, and Euler–Maruyama's steps, within the strong error of both."""
    flow = gf.MirrorLangevin(gf.energy(jnp.sum), gf.potentials.BoxEntropy(), 0.2)
    brownian = gf.BrownianPath(flow, [0.5], 0.0, 0.25, KEY, resolution=0.25 / 2**14)
    fine = gf.integrate(flow, [0.5], 0.25, key=brownian)
    coarse = gf.iterate(flow, gf.EulerMaruyama(), [0.5], step=0.25 / 1024, steps=1024, save_every=1024, key=brownian)
    assert fine.stats["solver"] == "Euler"
    assert float(abs(fine.x[-1, 0] - coarse.x[-1, 0])) < 1e-3


@thorough
def test_chains_that_ran_away_are_lost_though_their_numbers_are_finite():
    """Beyond 2/λ Euler–Maruyama grows by |1 − hλ| a step; below it heat alone is no flight."""
    flow, key = gf.Langevin(gf.Quadratic([[1.0]])), jax.random.key(0)
    lost = gf.sample(flow, gf.EulerMaruyama(), [0.0], step=2.5, draws=200, chains=4, key=key)
    assert np.isfinite(lost.x).all()
    assert not lost.finite.any()
    assert "4 lost" in repr(lost)
    with pytest.raises(ValueError, match=r"4 of 4 chains did not stay finite or ran away.*shorten the `step`"):
        lost.expectation()
    assert gf.sample(flow, gf.EulerMaruyama(), [0.0], step=0.1, draws=200, chains=4, key=key).finite.all()
    far = gf.sample(flow, gf.EulerMaruyama(), [1e4], step=0.1, draws=200, chains=4, key=key)
    assert far.finite.all()


def test_mirror_langevin_says_what_its_scheme_needs():
    """An exponential law does not vanish at 0; Γ(5, 1/2), the law of x⁴ e^{−2x}, does, and has the mean 5/2."""
    key, walls = jax.random.key(0), gf.potentials.PositiveEntropy()
    exponential = gf.MirrorLangevin(gf.energy(lambda x: x[0]), walls, temperature=0.5)
    chains = gf.sample(exponential, gf.EulerMaruyama(), [1.0], step=0.01, draws=400, chains=50, key=key)
    with pytest.raises(ValueError, match=r"ran away.*let the density e\^\{−E/T\} vanish at the walls"):
        chains.expectation()
    gamma = gf.MirrorLangevin(gf.energy(lambda x: x[0] - 2 * jnp.log(x[0])), walls, temperature=0.5)
    chains = gf.sample(gamma, gf.EulerMaruyama(), [2.5], step=0.01, draws=400, chains=200, burn_in=400, key=key)
    mean, error = chains.expectation(lambda x: x[0])
    assert abs(mean - 2.5) < 4 * error + 0.05


@thorough
def test_an_integrated_path_resolves_the_steepest_place_that_it_comes_to():
    """On x⁴/4 from 0, where nothing is curved, a step by the start's curvature samples ⟨x²⟩ = 0.52, not 0.68."""
    flow = gf.Langevin(gf.energy(lambda x: jnp.sum(x**4) / 4), temperature=1.0)
    path = gf.integrate(flow, [0.0], 20.0, key=KEY)
    steepest = 3 * float(jnp.max(path.x) ** 2)
    assert path.stats["step"] <= 2 * 0.05 / steepest * 1.01
    assert path.status.outcome == "reached the end"
    start = gf.integrate(flow, [0.0], 0.01, key=KEY)
    assert start.stats["step"] == pytest.approx(1e-5)


def test_chains_draw_their_own_minibatches():
    """E_i = (x − d_i)²/2: a batch adds white noise of a known strength to every step x' = (1 − h)x + …"""
    data = np.array([-2.0, 0.0, 1.0, 5.0])
    E = gf.FiniteSum(lambda x, d: jnp.sum((x - d) ** 2) / 2, data)
    h, T, size = 0.25, 0.1, 2
    chains = gf.sample(
        gf.Langevin(E, T), gf.EulerMaruyama(), [1.0], step=h, draws=40, thin=4, burn_in=40, chains=500,
        oracle=gf.MinibatchWithReplacement(size), key=KEY,
    )  # fmt: skip
    variance = (2 * h * T + h**2 * data.var() / size) / (1 - (1 - h) ** 2)
    for power, exact in ((1, data.mean()), (2, variance)):
        mean, error = chains.expectation(lambda x, p=power: (x[0] - (0 if p == 1 else data.mean())) ** p)
        assert abs(float(mean) - exact) < 4 * float(error)
    # Chains that saw the same batches would move together: their mean over chains would keep the batches' variance.
    assert float(jnp.var(jnp.mean(chains.x[:, :, 0], axis=0))) < 10 * variance / 500
    with pytest.raises(TypeError, match="sample: `oracle` must be one such as Minibatch"):
        gf.sample(gf.Langevin(E, T), gf.EulerMaruyama(), [1.0], step=h, draws=2, chains=2, oracle=7, key=KEY)


def test_chains_that_remember_their_start_say_so():
    """In a double well, all from the right: the mean is 0, and off by far more than its own standard error."""
    wells = gf.Langevin(gf.energy(lambda x: (x**2 - 1) ** 2), temperature=0.2)
    options = dict(step=0.02, burn_in=500, draws=250, thin=2, key=jax.random.key(1))
    stuck = gf.sample(wells, gf.LeimkuhlerMatthews(), 1.0, chains=100, **options)
    with pytest.warns(UserWarning, match="still remember their one start"):
        mean, error = stuck.expectation()
    assert mean > 5 * error
    mode = gf.Langevin(gf.Quadratic([[1.0]]), temperature=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # x² forgets it, and of starts of which nothing is known nothing is said.
        stuck.expectation(lambda x: x**2)
        gf.sample(wells, gf.LeimkuhlerMatthews(), jnp.ones(100), **options).expectation()
        gf.sample(mode, gf.ExactSolution(), [3.0], chains=100, **options | {"step": 0.1}).expectation()
