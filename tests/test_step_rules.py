"""How long the next step is: the facts that make each step rule and schedule what its name says."""

import inspect

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize

import gradientflow as gf
from gradientflow.discretizers import DeterministicOracle

from .catalogue import quartic_bowl
from .thorough import part

EPS = np.finfo(float).eps
ROSENBROCK, HIMMELBLAU = gf.landscapes.rosenbrock(), gf.landscapes.himmelblau()
STARTS = ([-1.2, 1.0], [2.0, -1.0], [-2.0, 3.0])
H = np.array([[17.0, 7.0], [7.0, 10.0]])
KEY = jax.random.key(0)

# Every rule with two sets of numbers.
RULES = {
    gf.ConstantStep: (lambda: gf.ConstantStep(0.1), lambda: gf.ConstantStep(0.2)),
    gf.Schedule: (
        lambda: gf.Schedule(gf.schedules.cosine(0.1, 10)),
        lambda: gf.Schedule(gf.schedules.cosine(0.2, 5, floor=0.01)),
    ),
    gf.ExactLineSearch: (lambda: gf.ExactLineSearch(), lambda: gf.ExactLineSearch(initial=0.1, longest=10.0)),
    gf.GridSearch: (lambda: gf.GridSearch([0.1, 0.3]), lambda: gf.GridSearch([0.01, 0.2])),
    gf.Armijo: (lambda: gf.Armijo(), lambda: gf.Armijo(2.0, decrease=0.1, shrink=0.7, trials=50)),
    gf.Wolfe: (lambda: gf.Wolfe(), lambda: gf.Wolfe(2.0, 1e-3, 0.5, longest=10.0, trials=50)),
    gf.PolyakStep: (lambda: gf.PolyakStep(2.0, longest=1.0), lambda: gf.PolyakStep(1.5, longest=2.0)),
    gf.BarzilaiBorweinLong: (lambda: gf.BarzilaiBorweinLong(0.1), lambda: gf.BarzilaiBorweinLong(0.2)),
    gf.BarzilaiBorweinShort: (lambda: gf.BarzilaiBorweinShort(0.1), lambda: gf.BarzilaiBorweinShort(0.2)),
    gf.TrustRegion: (
        lambda: gf.TrustRegion(1.0),
        lambda: gf.TrustRegion(0.1, accept=0.2, good=0.8, shrink=0.3, grow=3.0, trials=50),
    ),
    gf.ClippedStep: (lambda: gf.ClippedStep(0.1, radius=0.5), lambda: gf.ClippedStep(0.2, radius=0.1)),
}


def name_of(value):
    return getattr(value, "__name__", None) or type(value).__name__


def descend(E, rule, x0, steps, **options):
    return gf.optimizers.gradient_descent(E, rule).iterate(x0, steps, **options)


def quadratic(*curvatures):
    return gf.Quadratic(np.diag(curvatures))


def looked_at(run, E):
    """Iterates, energies, gradients and steps of a run of gradient descent, as NumPy arrays."""
    return np.asarray(run.x), np.asarray(run.energy), np.asarray(jax.jit(jax.vmap(E.grad))(run.x)), np.diff(run.t)


# --- What every rule owes --------------------------------------------------------------------------------------------


def test_every_exported_rule_is_in_the_table():
    exported = (getattr(gf, name) for name in gf.__all__)
    final = {c for c in exported if inspect.isclass(c) and issubclass(c, gf.StepRule) and not inspect.isabstract(c)}
    assert set(RULES) == final


@pytest.mark.parametrize("rule", part(RULES, 5), ids=name_of)
def test_runs_in_single_precision_on_pytrees_and_other_numbers_do_not_compile(rule):
    traces = []

    def fn(p):
        traces.append(1)
        return 2 + jnp.sum(p["w"] ** 2) + p["b"] ** 2

    E = gf.energy(fn, minimum=2.0)
    x0 = {"w": jnp.ones(2, jnp.float32), "b": jnp.ones((), jnp.float32)}
    first, second = RULES[rule]
    costs = []
    for make in (first, first, second):
        before = len(traces)
        run = descend(E, make(), x0, 6, save_every=4)
        costs.append(len(traces) - before)
        assert {leaf.dtype for leaf in jax.tree.leaves((run.x, run.t))} == {jnp.dtype("float32")}
        assert float(run.energy[-1]) < float(run.energy[0])
    # The same run again costs the abstract steps that check the input; so does another one, and no more.
    assert costs[2] == costs[1] < costs[0]
    # At the minimizer nothing moves, and nothing is divided by zero.
    still = descend(E, first(), jax.tree.map(jnp.zeros_like, x0), 6, save_every=4)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(still.x))
    assert np.isfinite(np.asarray(still.t)).all()


