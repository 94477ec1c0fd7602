"""Comparing a flow with its discretizations: the main job, on the running example and on real data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

import gradientflow as gf
from gradientflow.flows import standardized

from .thorough import thorough

EXAMPLE = gf.LeastSquares([[4, 1], [1, 3]], [1, 2])
X0 = jnp.array([4.0, -1.0])


@pytest.fixture(scope="module")
def comparison():
    methods = {
        "euler": (gf.ForwardEuler(), 0.025),
        "midpoint": (gf.ImplicitMidpoint(), 0.025),
        "rk4": (gf.RungeKutta("rk4"), 0.025),
        "momentum": gf.optimizers.momentum(EXAMPLE, lr=0.01, beta=0.5),
        "too long": (gf.ForwardEuler(), 0.12),
    }
    return gf.compare(gf.GradientFlow(EXAMPLE), methods, X0, 1.0)


@pytest.mark.parametrize(
    ("label", "order", "within"), [("euler", 1, 0.05), ("rk4", 4, 0.1), ("midpoint", 2, 0.1), ("momentum", 1, 0.05)]
)
def test_the_observed_orders(comparison, label, order, within):
    assert comparison.table().loc[label, "observed order"] == pytest.approx(order, abs=within)
    assert comparison.table().loc[label, "claimed order"] == order


def test_each_method_is_measured_against_its_own_flow(comparison):
    entry = comparison.entries["momentum"]
    flow = entry.method.flow
    assert isinstance(flow, gf.HeavyBall)
    exact = jax.jit(jax.vmap(lambda t: flow.solution(0.0, flow.init(X0), t).x))(entry.run.t)
    distance = np.linalg.norm(np.asarray(entry.run.x) - np.asarray(exact), axis=1)
    np.testing.assert_allclose(comparison.errors["momentum"], distance, atol=1e-8)


def test_the_flow_is_its_closed_form(comparison):
    flow, path = comparison.flow, comparison.path
    exact = jax.jit(jax.vmap(lambda t: flow.solution(0.0, X0, t)))(path.t)
    assert np.abs(np.asarray(path.x) - np.asarray(exact)).max() < 1e-8


def test_a_method_beyond_its_limit_is_a_result(comparison):
    """h = 0.12 > 2/λ_max = 0.0938: the error grows, and nothing else is disturbed."""
    error = comparison.errors["too long"]
    assert error[-1] > 10 * error[1]
    assert comparison.table().loc["euler", "status"] == "reached the end"


def test_times_are_compared_on_one_clock(comparison):
    for entry in comparison.entries.values():
        assert float(entry.run.t[-1]) >= 1.0
        np.testing.assert_allclose(entry.run.t, entry.path.t, rtol=1e-12)


def test_what_is_saved(comparison, tmp_path):
    import xarray as xr

    comparison.save(tmp_path / "new" / "folder")
    folder = tmp_path / "new" / "folder"
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "://" not in page.replace("http://www.w3.org", "")
    assert {f.name for f in (folder / "figures").iterdir()} == {"plane.png", "curves.png", "orders.png"}
    with xr.open_datatree(folder / "data.nc", engine="h5netcdf") as tree:
        np.testing.assert_array_equal(tree["/euler/run"]["error"], comparison.errors["euler"])
        np.testing.assert_array_equal(tree["/flow"]["x"], comparison.path.x)
    assert len(comparison.plot().axes) == 3
    assert "rk4" in repr(comparison)


@thorough
def test_a_schedule_and_a_noisy_pair():
    flow = gf.Langevin(EXAMPLE, temperature=0.1)
    noisy = gf.compare(flow, {"ula": (gf.EulerMaruyama(), 0.01)}, X0, 0.5, key=jax.random.key(0))
    # Along the same Brownian path the scheme stays near its flow; another path would be √(2T·t) away.
    assert noisy.errors["ula"][-1] < 0.05
    decaying = {"decaying": (gf.ForwardEuler(), lambda k: 0.05 / (1 + 0.1 * k))}
    result = gf.compare(gf.GradientFlow(EXAMPLE), decaying, X0, 1.0)
    assert float(result.entries["decaying"].run.t[-1]) >= 1.0
    assert np.isfinite(result.errors["decaying"]).all()


# --- Real data -------------------------------------------------------------------------------------------------------

RIDGE = 1e-3


@pytest.fixture(scope="module")
def breast_cancer():
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression

    X, y = load_breast_cancer(return_X_y=True)
    X = standardized(X)
    fit = LogisticRegression(C=1 / (len(y) * RIDGE), tol=1e-12, max_iter=100_000, solver="newton-cholesky").fit(X, y)
    E = gf.LogisticRegression(X, y, ridge=RIDGE)
    return E, float(E(jnp.asarray([*fit.coef_[0], *fit.intercept_])))


def test_the_flow_reaches_scikit_learns_optimum(breast_cancer):
    E, optimum = breast_cancer
    path = gf.integrate(gf.GradientFlow(E), jnp.zeros(31), float("inf"))
    assert path.status.outcome == "converged"
    assert float(path.energy[-1]) == pytest.approx(optimum, abs=1e-8)


@pytest.mark.parametrize(
    ("make", "steps"),
    [
        pytest.param(lambda E: gf.optimizers.gradient_descent(E, lr=1.9 / E.curvature.L), 30_000, marks=thorough),
        (lambda E: gf.optimizers.proximal_point(E, lr=3000.0), 30),
        pytest.param(lambda E: gf.Method(gf.GradientFlow(E), gf.ImplicitMidpoint(), 300.0), 400, marks=thorough),
        pytest.param(
            lambda E: gf.Method(gf.GradientFlow(E), gf.RungeKutta("rk4"), 2.7 / E.curvature.L), 20_000, marks=thorough
        ),
        (lambda E: gf.optimizers.momentum(E, lr=1 / E.curvature.L, beta=0.95), 6_000),
    ],
    ids=["gradient descent", "proximal point", "implicit midpoint", "rk4", "momentum"],
)
def test_each_deterministic_method_reaches_scikit_learns_optimum(breast_cancer, make, steps):
    E, optimum = breast_cancer
    run = make(E).iterate(jnp.zeros(31), steps, save_every=steps)
    assert float(run.energy[-1]) == pytest.approx(optimum, abs=1e-8)


@thorough
def test_a_network_whose_parameters_are_a_pytree():
    """Two layers on a spiral: the flow, the iterates and their comparison, all on the same dictionary."""
    rng = np.random.default_rng(0)
    X, y = jnp.asarray(rng.normal(size=(32, 2))), jnp.asarray(rng.integers(0, 2, 32) * 2.0 - 1)

    def loss(p):
        hidden = jnp.tanh(X @ p["in"]["w"] + p["in"]["b"])
        return jnp.mean(jax.nn.softplus(-y * (hidden @ p["out"])))

    x0 = {"in": {"w": rng.normal(size=(2, 8)), "b": np.zeros(8)}, "out": rng.normal(size=8)}
    E = gf.energy(loss)
    path = gf.integrate(gf.GradientFlow(E), x0, 2.0)
    run = gf.iterate(gf.GradientFlow(E), gf.ForwardEuler(), x0, step=0.01, steps=200)
    assert jax.tree.structure(run.x) == jax.tree.structure(path.x)
    assert path.x["in"]["w"].shape[1:] == (2, 8)
    assert float(run.energy[-1]) == pytest.approx(float(path.energy[-1]), rel=1e-2)
    methods = {"sgd": (gf.ForwardEuler(), 0.1), "momentum": gf.optimizers.momentum(E, lr=0.02, beta=0.8)}
    table = gf.compare(gf.GradientFlow(E), methods, x0, 1.0).table()
    assert table.loc["sgd", "observed order"] == pytest.approx(1, abs=0.1)
    assert table.loc["momentum", "observed order"] == pytest.approx(1, abs=0.1)


def test_sums_with_kinks_are_compared_with_their_own_flow():
    """x²/2 + |x|/2: x(t) = (x₀ + ½)e^{−t} − ½ until it is 0, and stays; FISTA and Douglas–Rachford beside ISTA."""
    E = gf.Composite(gf.Quadratic([[1.0]]), gf.penalties.L1(0.5))
    ours = gf.optimizers
    methods = {"ista": ours.ista(E, 0.1), "fista": ours.fista(E, 0.04), "splitting": ours.douglas_rachford(E, 0.1)}
    found = gf.compare(gf.GradientFlow(E), methods, [1.0], 2.0, orders=False)
    t = np.asarray(found.path.t)
    np.testing.assert_allclose(found.path.x[:, 0], np.maximum(1.5 * np.exp(-t) - 0.5, 0), atol=2e-4)
    ista = found.entries["ista"]
    np.testing.assert_allclose(ista.run.x[:5, 0], 1.5 * 0.9 ** np.arange(5) - 0.5, rtol=1e-12)
    path = found.entries["fista"].path
    t = np.asarray(path.t[1:])
    np.testing.assert_allclose(path.x[1:, 0], 1.5 * 2 * scipy.special.j1(t) / t - 0.5, atol=2e-3)
    assert 0 < found.errors["ista"].max() < 0.05
    # Its position is a proximal point of its sequence: at the start already h/2 nearer to 0.
    assert found.errors["splitting"].max() == pytest.approx(0.05)
    assert found.table().loc["fista", "flow"] == "NesterovFlow"
    assert len(found.plot().axes) >= 2


def test_a_clock_that_matters_starts_where_it_is_told():
    """ẋ = −2tλx from t = 2 on: x(t) = x₀e^{−λ(t² − 4)}; the schemes' steps and orders are those at such times."""
    flow = gf.TimeChangedFlow(gf.GradientFlow(gf.Quadratic([[0.5]])), lambda t: t**2)
    found = gf.compare(flow, {"euler": (gf.ForwardEuler(), 0.01)}, [1.0], 2.5, t0=2.0)
    np.testing.assert_allclose(found.path.x[-1], [np.exp(-0.5 * (2.5**2 - 4))], rtol=1e-8)
    run = found.entries["euler"].run
    assert (float(run.t[0]), len(run.t)) == (2.0, 51)
    np.testing.assert_allclose(run.x[1], [1 - 0.01 * 2 * 2.0 * 0.5], rtol=1e-12)
    assert found.entries["euler"].order.order == pytest.approx(1, abs=0.05)
    with pytest.raises(ValueError, match="`t1 - t0` must be finite and positive, got -1"):
        gf.compare(flow, {"euler": (gf.ForwardEuler(), 0.01)}, [1.0], 1.0, t0=2.0)


