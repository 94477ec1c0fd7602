"""Basins: every start's label is where its own path or run ends; tuning is on one budget."""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import gradientflow as gf
from gradientflow.analysis import Elsewhere

from .thorough import thorough

WELL = gf.landscapes.double_well()


@thorough
def test_the_wells_of_a_double_well_are_its_half_planes():
    """By symmetry the border is x = 0, on which the saddle is reached."""
    found = gf.basins(gf.GradientFlow(WELL), ((-2.0, 2.0), (-1.0, 1.0)), (101, 97))
    assert (found.x[[0, -1]] == [-2, 2]).all()
    assert (found.y[[0, -1]] == [-1, 1]).all()
    np.testing.assert_allclose(found.minima, [[-1, 0], [1, 0]], atol=1e-12)
    expected = np.select([found.x < 0, found.x > 0], [0, 1], Elsewhere.NO_MINIMUM)
    np.testing.assert_array_equal(found.labels, np.broadcast_to(expected, (97, 101)))
    assert found.starts < found.labels.size / 2


def test_labels_are_where_single_paths_end():
    E = gf.landscapes.himmelblau()
    found = gf.basins(gf.GradientFlow(E), ((-5, 5), (-5, 5)), 12)
    # All four have E = 0, to rounding: from left to right.
    np.testing.assert_allclose(found.minima, sorted(np.array(E.minima).tolist()), atol=1e-9)
    for i, j in [(0, 0), (3, 8), (11, 2), (6, 6)]:
        end = gf.integrate(gf.GradientFlow(E), [found.x[j], found.y[i]], math.inf).x[-1]
        np.testing.assert_allclose(found.minima[found.labels[i, j]], end, atol=1e-4)
    assert found.table()["share"].sum() == pytest.approx(1)
    assert found.plot().axes[0].get_title() == "Basins of GradientFlow"


def test_the_ways_to_reach_no_minimum_are_told_apart():
    """Gradient descent of ¼x⁴ − ½x² + ½by²: past its limit in y it diverges, or cycles, or x has not yet arrived."""
    E = gf.energy(lambda p: p[0] ** 4 / 4 - p[0] ** 2 / 2 + p[1] ** 2 / 2)
    method = gf.optimizers.gradient_descent(E, lr=0.5)
    found = gf.basins(method, ((-3.0, 3.0), (-1.0, 1.0)), (7, 3), steps=60)
    # From ±3 the step is to ∓9, and further each time; from ±2 to ∓1, a minimum; 0 is the saddle.
    middle = found.labels[1]
    assert middle.tolist() == [Elsewhere.DIVERGED, 1, 0, Elsewhere.NO_MINIMUM, 1, 0, Elsewhere.DIVERGED]
    short = gf.basins(method, ((0.5, 1.5), (-1.0, 1.0)), 2, steps=3)
    assert (short.labels == Elsewhere.NOT_ARRIVED).all()
    assert short.minima.shape == (0, 2)
    cycles = gf.basins(gf.optimizers.gradient_descent(E, lr=1.1), ((0.6, 0.8), (-0.1, 0.1)), 2, steps=600)
    assert (cycles.labels == Elsewhere.CYCLING).all()


@thorough
def test_another_energy_of_the_same_kind_traces_nothing_anew():
    traced = []

    def energy(p, a):
        traced.append(None)
        return p[0] ** 4 / 4 - a * p[0] ** 2 / 2 + p[1] ** 2 / 2

    def minima(a):
        flow = gf.GradientFlow(gf.energy(eqx.Partial(energy, a=jnp.asarray(a))))
        return gf.basins(flow, ((-3.0, 3.0), (-1.0, 1.0)), 4).minima

    minima(1.0)
    known = len(traced)
    np.testing.assert_allclose(minima(4.0), [[-2, 0], [2, 0]], atol=1e-6)
    assert len(traced) <= known + 2


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ((1, ((0, 1), (0, 1))), TypeError, "must be a Method or a Flow, got int"),
        ((gf.GradientFlow(WELL), (0, 1)), ValueError, r"`box` must be \(\(x0, x1\), \(y0, y1\)\)"),
        ((gf.GradientFlow(WELL), ((1, 0), (0, 1))), ValueError, "with x0 < x1"),
        ((gf.GradientFlow(WELL), ((0, 1), (0, 1)), 1), ValueError, "`resolution` must be at least 2"),
    ],
)
def test_what_is_wrong_is_told(given, error, words):
    with pytest.raises(error, match=words):
        gf.basins(*given)


def test_tuning_gives_every_method_as_many_trials_and_steps():
    E = gf.Quadratic(jnp.diag(jnp.array([1.0, 25.0])))
    make = {
        "descent": lambda lr: gf.optimizers.gradient_descent(E, lr=lr),
        "momentum": lambda lr, beta: gf.optimizers.momentum(E, lr=lr, beta=beta),
    }
    over = {"lr": np.geomspace(1e-3, 0.2, 12), "beta": [0.3, 0.6]}
    found = gf.tune(make, [1.0, 1.0], over, budget=40)
    assert (found.budget, found.trials) == (40, 12)
    assert {label: sweep.energy.size for label, sweep in found.sweeps.items()} == {"descent": 12, "momentum": 12}
    # Of the rates on offer the best is the one with the least spectral radius, near 2/(μ + L).
    radius = np.maximum(np.abs(1 - over["lr"]), np.abs(1 - 25 * over["lr"]))
    assert found.best["descent"]["lr"] == pytest.approx(over["lr"][radius.argmin()])
    run = make["momentum"](**found.best["momentum"]).iterate([1.0, 1.0], 40)
    assert found.energy["momentum"] == pytest.approx(float(run.energy[-1]), rel=1e-9)
    assert "12 trials of 40 steps" in repr(found)
    assert (found.table()["median"] >= found.table()["energy"]).all()
