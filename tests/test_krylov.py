"""Conjugate gradients, steepest descent and the simplex baseline: what textbooks and SciPy say of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.sparse.linalg

import gradientflow as gf

from .catalogue import quartic_bowl
from .thorough import part

CG, SD = gf.ConjugateGradients(), gf.SteepestDescent()


def positive_definite(n, condition, seed):
    """A random H with eigenvalues spread from 1 to the condition number, and a random b."""
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.normal(size=(n, n)))
    H = Q @ np.diag(np.geomspace(1, condition, n)) @ Q.T
    return (H + H.T) / 2, rng.normal(size=n)


def run_on(scheme, H, b, x0, steps):
    return np.asarray(gf.iterate(gf.GradientFlow(gf.Quadratic(H, b)), scheme, x0, step=1.0, steps=steps).x)


# --- Conjugate gradients ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", part(range(2, 9), 3))
def test_conjugate_gradients_end_in_n_steps_and_stay(n):
    H, b = positive_definite(n, 50.0, seed=n)
    x = run_on(CG, H, b, np.zeros(n), n + 30)
    residuals = np.linalg.norm(x @ H - b, axis=1) / np.linalg.norm(b)
    # Up to rounding, which the directions' loss of conjugacy magnifies until one step more.
    assert residuals[n - 1] > 1e-6
    assert residuals[n] < 1e-7 * residuals[n - 1]
    assert (residuals[n + 1 :] <= 1e-12).all()
    np.testing.assert_allclose(x[n + 1 :], np.broadcast_to(x[n + 1], x[n + 1 :].shape), atol=1e-13)


@pytest.mark.parametrize("n", [3, 8])
def test_iterates_are_scipys_and_directions_are_conjugate(n):
    H, b = positive_definite(n, 50.0, seed=10 + n)
    x0, theirs = np.ones(n), []
    scipy.sparse.linalg.cg(H, b, x0, rtol=0, maxiter=n, callback=lambda x: theirs.append(x.copy()))
    x = run_on(CG, H, b, x0, n)
    np.testing.assert_allclose(x[1:], theirs, atol=1e-10)
    moves = np.diff(x, axis=0)
    moves = moves / np.sqrt(np.einsum("ki,ij,kj->k", moves, H, moves))[:, None]
    np.testing.assert_allclose(moves @ H @ moves.T, np.eye(n), atol=1e-6)


@pytest.mark.parametrize("condition", [10.0, 100.0])
def test_the_error_obeys_chebyshevs_bound(condition):
    n, steps = 40, 25
    H, b = positive_definite(n, condition, seed=1)
    solution = np.linalg.solve(H, b)
    errors = run_on(CG, H, b, np.zeros(n), steps) - solution
    norms = np.sqrt(np.einsum("ki,ij,kj->k", errors, H, errors))
    k = np.arange(steps + 1)
    sharp = 1 / np.cosh(k * np.arccosh((condition + 1) / (condition - 1)))
    simple = 2 * ((np.sqrt(condition) - 1) / (np.sqrt(condition) + 1)) ** k
    assert (sharp <= simple * (1 + 1e-12)).all()
    assert (norms / norms[0] <= sharp * (1 + 1e-9)).all()
    assert (norms / norms[0])[5] > sharp[5] / 100  # the bound is about something


def test_few_eigenvalues_take_few_steps():
    H = np.diag([1.0] * 5 + [4.0] * 5 + [9.0] * 5)
    x = run_on(CG, H, np.ones(15), np.zeros(15), 3)
    assert np.linalg.norm(H @ x[3] - 1) < 1e-12 < 1e-2 < np.linalg.norm(H @ x[2] - 1)


@pytest.mark.parametrize("scheme", [CG, SD], ids=["cg", "sd"])
def test_at_rest_they_stay_without_a_nan(scheme):
    H, b = np.diag([1.0, 4.0]), np.array([1.0, 8.0])
    run = gf.iterate(gf.GradientFlow(gf.Quadratic(H, b)), scheme, [1.0, 2.0], step=1.0, steps=5)
    assert run.x.tolist() == [[1.0, 2.0]] * 6
    assert run.status == "converged"


# --- Steepest descent ------------------------------------------------------------------------------------------------


def test_steepest_descent_is_the_textbooks():
    H, b = positive_definite(6, 20.0, seed=3)
    x = run_on(SD, H, b, np.ones(6), 60)
    y = np.ones(6)
    for k in range(60):
        r = b - H @ y
        y = y + (r @ r) / (r @ H @ r) * r
        np.testing.assert_allclose(x[k + 1], y, atol=1e-10)


def test_the_worst_start_of_steepest_descent_attains_kantorovichs_rate():
    """From (κ, 1) on diag(1, κ) every step leaves ((κ − 1)/(κ + 1))² of the energy; from elsewhere, less."""
    condition = 9.0
    E = gf.Quadratic(np.diag([1.0, condition]))
    rate = ((condition - 1) / (condition + 1)) ** 2
    worst = np.asarray(gf.optimizers.steepest_descent(E).iterate([condition, 1.0], steps=20).energy)
    np.testing.assert_allclose(worst[1:] / worst[:-1], rate, rtol=1e-10)
    other = np.asarray(gf.optimizers.steepest_descent(E).iterate([1.0, 1.0], steps=8).energy)
    assert (other[1:] < rate * other[:-1] * (1 + 1e-12)).all()


@pytest.mark.parametrize("scheme", [CG, SD], ids=["cg", "sd"])
@pytest.mark.parametrize(
    ("energy", "shapes", "products"),
    [(gf.Quadratic(np.eye(7)), ("7x7",), 1), (gf.LeastSquares(np.ones((11, 7)), np.ones(11)), ("11x7", "7x11"), 2)],
    ids=["quadratic", "least squares"],
)
def test_a_step_is_one_product_with_the_matrix(scheme, energy, shapes, products):
    """Counted in the program that is compiled; of least squares, one with M and one with Mᵀ."""
    flow, x = gf.GradientFlow(energy), jnp.ones(7)
    memory = scheme.init(flow, 0.0, x, 1.0)
    program = jax.jit(lambda x, memory: scheme.step(flow, 0.0, x, 1.0, memory=memory)).lower(x, memory).as_text()
    lines = [line for line in program.splitlines() if "stablehlo.dot_general" in line]
    assert len(lines) == products
    assert all(any(f"tensor<{shape}xf64>" in line for shape in shapes) for line in lines)


# --- Of both ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [gf.optimizers.conjugate_gradients, gf.optimizers.steepest_descent])
def test_the_step_is_only_a_clock(method):
    E = gf.energy(quartic_bowl)
    one = method(E).iterate([1.0, -0.5], steps=4)
    np.testing.assert_array_equal(one.t, np.arange(5))
    scheme = method(E).discretizer
    other = gf.iterate(gf.GradientFlow(E), scheme, [1.0, -0.5], step=0.25, steps=4)
    np.testing.assert_array_equal(other.t, np.arange(5) / 4)
    np.testing.assert_array_equal(one.x, other.x)
    with pytest.raises(TypeError, match="h is only its clock"):
        gf.stability(method(gf.Quadratic([[1.0]])))


@pytest.mark.parametrize("scheme", [CG, SD], ids=["cg", "sd"])
def test_on_convex_energies_that_are_not_quadratic(scheme):
    run = gf.iterate(gf.GradientFlow(gf.energy(quartic_bowl)), scheme, [1.0, -0.5], step=1.0, steps=40)
    assert run.status == "converged"
    np.testing.assert_allclose(run.x[-1], [0.0, 0.0], atol=1e-9)


def test_conjugate_gradients_need_fewer_steps_than_steepest_descent():
    y = (jnp.arange(40) % 3 == 0).astype(float)
    X = jax.random.normal(jax.random.key(0), (40, 6)) * jnp.geomspace(0.2, 4.0, 6)
    flow = gf.GradientFlow(gf.LogisticRegression(X, y, ridge=1e-2))
    x0 = np.zeros(7)
    conjugate, steepest = (gf.iterate(flow, scheme, x0, step=1.0, steps=80) for scheme in (CG, SD))
    assert conjugate.status == "converged"
    assert float(steepest.grad_norm[-1]) > 1e3 * float(conjugate.grad_norm[-1])


@pytest.mark.parametrize("scheme", part([CG, SD]), ids=lambda scheme: type(scheme).__name__)
def test_negative_curvature_is_left_downhill(scheme):
    """x⁴/4 − x²/2 curves downwards at 0.1: the step there is r/|E''|, away from the top."""
    flow = gf.GradientFlow(gf.energy(lambda x: jnp.sum(x**4 / 4 - x**2 / 2)))
    run = gf.iterate(flow, scheme, [0.1], step=1.0, steps=12)
    assert float(run.x[1][0]) == pytest.approx(0.1 + (0.1 - 0.1**3) / (1 - 3 * 0.1**2), rel=1e-12)
    assert float(run.x[-1][0]) == pytest.approx(1, abs=1e-9)
    # Without curvature there is no step to take.
    flat = gf.iterate(gf.GradientFlow(gf.energy(lambda x: jnp.sum(x))), scheme, [0.1], step=1.0, steps=3)
    assert flat.x.tolist() == [[0.1]] * 4


@pytest.mark.parametrize("scheme", part([CG, SD]), ids=lambda scheme: type(scheme).__name__)
def test_pytrees_are_the_same_as_arrays(scheme):
    def on_tree(p):
        return quartic_bowl(jnp.stack([p["a"], p["b"][0]]))

    tree = gf.iterate(gf.GradientFlow(gf.energy(on_tree)), scheme, {"a": 1.0, "b": np.array([-0.5])}, step=1.0, steps=6)
    array = gf.iterate(gf.GradientFlow(gf.energy(quartic_bowl)), scheme, [1.0, -0.5], step=1.0, steps=6)
    np.testing.assert_allclose(np.stack([tree.x["a"], tree.x["b"][:, 0]], axis=1), array.x, atol=1e-12)


def test_what_is_no_gradient_flow_is_refused():
    with pytest.raises(gf.UnansweredQuestionError, match="its drift is not −∇E"):
        gf.iterate(gf.HeavyBall(gf.landscapes.bowl()), CG, [1.0, 1.0], step=1.0, steps=1)
    with pytest.raises(gf.NotExactError, match="ConjugateGradients"):
        gf.stability_function(CG)


# --- Nelder–Mead -----------------------------------------------------------------------------------------------------

START = {"rosenbrock": (-1.2, 1.0), "beale": (1.0, 1.0), "himmelblau": (0.0, 0.0)}


@pytest.mark.parametrize("name", START)
def test_nelder_mead_finds_published_minima(name):
    E = getattr(gf.landscapes, name)()
    run = gf.nelder_mead(E, START[name], steps=300)
    assert min(float(np.abs(np.asarray(run.x[-1]) - m).max()) for m in np.asarray(E.minima)) < 1e-6
    energies = np.asarray(run.energy)
    # At the bottom E is a square of what rounding leaves of numbers like 10, and evaluated anew.
    assert (np.diff(energies) <= 1e-27).all()
    assert run.status == "converged"
    np.testing.assert_array_equal(run.t, np.arange(len(run)))


def test_nelder_mead_is_scipys_and_its_energy_is_never_differentiated():
    asked = []

    class Counted(gf.Energy):
        def value(self, x):
            return jnp.sum((x - 1) ** 2) + x[0] ** 4

        def grad(self, x):
            asked.append(x)
            return jax.grad(self.value)(x)

    run = gf.nelder_mead(Counted(), [3.0, -2.0], steps=25)
    theirs = scipy.optimize.minimize(
        lambda x: np.sum((x - 1) ** 2) + x[0] ** 4, [3.0, -2.0], method="Nelder-Mead",
        options={"maxiter": 26, "xatol": 0, "fatol": 0},
    )  # fmt: skip
    np.testing.assert_allclose(run.x[-1], theirs.x, rtol=1e-12)
    assert run.stats["evaluations"] == theirs.nfev
    assert run.stats["steps"] == len(run) - 1 == 25
    assert run.status == "reached the end"
    # Traced where the run is prepared, where it is measured, and where its end is asked whether it is at rest.
    assert len(asked) <= 6


def test_nelder_mead_takes_pytrees_and_keeps_single_precision():
    def fn(p):
        return (p["a"] - 1) ** 2 + jnp.sum((p["b"] + 2) ** 2)

    run = gf.nelder_mead(gf.energy(fn), {"a": jnp.float32(0), "b": jnp.ones(2, jnp.float32)}, steps=200)
    assert run.x["b"].shape == (len(run), 2)
    assert {leaf.dtype for leaf in jax.tree.leaves((run.x, run.energy, run.t))} == {jnp.dtype("float32")}
    np.testing.assert_allclose(run.x["b"][-1], [-2.0, -2.0], atol=1e-3)
    onwards = gf.iterate(
        gf.GradientFlow(gf.energy(fn)), gf.ForwardEuler(), None, state=run.state[-1], step=0.5, steps=1
    )
    np.testing.assert_allclose(onwards.x["a"][-1], 1.0, atol=1e-6)


def test_what_nelder_mead_refuses():
    with pytest.raises(ValueError, match="nelder_mead: `steps` must be at least 1, got 0"):
        gf.nelder_mead(gf.landscapes.bowl(), [1.0, 1.0], steps=0)
    with pytest.raises(ValueError, match="nelder_mead: `x0` must be finite"):
        gf.nelder_mead(gf.landscapes.bowl(), [1.0, np.nan], steps=2)