@pytest.mark.parametrize(
    "rule",
    [gf.ExactLineSearch(), gf.Armijo(), gf.Wolfe(), gf.TrustRegion(100.0), gf.GridSearch([0.01, 0.1, 1.0, 10.0])],
    ids=name_of,
)
def test_a_step_to_where_the_energy_is_not_finite_is_too_long(rule):
    """X − log x from 0.05: full steps of gradient descent overshoot to 9.55, then past 0, where E is NaN."""
    E = gf.energy(lambda x: jnp.sum(x - jnp.log(x)) + jnp.where(jnp.any(x > 8), jnp.inf, 0.0))
    run = descend(E, rule, [0.05], 60)
    assert np.isfinite(np.asarray(run.energy)).all()
    assert float(run.x[-1, 0]) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("rule", [gf.ExactLineSearch, gf.GridSearch, gf.Armijo, gf.Wolfe, gf.TrustRegion], ids=name_of)
def test_searches_refuse_memory_and_noise(rule):
    E = gf.landscapes.bowl()
    with pytest.raises(TypeError, match="must be a scheme without memory such as ForwardEuler"):
        gf.iterate(gf.GradientFlow(E), gf.FromDiffrax(diffrax.Euler()), [3.0, 1.0], step=RULES[rule][0](), steps=1)
    with pytest.raises(TypeError, match="Langevin has noise"):
        gf.iterate(gf.Langevin(E), gf.EulerMaruyama(), [3.0, 1.0], step=RULES[rule][0](), steps=1, key=KEY)


