"""Nothing drawn at random is proved to be what it is not: limits, orders, rates and bounds against brute force.

A hundred schemes are drawn; two thousand where the environment variable GRADIENTFLOW_THOROUGH is set.
"""

import itertools
import random
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import gradientflow as gf
from gradientflow.analysis.linear_stability.contractivity import contractivity_limit, read_coefficients
from gradientflow.analysis.linear_stability.curvature import curvatures_at
from gradientflow.analysis.linear_stability.reading import Recipe
from gradientflow.analysis.linear_stability.step_limit import exact_limit
from gradientflow.flows import inner

from .thorough import THOROUGH

DRAWS, CHUNKS = (2_000, 20) if THOROUGH else (100, 4)
# Semidefinite programs take longer than everything else: they are asked of one draw in so many.
SOLVED = 4 if THOROUGH else 12
CERTAIN = ("proved", "certified")
# So far may a spectral radius in floating point be off.
ROUNDING = 1e-7


class PlainQuadratic(gf.Energy):
    """½xᵀHx in NumPy: brute force takes microseconds, and is another code than the package's."""

    H: Any

    def value(self, x):
        return x @ self.H @ x / 2

    def grad(self, x):
        return self.H @ x


class LogCosh(gf.Energy):
    """Σ log cosh(Mx)ᵢ, convex and not quadratic, its curvature at most ‖M‖²."""

    M: Any

    def value(self, x):
        return np.sum(np.log(np.cosh(self.M @ x)))

    def grad(self, x):
        return self.M.T @ np.tanh(self.M @ x)


class Drawn(gf.Discretizer):
    """A scheme that runs a program."""

    program: Callable = eqx.field(static=True)
    remembers: bool = eqx.field(static=True)

    def init(self, flow, t, z, h):
        return z if self.remembers else None

    def step(self, flow, t, z, h, *, memory=None, **_):
        return self.program(flow, t, z, h, memory)


# --- What is drawn ---------------------------------------------------------------------------------------------------


def runge_kutta(draw):
    (a, b, c), q = draw.integers(-4, 9, 3).tolist(), int(draw.integers(1, 7))
    if draw.random() < 0.5:
        a, q = q - b, q  # consistent

    def program(flow, t, z, h, _):
        k = flow.drift(t, z)
        ahead = flow.drift(t + h * c / q, z + h * k * c / q)
        return z + h * (a * k + b * ahead) / q

    return program, False


def two_step(draw):
    (a, b, c), q = draw.integers(-3, 8, 3).tolist(), int(draw.integers(2, 9))
    # Without a gradient nothing moves from rest, which is where runs start, whatever the matrix does elsewhere.
    a = a or 1

    def program(flow, t, z, h, before):
        ahead = z + (z - before) * b / q
        return ahead + h * flow.drift(t, z + (z - before) * c / q) * a / q, z

    return program, True


def implicit_explicit(draw):
    a, c, q = int(draw.integers(1, 6)), int(draw.integers(-2, 7)), int(draw.integers(1, 5))

    def program(flow, t, z, h, _):
        return (z + h * flow.drift(t, z) * a / q) / (1 + h * c / q)

    return program, False


def powers_of_h(draw):
    (a, b, c), q = draw.integers(-4, 5, 3).tolist(), int(draw.integers(1, 5))

    def program(flow, t, z, h, _):
        k = flow.drift(t, z)
        return z + h * k * (1 + h * a / q + h * h * b / q) + h * h * (flow.drift(t, z + h * k) - k) * c / q

    return program, False


def rooted(draw):
    a, b, half = int(draw.integers(1, 4)), int(draw.integers(-3, 4)), draw.random() < 0.5

    def program(flow, t, z, h, _):
        length = (a * h + b * h * h) ** 2
        return z + (length**0.5 if half else length) * flow.drift(t, z)

    return program, False