# --- Many starts ---


def test_of_many_starts_each_lane_is_its_own_comparison():
    E = gf.Quadratic([[1.0, 0.0], [0.0, 3.0]])
    flow, starts = gf.GradientFlow(E), np.random.default_rng(0).normal(size=(9, 2))
    methods = {"euler": (gf.ForwardEuler(), 0.1), "too long": (gf.ForwardEuler(), 1.35)}
    found = gf.compare_ensemble(flow, methods, starts, 1.8)
    euler, too_long = found.entries["euler"], found.entries["too long"]
    # ẋ = −Hx and x_k = (1 − hH)ᵏx₀, a lane each.
    t, k = np.linspace(0, 1.8, 19), np.arange(19)
    np.testing.assert_allclose(euler.t, t)
    exact = starts[:, None, :] * np.exp(-t[:, None] * [1, 3])
    iterates = starts[:, None, :] * (1 - 0.1 * np.array([1, 3])) ** k[:, None]
    np.testing.assert_allclose(euler.errors, np.linalg.norm(iterates - exact, axis=-1), atol=1e-6)
    assert euler.runs.steps.tolist() == [18] * 9
    assert found.path.rows["energy"].shape == (9, 201)
    ends = np.sort(iterates[:, -1] ** 2 @ [0.5, 1.5])
    table = found.table()
    # The longest method ends beyond t1, the flow does not.
    assert table["t"].tolist() == pytest.approx([1.8, 1.8, 2.7])
    assert table.loc["euler", "energy 50 %"] == pytest.approx(ends[4], rel=1e-9)
    assert table.loc["euler", "energy 90 %"] == pytest.approx(np.quantile(ends, 0.9), rel=1e-9)
    at_end = np.sort(exact[:, -1] ** 2 @ [0.5, 1.5])
    assert table.loc["flow", "energy 50 %"] == pytest.approx(at_end[4], rel=1e-5)
    assert too_long.runs.tally == found.table().loc["too long", "status"]