BAD = {
    "no step": (lambda: gf.schedules.harmonic(0.0), "`h` must be finite and positive, got 0.0"),
    "no period": (lambda: gf.schedules.step_decay(0.1, 0.5, every=0), "`every` must be finite and positive, got 0"),
    "rate < 0": (lambda: gf.schedules.exponential(0.1, -0.5), "`rate` must be finite and positive, got -0.5"),
    "floor < 0": (lambda: gf.schedules.cosine(0.1, 5, floor=-1), "`floor` must be finite and not negative, got -1"),
    "then 0": (lambda: gf.schedules.warm_up(5, 0.0), "`then` must be finite and positive, got 0.0"),
    "a rule after": (lambda: gf.schedules.warm_up(5, gf.Armijo()), "`then` must be a number or a schedule k -> h"),
    "L < mu": (lambda: gf.schedules.chebyshev(2.0, 1.0, 4), "`L` must be at least mu = 2.0, got 1.0"),
    "half a step": (lambda: gf.schedules.chebyshev(1.0, 2.0, 1.5), "`steps` must be an integer, got 1.5"),
    "k0 NaN": (lambda: gf.schedules.inverse_square_root(0.1, float("nan")), "`k0` must be finite and positive"),
    "initial": (lambda: gf.ExactLineSearch(initial=-1.0), "`initial` must be finite and positive, got -1.0"),
    "grid": (lambda: gf.GridSearch([0.1, -0.1]), "`grid` must be finite and positive, got -0.1"),
    "no grid": (lambda: gf.GridSearch([]), "`grid` is empty; give steps to try"),
    "shrink 1": (lambda: gf.Armijo(shrink=1.0), "`shrink` must lie in [0, 1), got 1.0"),
    "shrink 0": (lambda: gf.Armijo(shrink=0.0), "`shrink` must be finite and positive, got 0.0"),
    "decrease": (lambda: gf.Armijo(decrease=1.5), "`decrease` must lie in [0, 1), got 1.5"),
    "trials": (lambda: gf.Armijo(trials=0), "`trials` must be at least 1, got 0"),
    "curvature": (lambda: gf.Wolfe(decrease=0.5, curvature=0.1), "`curvature` must be above decrease = 0.5, got 0.1"),
    "minimum": (lambda: gf.PolyakStep(minimum=float("inf")), "`minimum` must be finite, got inf"),
    "no minimum": (lambda: descend(gf.landscapes.saddle(), gf.PolyakStep(), [1.0, 1.0], 1), "give `minimum`"),
    "longest": (lambda: gf.PolyakStep(longest=0.0), "`longest` must be finite and positive, got 0.0"),
    "BB long": (lambda: gf.BarzilaiBorweinLong(0.0), "`initial` must be finite and positive, got 0.0"),
    "BB short": (lambda: gf.BarzilaiBorweinShort(-1), "`initial` must be finite and positive, got -1"),
    "radius": (lambda: gf.TrustRegion(0.0), "`radius` must be finite and positive, got 0.0"),
    "good": (lambda: gf.TrustRegion(1.0, accept=0.5, good=0.1), "`good` must be at least accept = 0.5, got 0.1"),
    "grow": (lambda: gf.TrustRegion(1.0, grow=1.0), "`grow` must be above 1, got 1.0"),
    "clipped": (lambda: gf.ClippedStep(0.1, radius=-1.0), "`radius` must be finite and positive, got -1.0"),
    "clipped text": (lambda: gf.ClippedStep("0.1", radius=1.0), "must be a number, a schedule k -> h or a step rule"),
    "threshold": (lambda: gf.ClipGradient(0.0), "`threshold` must be finite and positive, got 0.0"),
    "a key for nothing": (lambda: descend(quadratic(1.0), 0.1, [1.0], 1, oracle=gf.ClipGradient(1.0),
                                          key=KEY), "leave `key` out"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_with_the_remedy(case):
    attempt, message = BAD[case]
    with pytest.raises((ValueError, TypeError)) as caught:
        attempt()
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


# --- Schedules -------------------------------------------------------------------------------------------------------

OPTAXS = {
    "step_decay": (gf.schedules.step_decay(0.3, 0.7, every=5), optax.exponential_decay(0.3, 5, 0.7, staircase=True)),
    "exponential": (gf.schedules.exponential(0.3, 0.7, every=5), optax.exponential_decay(0.3, 5, 0.7)),
    "cosine": (gf.schedules.cosine(0.3, 17), optax.cosine_decay_schedule(0.3, 17)),
    "cosine with a floor": (gf.schedules.cosine(0.3, 17, floor=0.06), optax.cosine_decay_schedule(0.3, 17, alpha=0.2)),
    "warm_up": (gf.schedules.warm_up(7, 0.3), optax.warmup_constant_schedule(0.0, 0.3, 7)),
    "warm_up, then cosine": (
        gf.schedules.warm_up(7, gf.schedules.cosine(0.3, 13)),
        optax.warmup_cosine_decay_schedule(0.0, 0.3, 7, 20),
    ),
}


@pytest.mark.parametrize("name", OPTAXS)
def test_schedules_are_optaxs(name):
    ours, theirs = OPTAXS[name]
    k = jnp.arange(40)
    expected = np.array([float(theirs(i)) for i in range(40)])
    # A few units in the last place of the longest step: 1 + cos cancels at the end.
    for found in (jax.jit(jax.vmap(ours))(k), [float(ours(float(i))) for i in range(40)]):
        np.testing.assert_allclose(found, expected, rtol=8 * EPS, atol=8 * EPS * expected.max())


@pytest.mark.parametrize(("schedule", "power"), [(gf.schedules.harmonic, 1), (gf.schedules.inverse_square_root, 0.5)])
def test_power_schedules_on_the_clock(schedule, power):
    run = descend(quadratic(1.0), schedule(0.5, k0=4.0), [1.0], 30)
    h = 0.5 / (1 + np.arange(30) / 4) ** power
    np.testing.assert_allclose(np.diff(run.t), h, rtol=1e-13)
    np.testing.assert_allclose(run.x[-1, 0], np.prod(1 - h), rtol=1e-13)


def chebyshev_bound(steps, condition):
    return 1 / np.cosh(steps * np.arccosh((condition + 1) / (condition - 1)))


@pytest.mark.parametrize("steps", [8, 6])
def test_chebyshevs_steps_contract_as_chebyshev_says(steps):
    lam = np.linspace(2.0, 200.0, 41)
    run = descend(gf.Quadratic(np.diag(lam)), gf.schedules.chebyshev(2.0, 200.0, steps), np.ones(41), 2 * steps)
    bound = chebyshev_bound(steps, 100)
    for cycle in (1, 2):
        modes = np.abs(np.asarray(run.x[cycle * steps]))
        assert modes.max() <= bound**cycle * (1 + 1e-12)
        np.testing.assert_allclose(modes[[0, -1]], bound**cycle, rtol=1e-12)


def test_chebyshevs_order_for_powers_of_two_is_lebedev_and_finogenovs():
    h = jax.vmap(gf.schedules.chebyshev(1.0, 9.0, 8))(jnp.arange(8))
    i = np.array([1, 8, 4, 5, 2, 7, 3, 6])
    np.testing.assert_allclose(h, 1 / (5 - 4 * np.cos((2 * i - 1) * np.pi / 16)), rtol=1e-14)


@pytest.mark.parametrize("steps", [64, 63, 48])
def test_chebyshevs_order_keeps_rounding_small_and_sorting_does_not(steps):
    """A rotated spectrum in [1, 10⁴], by a loop in NumPy.

    An error made at step j in the mode λ comes out ∏ᵢ₌ⱼ₊₁(1 − hᵢλ) times as large. How much a processor's rounding
    puts into which mode is its own affair: the upper bound takes the most that it can be, and where the bound is
    useless, an error of known size, far above rounding, is put in.
    """
    rng = np.random.default_rng(0)
    n, lam = 30, np.geomspace(1.0, 1e4, 30)
    rotation, _ = np.linalg.qr(rng.normal(size=(n, n)))
    H = (rotation * lam) @ rotation.T
    target = rng.normal(size=n)
    size = np.linalg.norm(target)

    def descent(steps, jolt_at=None, jolt=0.0):
        path = [np.zeros(n)]
        for j, h in enumerate(steps):
            path.append(path[-1] - h * (H @ path[-1] - H @ target) + (jolt if j == jolt_at else 0))
        return np.array(path)

    def growths(steps):
        """Entry (j, λ): what becomes of an error made at step j."""
        after = np.cumprod((1 - steps[:, None] * lam)[::-1], axis=0)[::-1]
        return np.concatenate([np.abs(after[1:]), np.ones((1, n))])

    chebyshev = np.asarray(jax.vmap(gf.schedules.chebyshev(1.0, 1e4, steps))(jnp.arange(steps)))
    path, growth = descent(chebyshev), growths(chebyshev).max(axis=1)
    sizes = np.linalg.norm(path, axis=1)
    # Two products with H, each of n terms and its rounding, their difference and two more operations.
    rounding = EPS * ((n + 3) * chebyshev * np.linalg.norm(np.abs(H), 2) * (sizes[:-1] + size) + sizes[1:])
    bound = chebyshev_bound(steps, 1e4) + np.sum(rounding * growth) / size
    assert np.linalg.norm(path[-1] - target) / size <= bound < 1
    for order in (np.sort(chebyshev), np.sort(chebyshev)[::-1]):
        growth = growths(order)
        sizes = np.linalg.norm(descent(order), axis=1)[1:]
        # One error of 10⁻⁸ of the state, in the worst mode at the worst step, is the end's error.
        relative = np.maximum(sizes, size)[:, None] * growth
        j, mode = np.unravel_index(relative.argmax(), relative.shape)
        jolt = 1e-8 * max(sizes[j], size) * rotation[:, mode]
        assert np.linalg.norm(descent(order, j, jolt)[-1] - target) > 1e12 * size


# --- Line searches ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("condition", [9.0, 100.0])
def test_the_exact_line_search_contracts_as_kantorovich_says_and_zigzags(condition):
    E = quadratic(1.0, condition)
    run = descend(E, gf.ExactLineSearch(), [condition, 1.0], 12)
    _, energies, gradients, _ = looked_at(run, E)
    rate = ((condition - 1) / (condition + 1)) ** 2
    np.testing.assert_allclose(energies[1:] / energies[:-1], rate, rtol=1e-10)
    norms = np.linalg.norm(gradients, axis=1)
    cosines = np.sum(gradients[1:] * gradients[:-1], axis=1) / (norms[1:] * norms[:-1])
    np.testing.assert_allclose(cosines, 0, atol=1e-12)


def test_the_exact_line_search_finds_what_its_closed_form_says():
    """The tableau of Euler's method is the same map, and takes the general route."""
    E = gf.Quadratic(H, [6.0, 7.0])
    closed = descend(E, gf.ExactLineSearch(), [4.0, -1.0], 6)
    for initial in (1e-4, 1.0, 1e3):
        rule = gf.ExactLineSearch(initial=initial)
        searched = gf.iterate(gf.GradientFlow(E), gf.RungeKutta("euler"), [4.0, -1.0], step=rule, steps=6)
        # E is −42 at the minimizer: its rounding ends the search there.
        np.testing.assert_allclose(np.diff(searched.t), np.diff(closed.t), rtol=1e-7)


@pytest.mark.parametrize("x0", STARTS)
def test_the_exact_line_search_stops_at_scipys_stationary_point(x0):
    run = descend(ROSENBROCK, gf.ExactLineSearch(), x0, 10)
    x, energies, gradients, h = looked_at(run, ROSENBROCK)
    assert (np.diff(energies) < 0).all()
    for k in range(10):

        def slope(h, x=x[k], g=gradients[k]):
            return -scipy.optimize.rosen_der(x - h * g) @ g

        assert slope(0.999 * h[k]) < 0 < slope(1.001 * h[k])
        root = scipy.optimize.brentq(slope, 0.999 * h[k], 1.001 * h[k], xtol=1e-300, rtol=4 * EPS)
        assert h[k] == pytest.approx(root, rel=1e-10)


def test_where_the_energy_falls_all_the_way_the_step_is_the_longest():
    proximal = gf.iterate(
        gf.GradientFlow(quadratic(1.0, 9.0)), gf.BackwardEuler(), [3.0, 1.0], step=gf.ExactLineSearch(longest=50.0),
        steps=1,
    )  # fmt: skip
    assert float(proximal.t[-1]) == 50.0
    for E in part((gf.energy(lambda x: -jnp.sum(x**2) / 2), gf.Quadratic([[-1.0]]))):
        for rule in (gf.ExactLineSearch(longest=50.0), gf.Wolfe(longest=50.0)):
            assert float(descend(E, rule, [1.0], 1).t[-1]) == 50.0


def test_the_grid_search_is_brute_force():
    grid = np.concatenate([np.arange(1, 10) / 100, np.arange(1, 10) / 10, np.arange(1, 10.0)])
    E, values = gf.energy(quartic_bowl), jax.jit(jax.vmap(quartic_bowl))
    x, _, gradients, h = looked_at(descend(E, gf.GridSearch(), [1.0, -0.5], 6), E)
    for k in range(6):
        trials = values(x[k] - grid[:, None] * gradients[k])
        assert h[k] == pytest.approx(grid[np.argmin(trials)], rel=1e-13)


@pytest.mark.parametrize("x0", STARTS)
def test_armijos_condition_holds_at_every_step_and_not_before(x0):
    run = descend(ROSENBROCK, gf.Armijo(), x0, 3000)
    assert run.status == "converged"
    np.testing.assert_allclose(run.x[-1], 1, atol=1e-7)
    x, energies, gradients, h = (values[:1000] for values in looked_at(run, ROSENBROCK))
    square = np.sum(gradients**2, axis=1)
    slack = 1e-12 * energies[:-1]
    assert (energies[1:] <= energies[:-1] - (h * square)[:-1] / 2 + slack).all()
    too_long = 2 * h[:-1]
    E = np.asarray(jax.jit(jax.vmap(ROSENBROCK))(x[:-1] - too_long[:, None] * gradients[:-1]))
    assert ((energies[:-1] - too_long * square[:-1] / 2 - slack < E) | (h[:-1] == 1)).all()


@pytest.mark.parametrize("scheme", [gf.BackwardEuler(), gf.RungeKutta("rk4"), gf.ImplicitMidpoint()], ids=name_of)
def test_a_line_search_searches_along_any_scheme(scheme):
    E = gf.Quadratic(H)
    run = gf.iterate(gf.GradientFlow(E), scheme, [4.0, -1.0], step=gf.Armijo(decrease=0.3), steps=8)
    _, energies, gradients, h = looked_at(run, E)
    assert (energies[1:] <= energies[:-1] - 0.3 * h * np.sum(gradients[:-1] ** 2, axis=1) * (1 - 1e-12)).all()
    assert energies[-1] < 0.2 * energies[0]


@pytest.mark.parametrize("x0", STARTS)
@pytest.mark.parametrize("curvature", [0.9, 0.1])
def test_wolfes_conditions_hold_at_every_step(x0, curvature):
    run = descend(ROSENBROCK, gf.Wolfe(decrease=1e-2, curvature=curvature), x0, 300)
    _, energies, gradients, h = looked_at(run, ROSENBROCK)
    square, along = np.sum(gradients**2, axis=1), np.sum(gradients[1:] * gradients[:-1], axis=1)
    assert (energies[1:] <= energies[:-1] - 1e-2 * h * square[:-1] + 1e-14 * energies[:-1]).all()
    assert (along <= curvature * square[:-1] * (1 + 1e-12)).all()


def test_wolfe_looks_at_slopes_where_the_energy_does_not_resolve_a_decrease():
    """A least value of 9.6: energies tell positions apart to 1e-8 only, and gradients of 1e-9 are asked for."""
    E = gf.LeastSquares([[4.0, 1.0], [1.0, 3.0], [1.0, 1.0]], [1.0, 2.0, 5.0])
    run = descend(E, gf.Wolfe(), [1.0, -2.0], 300)
    assert run.status == "converged"
    assert float(run.grad_norm[-1]) < 1e-9
    by_energies = descend(E, gf.Armijo(), [1.0, -2.0], 300)
    assert (np.diff(by_energies.energy) <= 4 * EPS * float(E.minimum)).all()
    assert 1e-9 < float(by_energies.grad_norm[-1]) < 1e-6


# --- Adaptive steps --------------------------------------------------------------------------------------------------


def test_polyaks_step_halves_the_distance():
    """On ½(x − 3)² from 0, x_k = 3(1 − 2⁻ᵏ): every digit, for the step is 1/2."""
    run = descend(gf.energy(lambda x: (x - 3) ** 2 / 2, minimum=0.0), gf.PolyakStep(), 0.0, 40)
    np.testing.assert_array_equal(run.x, 3 * (1 - 0.5 ** np.arange(41)))
    np.testing.assert_array_equal(np.diff(run.t), 0.5)


@pytest.mark.parametrize(
    "E",
    [
        gf.energy(quartic_bowl, minimizer=jnp.zeros(2)),
        gf.Quadratic(H, [6.0, 7.0]),
        gf.energy(lambda x: jnp.sum(jnp.abs(x - 1)), minimizer=jnp.ones(2)),
    ],
    ids=["quartic", "quadratic", "absolute values"],
)
def test_polyaks_step_comes_closer_to_the_minimizer_of_a_convex_energy(E):
    run = descend(E, gf.PolyakStep(), [4.0, -1.5], 30)
    distance = np.linalg.norm(np.asarray(run.x) - np.asarray(E.minimizer), axis=1)
    assert (np.diff(distance) <= 1e-14).all()
    assert distance[-1] < 0.2 * distance[0]


def test_polyaks_step_is_no_longer_than_allowed():
    run = descend(gf.energy(quartic_bowl), gf.PolyakStep(-1.0, longest=0.3), [0.1, 0.1], 5)
    np.testing.assert_allclose(np.diff(run.t), 0.3)


@pytest.mark.parametrize("rule", [gf.BarzilaiBorweinLong, gf.BarzilaiBorweinShort], ids=name_of)
def test_barzilai_and_borweins_steps_are_their_recurrence_and_superlinear_in_two_dimensions(rule):
    # Two or three steps later it is at 0 itself, or so close that differences have no quotients: which, is rounding's.
    run = descend(gf.Quadratic(H), rule(0.02), [4.0, -1.0], 10)
    x, h = np.array([4.0, -1.0]), 0.02
    for k in range(11):
        np.testing.assert_allclose(run.x[k], x, atol=1e-12)
        previous, x = x, x - h * H @ x
        s, y = x - previous, H @ (x - previous)
        h = s @ s / (s @ y) if rule is gf.BarzilaiBorweinLong else s @ y / (y @ y)
    # R-superlinear: the k-th root of ‖g_k‖ falls to 0; of a geometric sequence it would stay.
    norms = np.linalg.norm(np.asarray(run.x) @ H, axis=1)
    roots = (norms[[4, 7, 10]] / norms[0]) ** (1 / np.array([4, 7, 10]))
    assert roots[0] > 1.5 * roots[1] > 5 * roots[2]


def test_barzilai_and_borwein_keep_the_last_step_where_the_curvature_is_not_positive():
    run = descend(gf.Quadratic([[-1.0]]), gf.BarzilaiBorweinLong(0.3), [1.0], 4)
    np.testing.assert_allclose(np.diff(run.t), 0.3)


@pytest.mark.parametrize("E", part([ROSENBROCK, HIMMELBLAU]))
@pytest.mark.parametrize("x0", [[20.0, -30.0], [-2.0, 3.0], [5.0, 5.0]])
@pytest.mark.parametrize("radius", [1e-2, 1e3])
def test_a_trust_region_never_climbs_where_plain_descent_diverges(E, x0, radius):
    assert descend(E, 0.05, x0, 300).status == "diverged"
    run = descend(E, gf.TrustRegion(radius), x0, 300)
    energies = np.asarray(run.energy)
    assert (np.diff(energies) <= 4 * EPS * energies[:-1]).all()
    assert energies[-1] < (1e-15 if E is HIMMELBLAU else 0.1 * energies[0])


def test_a_trust_region_bounds_the_first_move_and_doubles_where_the_model_is_right():
    run = descend(gf.Quadratic([[1.0]]), gf.TrustRegion(0.5), [100.0], 7)
    np.testing.assert_allclose(-np.diff(run.x[:, 0]), 0.5 * 2.0 ** np.arange(7), rtol=1e-12)


def test_a_trust_region_stays_where_its_only_trial_fails_and_shrinks_for_the_next_step():
    """Log(1 + x²) is concave at 3: steps of 1000, 500, …, 7.8 all climb on the other side, and 3.9 does not."""
    run = descend(gf.energy(lambda x: jnp.sum(jnp.log1p(x**2))), gf.TrustRegion(1e3, trials=1), [3.0], 40)
    np.testing.assert_array_equal(run.x[:9], 3.0)
    assert float(run.x[9, 0]) == pytest.approx(3 - 1e3 / 2**8)
    assert (np.diff(run.energy) <= 0).all()
    assert run.status == "converged"


def test_a_trust_region_survives_where_rounding_hides_the_decrease():
    """An energy of 5·10⁵ at 10⁻⁶ from its minimizer: its last digits go up and down, and say nothing of the model."""
    flow = gf.GradientFlow(gf.energy(lambda x: jnp.sum((1e3 + x) ** 2 / 2 - 1e3 * x)))
    for x in np.linspace(1e-6, 2e-6, 40):
        _, radius = gf.TrustRegion(1.0)(flow, gf.ForwardEuler(), 0.0, jnp.array([x]), jnp.asarray(0.25))
        assert float(radius) == 0.25


def test_a_wide_trust_region_on_a_quadratic_is_the_exact_line_search():
    E = gf.Quadratic(H)
    wide, exact = (descend(E, rule, [4.0, -1.0], 8) for rule in (gf.TrustRegion(1e6), gf.ExactLineSearch()))
    np.testing.assert_allclose(wide.x, exact.x, rtol=1e-10)


# --- Clipping --------------------------------------------------------------------------------------------------------


def test_clipping_the_gradient_is_not_clipping_the_step():
    """∇E(1, 1) = (6, 8) of length 10, η = 0.2: τ = 1.5 leaves 0.15 of the gradient, a radius of 1.5 leaves 0.75."""
    E, x0 = quadratic(6.0, 8.0), [1.0, 1.0]
    plain = np.array([6.0, 8.0]) * 0.2
    gradient = descend(E, 0.2, x0, 1, oracle=gf.ClipGradient(1.5))
    step = descend(E, gf.ClippedStep(0.2, radius=1.5), x0, 1)
    np.testing.assert_allclose(1 - gradient.x[-1], 0.15 * plain, rtol=1e-14)
    np.testing.assert_allclose(1 - step.x[-1], 0.75 * plain, rtol=1e-14)
    assert float(gradient.t[-1]) == pytest.approx(0.2)
    assert float(step.t[-1]) == pytest.approx(0.15)


def test_clipping_the_gradient_is_optaxs():
    E = gf.energy(lambda p: HIMMELBLAU(jnp.stack([p["a"], p["b"]])))
    x0 = {"a": jnp.asarray(5.0), "b": jnp.asarray(-4.0)}
    ours = descend(E, 0.01, x0, 150, oracle=gf.ClipGradient(20.0))
    theirs = optax.chain(optax.clip_by_global_norm(20.0), optax.sgd(0.01))

    def step(carry, _):
        x, memory = carry
        updates, memory = theirs.update(E.grad(x), memory)
        return (optax.apply_updates(x, updates), memory), x

    _, xs = jax.jit(lambda x: jax.lax.scan(step, (x, theirs.init(x)), None, length=150))(x0)
    for name in x0:
        np.testing.assert_allclose(ours.x[name][:-1], xs[name], atol=1e-12)
    norms = np.hypot(*(np.asarray(leaf) for leaf in jax.jit(jax.vmap(E.grad))(xs).values()))
    assert norms[0] > 20 > norms[-1]


def test_another_threshold_does_not_compile_again():
    traces = []

    def fn(x):
        traces.append(1)
        return jnp.sum(x**2)

    E, costs = gf.energy(fn), []
    for threshold in (1.0, 1.0, 0.5):
        before = len(traces)
        descend(E, 0.1, [3.0, 1.0], 4, oracle=gf.ClipGradient(threshold))
        costs.append(len(traces) - before)
    assert costs[2] == costs[1] < costs[0]


def test_clipping_also_binds_second_order_flows_and_leaves_the_energies_alone():
    E = gf.Quadratic(H)
    clipped = gf.ClipGradient(2.0)(gf.HeavyBall(E, mass=0.5), None, 0)
    x = jnp.array([4.0, -1.0])
    force = clipped.parts["force"].drift(0.0, gf.Phase(x, 0 * x)).v
    assert float(jnp.linalg.norm(force)) == pytest.approx(2.0 / 0.5)
    assert float(clipped.energy(x)) == float(E(x))
    np.testing.assert_array_equal(clipped.energy.hvp(x, x), H @ x)
    # A line search sees the true slope along the clipped flow: ⟨∇E, ∇E τ/‖∇E‖⟩.
    run = descend(E, gf.Armijo(), x, 1, oracle=gf.ClipGradient(2.0))
    fall = float(run.energy[0] - run.energy[1])
    assert fall >= 0.5 * float(run.t[-1]) * 2.0 * np.linalg.norm(H @ x)


def test_a_random_oracle_still_needs_a_key_and_a_deterministic_one_none():
    class Negated(DeterministicOracle):
        """The energy upside down."""

        def __call__(self, flow, key, k):
            assert key is None
            return gf.GradientFlow(gf.Quadratic(-flow.energy.hessian))

    run = descend(quadratic(1.0), 0.5, [1.0], 2, oracle=Negated())
    assert float(run.x[-1, 0]) == 2.25
    with pytest.raises(TypeError, match=r"jax\.random\.key"):
        descend(quadratic(1.0), 0.5, [1.0], 2, oracle=lambda flow, key, k: flow)


def test_the_clipped_step_clips_any_rule():
    E = quadratic(1.0, 4.0)
    run = descend(E, gf.ClippedStep(gf.BarzilaiBorweinLong(0.1), radius=0.2), [3.0, 1.0], 40)
    moves = np.linalg.norm(np.diff(run.x, axis=0), axis=1)
    assert moves.max() == pytest.approx(0.2, rel=1e-12)
    assert run.status == "converged"


def test_an_oracle_is_asked_for_the_memory_too():
    """A scheme that remembers gradients starts with clipped ones."""
    steep = gf.Quadratic(np.diag([6.0, 8.0]))
    run = gf.iterate(
        gf.GradientFlow(steep), gf.AdamsBashforth(2), [1.0, 1.0], step=0.01, steps=3, oracle=gf.ClipGradient(0.1)
    )
    assert (np.diff(run.energy) < 0).all()


def test_an_exact_line_search_follows_a_curved_position():
    """Under the entropy a straight dual step is a curve: the vertex of the straight line is not its minimum."""
    flow = gf.MirrorFlow(gf.Quadratic(np.diag([1.0, 50.0, 2.0]), [3.0, 1.0, 0.0]), gf.potentials.Entropy())
    run = gf.iterate(flow, gf.ForwardEuler(), [0.2, 0.5, 0.3], step=gf.ExactLineSearch(), steps=1)
    tried = [gf.iterate(flow, gf.ForwardEuler(), [0.2, 0.5, 0.3], step=h, steps=1) for h in (0.3, 0.8, 2.0)]
    assert float(run.energy[-1]) <= min(float(other.energy[-1]) for other in tried) + 1e-9


def test_a_fall_without_end_has_not_converged():
    run = gf.optimizers.gradient_descent(gf.energy(lambda x: -x), gf.TrustRegion(1.0)).iterate(1.0, 31)
    assert run.status.outcome != "converged"