def vanishing_on_a_line(draw):
    """Terms that are 0, or 1, in one dimension."""
    kind, a = int(draw.integers(5)), int(draw.integers(1, 4))

    def program(flow, t, z, h, _):
        k = flow.drift(t, z)
        if kind == 0:
            return z + h * k * (1 + a - a * inner(z, k) * inner(z, k) / (inner(z, z) * inner(k, k)))
        if kind == 1:
            return z + h * (k - inner(k, z) / inner(z, z) * z)
        if kind == 2:
            return z + h * a * (k * inner(z, z) - z * inner(z, k)) + h * k
        if kind == 3:
            return z + h * a * k * (z / z)
        return z + h * k * ((inner(k, k) ** 0.5) / inner(k, k) ** 0.5)

    return program, False


def other_on_vectors(draw):
    kind = int(draw.integers(3))

    def program(flow, t, z, h, _):
        k = flow.drift(t, z)
        if not hasattr(z, "shape"):
            return z + h * k
        return z + h * (k[::-1] if kind == 0 else 2 * k if kind == 1 else k - k.mean())

    return program, False


def changing(draw):
    kind, calls = int(draw.integers(3)), itertools.count()

    def program(flow, t, z, h, _):
        factor = (
            random.choice([1, 3]) if kind == 0
            else int(np.random.randint(1, 4)) if kind == 1
            else 1 + (next(calls) % 2)
        )  # fmt: skip
        return z + factor * h * flow.drift(t, z)

    return program, False


def branching(draw):
    kind = int(draw.integers(3))

    def program(flow, t, z, h, _):
        k = flow.drift(t, z)
        if kind == 0:
            return z + (h if h < 1 else 2 * h) * k
        if kind == 1:
            return z + jnp.where(jnp.sum(k) > 0, h, 3 * h) * k
        return z + h * abs(k)

    return program, False


READ = (runge_kutta, two_step, implicit_explicit, powers_of_h)
REFUSED = (vanishing_on_a_line, other_on_vectors, changing, branching)
KINDS = (*READ, *READ, rooted, *REFUSED)


# --- Brute force -----------------------------------------------------------------------------------------------------


def brute_matrix(scheme, H, h):
    """The step's matrix on states and memory, column by column; `None` where the step is not linear."""
    flow = gf.GradientFlow(PlainQuadratic(H))
    n = len(H)

    def step(both):
        z, memory = both[:n], both[n:] if scheme.remembers else None
        out = scheme.step(flow, 0.0, z, h, memory=memory)
        return np.concatenate(out) if scheme.remembers else np.asarray(out)

    size = 2 * n if scheme.remembers else n
    columns = np.stack([step(column) for column in np.eye(size)], axis=1)
    z = np.random.default_rng(1).normal(size=size)
    assert np.allclose(step(z), columns @ z, rtol=1e-9, atol=1e-12 * max(1.0, np.abs(columns).max()))
    return columns


def radius(scheme, H, h):
    return np.abs(np.linalg.eigvals(brute_matrix(scheme, H, h))).max()


def check_limit(scheme, H, draw):
    energy = gf.Quadratic(H)
    recipe = Recipe(gf.GradientFlow(energy), scheme)
    limit = exact_limit(recipe, recipe.read(), curvatures_at(energy, jnp.zeros(len(H))))
    assert limit.grade in CERTAIN
    assert limit.low <= limit.value <= limit.high
    if limit.value == 0:
        # Errors grow: like a power of the radius, or like k where eigenvalues on the circle coincide.
        matrices = [brute_matrix(scheme, H, h) for h in (1e-3, 1e-5)]
        assert max(radius(scheme, H, 1e-3), radius(scheme, H, 1e-5)) > 1 or any(
            np.linalg.norm(np.linalg.matrix_power(matrix, 2_000)) > 100 for matrix in matrices
        )
        return
    below = 10.0 ** draw.uniform(-3, 4, 8) if np.isinf(limit.value) else limit.low * draw.uniform(0, 1, 8)
    for h in below:
        assert radius(scheme, H, float(h)) <= 1 + ROUNDING
    if not np.isinf(limit.high):
        assert radius(scheme, H, limit.high * (1 + 1e-6)) >= 1 - ROUNDING