@thorough
def test_in_single_precision_the_clocks_of_many_methods_agree():
    E, starts = gf.Quadratic(np.diag([1, 3]).astype(np.float32)), np.eye(2, dtype=np.float32)
    methods = {f"h = {h}": (gf.ForwardEuler(), h) for h in (0.1, 0.07, 0.3)}
    found = gf.compare_ensemble(gf.GradientFlow(E), methods, starts, 1.8)
    for h, entry in zip((0.1, 0.07, 0.3), found.entries.values(), strict=True):
        k = np.arange(len(entry.t))[:, None]
        apart = starts[:, None, :] * ((1 - h * np.array([1, 3])) ** k - np.exp(-h * k * [1, 3]))
        np.testing.assert_allclose(entry.errors, np.linalg.norm(apart, axis=-1), atol=1e-5)


def test_with_seeds_lanes_differ_and_errors_are_not_measured():
    langevin = gf.Langevin(gf.Quadratic([[1.0]]), temperature=0.5)
    methods, keys = {"ula": gf.Method(langevin, gf.EulerMaruyama(), 0.1)}, jax.random.split(jax.random.key(0), 4)
    found = gf.compare_ensemble(langevin, methods, np.zeros((4, 1)), 1.0, keys=keys)
    entry = found.entries["ula"]
    assert found.path is None
    assert entry.errors is None
    for i in range(2):
        alone = methods["ula"].iterate(np.zeros(1), 10, key=keys[i])
        np.testing.assert_allclose(entry.runs.rows["x"][i], alone.x, rtol=1e-12)
    with pytest.raises(TypeError, match="'ula' has noise; give `keys`"):
        gf.compare_ensemble(langevin, methods, np.zeros((4, 1)), 1.0)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"starts": 1.0}, "`starts` must be positions stacked along a first axis of every leaf, got shapes ()"),
        ({"keys": np.zeros(3)}, "`keys` must be one a lane, jax.random.split(key, 2), got shape (3,)"),
        ({"methods": {"a": (gf.ForwardEuler(), gf.ArmijoSearch())}}, "method 'a' must have one step length"),
        ({"starts": np.full((2, 2), np.nan)}, "`starts` must be finite"),
        ({"starts": np.zeros((2, 3))}, "`starts` of shape (3,) does not fit the energy"),
        ({"t1": -1.0}, "`t1 - t0` must be finite and positive, got -1.0"),
    ],
)
def test_what_is_no_ensemble_is_one_line(changed, words):
    given = {"methods": {"a": (gf.ForwardEuler(), 0.1)}, "starts": np.zeros((2, 2)), "t1": 1.0} | changed
    with pytest.raises(ValueError, match=r"^compare_ensemble: ") as caught:
        gf.compare_ensemble(gf.GradientFlow(gf.landscapes.bowl()), **given)
    assert words in str(caught.value)
