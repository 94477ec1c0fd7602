"""What noise in the gradients costs at worst: against closed forms, exact laws, and runs."""

import dataclasses
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradientflow as gf

from .thorough import part

BOWL = gf.landscapes.bowl()
worst_case_noise = gf.analysis.worst_case_noise


@pytest.mark.parametrize(("h", "at"), [("1/4", "mu"), ("1/100", "mu"), ("9/20", "L"), ("2/5", "mu")])
def test_gradient_descents_gain_is_that_of_one_mode(h, at):
    """h/(μ(2 − hμ)) up to h = 2/(L + μ), and h/(L(2 − hL)) beyond: exactly, and it can't be lower."""
    h, mu, L = Fraction(h), 1, 4
    found = worst_case_noise(gf.optimizers.gradient_descent(BOWL, h), mu, L)
    slow = {"mu": mu, "L": L}[at]
    assert found.exact == h / (slow * (2 - h * slow))
    assert found.grade is gf.Grade.PROVED
    assert found.check()
    assert found.quadratics == pytest.approx(found.gain, rel=1e-9)


@pytest.mark.parametrize(
    ("lr", "beta", "scale"), [("1/8", "1/4", 1), ("1/4", "3/8", 1), ("1/8", "1/4", 1000), ("1/8", "1/4", "1/1000")]
)
def test_momentum_gains_no_more_than_on_its_worst_quadratic(lr, beta, scale):
    """Whose law is known exactly; in any units of E, 1/units² of it."""
    lr, beta, scale = map(Fraction, (lr, beta, scale))
    found = worst_case_noise(gf.optimizers.momentum(BOWL, lr / scale, beta), scale, 4 * scale)
    assert found.check()
    assert found.quadratics <= found.gain <= found.quadratics * (1 + 1e-6)
    # x' = x + β(x − x₋₁) − η(λx + e): the variance of an autoregression of order two.
    lam = found.curvature / float(scale)
    a, b = 1 + float(beta) - float(lr) * lam, -float(beta)
    variance = float(lr) ** 2 * (1 - b) / ((1 + b) * ((1 - b) ** 2 - a**2))
    assert found.quadratics * float(scale) ** 2 == pytest.approx(variance, rel=1e-9)


def test_nesterovs_method_is_certified_where_it_is_worse_than_on_quadratics():
    found = worst_case_noise(gf.optimizers.nesterov(BOWL, Fraction(1, 100), Fraction(9, 11)), 1, 100)
    assert found.grade is gf.Grade.CERTIFIED
    assert found.check()
    assert found.quadratics < found.gain < 2 * found.quadratics
    assert r"\gamma\|e\|^2" in found.latex()
    assert not dataclasses.replace(found, exact=found.exact * Fraction(99, 100)).check()
    assert not dataclasses.replace(found, energies=dataclasses.replace(found.energies, mu=Fraction(2))).check()


@pytest.mark.parametrize("make", part([gf.optimizers.momentum, gf.optimizers.nesterov]))
def test_noisy_runs_on_a_logistic_loss_stay_below_the_bound(make):
    """In the class by its ridge and its data; 100 runs at once, from the minimizer."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 2)), np.sign(rng.normal(size=30))
    L = 1 + float(np.linalg.eigvalsh(X.T @ X / 30).max()) / 4
    loss = gf.energy(lambda x: jnp.mean(jnp.log1p(jnp.exp(-jnp.asarray(y) * (jnp.asarray(X) @ x)))) + x @ x / 2)
    at = gf.integrate(gf.GradientFlow(loss), np.zeros(2), math.inf).x[-1]
    method, sigma = make(loss, lr=0.5 / L, beta=0.5), 0.3

    def mean_square(key):
        run = method.iterate(at, 300, oracle=gf.NoisyGradient(sigma), key=key)
        return jnp.mean(jnp.sum((run.x[100:] - at) ** 2, axis=1))

    seen = jax.vmap(mean_square)(jax.random.split(jax.random.key(1), 100))
    error = float(jnp.std(seen)) / 10
    found = worst_case_noise(method, 1, L)
    of_variance = 2 * sigma**2
    assert float(jnp.mean(seen)) <= found.gain * of_variance + 4 * error
    # A loss whose curvatures lie between those of the class is less sensitive than the worst, but not by much.
    assert float(jnp.mean(seen)) >= found.quadratics * of_variance / 2


def test_what_diverges_has_no_gain():
    found = worst_case_noise(gf.optimizers.gradient_descent(BOWL, Fraction(3, 5)), 1, 4)
    assert found.grade is gf.Grade.UNKNOWN
    assert found.gain == math.inf
    assert not found.check()
    with pytest.raises(ValueError, match="no proof to show"):
        found.latex()


@pytest.mark.parametrize(
    ("method", "bounds", "error", "words"),
    [
        (gf.optimizers.proximal_point(BOWL, 1), (1, 4), gf.analysis.NotExactError, "at an implicit point"),
        (gf.Method(gf.GradientFlow(BOWL), gf.RungeKutta("heun"), 0.1), (1, 4), gf.analysis.NotExactError, "2 a step"),
        (gf.optimizers.gradient_descent(BOWL, 0.1), (1, math.inf), ValueError, "`L` must be finite"),
        (gf.optimizers.gradient_descent(BOWL, 0.1), (0, 4), ValueError, "`mu` must be positive"),
        (gf.optimizers.adam(BOWL, 0.1), (1, 4), gf.analysis.NotExactError, "."),
    ],
)
def test_what_can_not_be_answered_is_told(method, bounds, error, words):
    with pytest.raises(error, match=words):
        worst_case_noise(method, *bounds)