def check_contraction(scheme, H, draw):
    """Distances, where a theorem says that they never grow: on the quadratic and on an energy that is none."""
    length = contractivity_limit(read_coefficients(scheme))
    if length is None:
        return
    bound = 50.0 if length.is_infinite else float(length)
    for L, energy in ((np.linalg.eigvalsh(H)[-1], PlainQuadratic(H)), (np.linalg.norm(H, 2) ** 2, LogCosh(H))):
        flow = gf.GradientFlow(energy)
        for h in bound / L * (1 - draw.random(3) * 0.5):
            x, y = draw.normal(size=(2, len(H))) * 3
            after = scheme.step(flow, 0.0, x, h) - scheme.step(flow, 0.0, y, h)
            assert np.linalg.norm(after) <= np.linalg.norm(x - y) * (1 + 1e-9)


def check_order(scheme, H, draw):
    """The error of a step on an energy that is no quadratic, halved: at least the proved order."""
    proved = gf.order(scheme, up_to=3)
    assert proved.grade == "proved"
    flow, x = gf.GradientFlow(LogCosh(H / np.linalg.norm(H, 2))), draw.normal(size=len(H))
    errors = []
    for h in (0.02, 0.01):
        z, rk4 = x, gf.RungeKutta("rk4")
        for _ in range(8):
            z = rk4.step(flow, 0.0, z, h / 8)
        errors.append(np.linalg.norm(scheme.step(flow, 0.0, x, h) - z))
    # Order 0 claims nothing.
    if proved.order and errors[1] > 1e-12:
        assert np.log2(errors[0] / errors[1]) >= proved.order + 0.6


def check_worst_cases(scheme, _, draw):
    """A rate and a bound of the whole class, against the quadratics in it."""
    mu, L = 1, int(draw.integers(2, 9))
    h = float(draw.integers(1, 16)) / 8 / L
    method = gf.Method(gf.GradientFlow(gf.Mode(1.0)), scheme, h)
    found = gf.worst_case_rate(method, mu, L)
    curvatures = [mu, L, *draw.uniform(mu, L, 6)]
    if found.grade in CERTAIN and found.rate is not None:
        worst = max(radius(scheme, np.array([[lam]]), h) for lam in curvatures)
        assert worst <= float(found.rate) + ROUNDING
    bound = gf.worst_case_bound(method, 2, mu, L)
    if bound.grade in CERTAIN:
        for lam in curvatures:
            flow, x = gf.GradientFlow(PlainQuadratic(np.array([[lam]]))), np.ones(1)
            memory = scheme.init(flow, 0.0, x, h)
            for _ in range(2):
                out = scheme.step(flow, 0.0, x, h, memory=memory)
                x, memory = out if scheme.remembers else (out, None)
            assert lam * float(x[0]) ** 2 / 2 <= float(bound.value) + ROUNDING


def examined(k):
    """How many claims about draw k were compared with brute force."""
    draw = np.random.default_rng([2026, k])
    kind = KINDS[int(draw.integers(len(KINDS)))]
    scheme = Drawn(*kind(draw))
    turned = np.linalg.qr(draw.normal(size=(3, 3)))[0]
    H = turned @ np.diag(10.0 ** draw.uniform(-2, 2, 3)) @ turned.T
    H = (H + H.T) / 2
    if kind in REFUSED:
        for reading in READINGS:
            # A B-series is of states, and has no vectors to be compared with.
            if reading is not gf.order or kind is not other_on_vectors:
                with pytest.raises(gf.NotExactError):
                    reading(scheme)
        return 0
    checks = [check_limit]
    if not scheme.remembers and (THOROUGH or k % 2):
        checks += [check_contraction, check_order]
    if k % SOLVED == 0 and kind in (runge_kutta, two_step):
        checks.append(check_worst_cases)
    done = 0
    for check in checks:
        try:
            check(scheme, H, draw)
            done += 1
        except gf.NotExactError:
            assert check is not check_limit or kind is rooted
        except AssertionError as error:
            raise AssertionError(f"draw {k}, {kind.__name__}, {check.__name__}") from error
    return done


READINGS = (gf.stability_function, gf.order, read_coefficients)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_draw_is_proved_to_be_what_it_is_not(chunk):
    done = [examined(k) for k in range(chunk * DRAWS // CHUNKS, (chunk + 1) * DRAWS // CHUNKS)]
    assert sum(done) >= len(done) / 3
