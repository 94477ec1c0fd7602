"""What is penalized and by how much, and what sets hold: intercepts, leaves, groups, masses, fixed coordinates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradientflow as gf

C, P = gf.constraints, gf.penalties
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)) * [1.0, 0.3, 2.0]
Y = X @ [2.0, 0.0, 0.5] + 5 + RNG.normal(size=40) / 5


def fitted(E):
    """Where ISTA of a composite energy comes to rest."""
    run = gf.optimizers.ista(E, lr=1 / float(E.smooth.curvature.L)).iterate(jnp.zeros(4), 400, save_every=400)
    return np.asarray(run.x[-1])


def test_a_penalty_leaves_the_intercept_alone_as_scikit_learn_does():
    from sklearn.linear_model import ElasticNet, Lasso, Ridge

    for penalty, model in (
        (P.L1(0.3), Lasso(alpha=0.3)),
        (P.ElasticNet(0.15, ridge=0.15), ElasticNet(alpha=0.3, l1_ratio=0.5)),
        (P.SquaredL2(0.3), Ridge(alpha=0.3 * 40)),
    ):
        model.set_params(tol=1e-12).fit(X, Y)
        found = fitted(gf.Composite(gf.LinearRegression(X, Y), penalty))
        np.testing.assert_allclose(found, [*model.coef_, model.intercept_], atol=1e-8)


def test_weights_that_are_given_are_taken_as_they_are():
    regression = gf.LinearRegression(X, Y)
    np.testing.assert_array_equal(gf.Composite(regression, P.L1(0.3)).nonsmooth.weight, [0.3, 0.3, 0.3, 0])
    for weight in ([0.3] * 4, jnp.full(4, 0.3)):
        np.testing.assert_array_equal(gf.Composite(regression, P.L1(weight)).nonsmooth.weight, [0.3] * 4)
    without = gf.LinearRegression(X, Y, intercept=False)
    assert gf.Composite(without, P.L1(0.3)).nonsmooth.weight == 0.3
    logistic = gf.Composite(gf.LogisticRegression(X, Y > 5), P.ElasticNet(0.3, ridge=0.1)).nonsmooth
    np.testing.assert_array_equal(logistic.ridge, [0.1, 0.1, 0.1, 0])
    # A minibatch of it is penalized alike.
    seen = gf.Minibatch(10)(gf.GradientFlow(gf.Composite(regression, P.L1(0.3))), jax.random.key(0), 0)
    np.testing.assert_array_equal(seen.energy.nonsmooth.weight, [0.3, 0.3, 0.3, 0])


@pytest.mark.parametrize("penalty", [P.L1, P.SquaredL2, lambda w: P.ElasticNet(w, ridge=w)])
def test_a_weight_for_each_leaf(penalty):
    """By leaves as by coordinates of one vector."""
    x = {"w": jnp.asarray([3.0, -0.2]), "b": jnp.asarray(2.0)}
    g, flat = penalty({"w": 1.0, "b": 0.0}), jnp.asarray([2.0, 3.0, -0.2])
    one = penalty([0.0, 1.0, 1.0])
    assert float(g.value(x)) == pytest.approx(float(one.value(flat)), rel=1e-15)
    for found, expected in ((g.prox(x, 0.5), one.prox(flat, 0.5)), (g.grad(x), one.grad(flat))):
        np.testing.assert_allclose([found["b"], *found["w"]], expected, rtol=1e-15)
    assert float(g.prox(x, 0.5)["b"]) == 2.0


def test_weights_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"^L1: weights of shape \(3,\) don't fit a position of shape \(2,\)$"):
        P.L1([1.0, 2.0, 3.0])(jnp.ones(2))
    with pytest.raises(ValueError, match=r"^SquaredL2: weights of shape \(3,\) don't fit a position of shape \(\)$"):
        P.SquaredL2([1.0, 2.0, 3.0]).grad(jnp.asarray(1.0))
    with pytest.raises(ValueError, match="L1: `weight` must be one, or one for each leaf of the position"):
        P.L1({"w": 1.0}).prox({"w": jnp.ones(2), "b": jnp.ones(())}, 1.0)
    with pytest.raises(ValueError, match="`weight` must be finite and not negative, got -1"):
        P.L1({"w": 1.0, "b": [-1.0, 2.0]})
    rows = P.L1([1.0, 2.0]).prox(jnp.full((3, 2), 4.0), 1.0)
    np.testing.assert_array_equal(rows, [[3, 2]] * 3)


def test_groups_are_labels_and_no_lists_of_indices():
    with pytest.raises(ValueError, match=r"shape \(2, 2\), the position has \(4,\); .*labels are \[0, 0, 1, 1\]"):
        P.GroupLasso([[0, 1], [2, 3]])(jnp.ones(4))
    matrix = jnp.asarray([[3.0, 4.0], [5.0, 12.0]])
    assert float(P.GroupLasso([[0, 0], [1, 1]])(matrix)) == float(P.GroupLasso([0, 0, 1, 1])(matrix)) == 18


def test_a_simplex_of_another_mass():
    simplex = C.Simplex(2.0)
    x = jnp.asarray([0.9, 1.7, -0.5])
    np.testing.assert_allclose(simplex.project(x), 2 * C.Simplex().project(x / 2), rtol=1e-15)
    assert bool(simplex.contains(jnp.asarray([0.5, 1.5, 0.0])))
    assert not bool(simplex.contains(jnp.asarray([0.5, 0.5, 0.0])))
    np.testing.assert_allclose(
        simplex.project_tangent(jnp.asarray([0.5, 1.5, 0.0]), jnp.asarray([1.0, 2.0, -4.0])), [-0.5, 0.5, 0], atol=1e-15
    )
    with pytest.raises(ValueError, match=r"^Simplex: `mass` must be finite and positive, got 0"):
        C.Simplex(0.0)


def test_a_box_may_hold_a_coordinate():
    box = C.Box([0.0, 1.0], [2.0, 1.0])
    np.testing.assert_array_equal(box.project(jnp.asarray([3.0, 4.0])), [2, 1])
    np.testing.assert_array_equal(box.project_tangent(jnp.asarray([1.0, 1.0]), jnp.asarray([-1.0, 5.0])), [-1, 0])
    run = gf.optimizers.projected_gradient(gf.landscapes.bowl(1.0, 1.0), 0.5, box).iterate([2.0, 1.0], 60)
    np.testing.assert_allclose(run.x[-1], [0, 1], atol=1e-12)
    assert run.status == "converged"
    with pytest.raises(ValueError, match=r"^Box: `upper` must not be below `lower`"):
        C.Box([0.0, 2.0], [1.0, 1.0])
