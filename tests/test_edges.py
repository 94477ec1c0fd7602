"""Ends of ranges, other spellings, and what can't be asked: said in the user's words."""

from fractions import Fraction

import numpy as np
import pytest

import gradientflow as gf


def test_a_stability_map_begins_with_gradient_descent():
    """At β = 0 momentum is gradient descent, |1 − ηλ|; over either axis."""
    lr, beta = [0.5, 1.5, 3.0], [0.0, 0.5]
    for optimizer in (gf.optimizers.momentum, gf.optimizers.nesterov):
        found = gf.stability_map(optimizer, (1.0,), lr=lr, beta=beta)
        np.testing.assert_allclose(found.radius[0], [0.5, 0.5, 2.0], rtol=1e-12)
        np.testing.assert_allclose(gf.stability_map(optimizer, (1.0,), beta=beta, lr=lr).radius, found.radius.T)
    assert np.isfinite(found.radius).all()


HALF = Fraction(1, 2)


@pytest.mark.parametrize(
    "a",
    [((), (HALF,)), [[0, 0], ["1/2", 0]], [[], ["1/2"]], [[0.0, 0.0], [0.5, 0.0]], [["0", "0"], [" 1/2 ", "0"]]],
)
def test_a_tableau_in_many_spellings(a):
    tableau = gf.Tableau("midpoint", a, ["0", 1], order=2)
    assert (tableau.a, tableau.b) == (((), (HALF,)), (0, 1))
    scheme = gf.RungeKutta(tableau)
    assert gf.stability_function(scheme) == gf.stability_function(gf.RungeKutta("midpoint"))


BAD_TABLEAUS = {
    "implicit": ([["1/2"]], [1], ValueError, "is implicit, with 1/2 on or above the diagonal in row 1; .*FromDiffrax"),
    "implicit above": ([[0, 1], [0, 0]], [0, 1], ValueError, "is implicit, with 1 on or above the diagonal in row 1"),
    "rounded": ([[], [1 / 3]], [0, 1], ValueError, "0.3333333333333333, is rounded; write it as a fraction, '1/3'"),
    "no number": ([[], ["half"]], [0, 1], ValueError, "must be numbers such as 1, '1/6' or 0.5, got 'half'"),
    "infinite": ([[], [float("inf")]], [0, 1], ValueError, "must be numbers such as 1, '1/6' or 0.5, got inf"),
    "none": ([[], [None]], [0, 1], TypeError, "must be numbers such as 1, '1/6' or 0.5, got None"),
    "rows": ([[], [1], [1]], [0, 0, 1], ValueError, r"of 0, 1, …, 2 entries or of 3 each, got rows of \[0, 1, 1\]"),
    "too few": ([[]], [0, 1], ValueError, "must have 2 rows to fit `b`"),
}


@pytest.mark.parametrize("name", BAD_TABLEAUS)
def test_tableaus_that_are_none(name):
    a, b, error, message = BAD_TABLEAUS[name]
    with pytest.raises(error, match=message):
        gf.Tableau("mine", a, b, order=1)


def test_a_convergence_map_of_adam_says_what_it_is_for():
    with pytest.raises(gf.NotExactError, match=r"^convergence_map: adam is not linear in its gradients .*as momentum"):
        gf.convergence_map(gf.optimizers.adam, 1, 10, lr=[0.01, 0.1], b1=[0.5, 0.9])
