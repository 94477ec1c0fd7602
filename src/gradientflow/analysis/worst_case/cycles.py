r"""Refutations: an energy of the class on which a scheme never converges, that one can run it on.

A scheme that asks one gradient a step is $y = G(w)u$ on motions $w^k$, with
$G(w) = C(wI - A)^{-1}B + D$. On a regular K-gon in the plane, which is walked round with $\omega = e^{2\pi iq/K}$, the
gradients must be $c = 1/G(\omega)$ times the points. Some energy in F_{μ,L} has these gradients if and only if

$$|c|^2 - (L+\mu)\,\mathrm{Re}\,c + \mu L + (L-\mu)\,|\mathrm{Im}\,c|\cot(\pi/K) \le 0,$$

by the interpolation inequalities, of which the ones between neighbours are the strictest. One such energy is
$\frac\mu2\|x\|^2 + \frac{L-\mu}2\,\mathrm{dist}(x, P)^2$ with another K-gon P. K = 2 is a quadratic at the edge of its
stability.

References:
    B. Goujaud, A. B. Taylor, A. Dieuleveut, Provable non-accelerations of the heavy-ball method, 2023, for the heavy
    ball; here for any scheme.
"""

import dataclasses
import math
from fractions import Fraction
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath
import numpy as np

from gradientflow.discretizers import Iteration, Method
from gradientflow.flows import Energy, looks_at_numbers, numbers_to_arrays

from ..exact.state_space import transfer
from ..exact.subject import read_subject
from ..results.grades import Grade, Graded
from ..results.result import Drawn
from .certificate import is_count
from .problem import EnergyClass, Problem, balanced, energy_class, on_energy

# The longest cycles that are looked for.
_LONGEST = 60
_RATIOS = np.array([(K, q) for K in range(2, _LONGEST + 1) for q in range(1, K // 2 + 1) if math.gcd(q, K) == 1]).T
# Digits with which the inequality is decided by interval arithmetic.
_DIGITS = 60


class PolygonEnergy(Energy):
    r"""The energy $\frac\mu2\|x\|^2 + \frac{L-\mu}2\,\mathrm{dist}(x, P)^2$ of points in the plane: in F_{μ,L}.

    Its minimizer is 0. P is a regular polygon around it.

    Args:
        vertices: of P, in their order round it, shape (K, 2).
        mu: μ.
        L: L.
    """

    vertices: jax.Array
    mu: Any
    L: Any

    def value(self, x: Any) -> Any:
        """E(x), x of shape (2,)."""
        away = x - self._nearest(x)
        return (self.mu * jnp.vdot(x, x) + (self.L - self.mu) * jnp.vdot(away, away)) / 2

    def grad(self, x: Any) -> Any:
        """μx + (L − μ)(x − its projection on P)."""
        return self.mu * x + (self.L - self.mu) * (x - self._nearest(x))

    @property
    def minimizer(self) -> Any:
        """0."""
        return jnp.zeros(2)

    @property
    def minimum(self) -> Any:
        """0."""
        return 0.0

    def _nearest(self, x: Any) -> Any:
        start, end = self.vertices, jnp.roll(self.vertices, -1, axis=0)
        edge, to = end - start, x - start
        inside = jnp.all(edge[:, 0] * to[:, 1] - edge[:, 1] * to[:, 0] > 0)
        along = jnp.clip(jnp.sum(to * edge, axis=-1) / jnp.sum(edge * edge, axis=-1), 0, 1)
        candidates = start + along[:, None] * edge
        distances = jnp.sum((x - candidates) ** 2, axis=-1)
        return jnp.where(inside, x, candidates[jnp.argmin(distances)])


@dataclasses.dataclass(frozen=True)
class Cycle(Graded, Drawn):
    """A periodic orbit of a method on an energy of the class.

    So it is not true that from every state, of position and velocity or memory, it converges on all of the class. A
    start at rest need not reach the orbit.

    `.plot()` draws the energy's levels with the orbit on them, and the distance to the minimizer step by step.

    Attributes:
        method: the method on that energy.
        energies: the class.
        period: K, how many steps a round takes.
        turns: q, how often a period goes round the minimizer.
        points: the iterates, (K, 2); the first point where a gradient is asked is (1, 0).
        state: the state (with the scheme's memory) that starts it, as (n, 2).
        excess: the left side of the inequality, ≤ 0, divided by L².
        problem: what was read.
    """

    drawn_by = "worst_case.figures:plot_cycle"

    method: Method
    energies: EnergyClass
    period: int
    turns: int
    points: np.ndarray
    state: np.ndarray
    excess: float
    problem: Problem

    @property
    def energy(self) -> Energy:
        """The energy, to be evaluated, plotted or minimized."""
        return self.method.flow.energy

    def run(self, steps: int, energy: Energy | None = None) -> np.ndarray:
        """The scheme's own iterates from the start of the cycle: (steps + 1, 2).

        Args:
            steps: how many.
            energy: another energy of points in the plane, to compare; the cycle's own unless given.
        """
        with jax.enable_x64(True):
            method = self.method if energy is None else on_energy(self.method, energy)
            method = numbers_to_arrays(method, jnp.float64, integers=False)
            iteration = Iteration(method.flow, method.discretizer, method.step)
            carry = iteration.start(method.flow.init(jnp.zeros(2)))
            leaves, structure = jax.tree.flatten(carry.z)
            numbers = [jnp.asarray(row) for row in self.state]
            z = jax.tree.unflatten(structure, numbers[: len(leaves)])
            kept, remembered = jax.tree.flatten(carry.memory)
            given = iter(numbers[len(leaves) :])
            memory = jax.tree.unflatten(remembered, [next(given) if np.shape(k) == (2,) else k for k in kept])
            carry = dataclasses.replace(carry, z=z, memory=memory)

            def one(carry: Any, _: Any) -> Any:
                after = iteration.one(carry)
                return after, iteration.position(after)

            _, after = jax.lax.scan(one, carry, length=steps)
            return np.concatenate([np.asarray(iteration.position(carry))[None], np.asarray(after)])

    def values(self, x: Any) -> np.ndarray:
        """The energy at points of shape (…, 2), for contours."""
        with jax.enable_x64(True):
            flat = jnp.asarray(x, dtype=float).reshape(-1, 2)
            return np.asarray(jax.vmap(self.energy.value)(flat)).reshape(np.shape(x)[:-1])

    def check(self) -> bool:
        """Whether the inequality holds, decided by interval arithmetic on the exact coefficients."""
        if not (isinstance(self.problem, Problem) and isinstance(self.method, Method)):
            return False
        if not (is_count(self.period) and is_count(self.turns)):
            return False
        is_polygon = (self.period, self.turns) in zip(*_RATIOS.tolist(), strict=True)
        own = on_energy(self.problem.subject, self.method.flow.energy)
        is_own = self.energies == self.problem.energies and bool(eqx.tree_equal(own, self.method))
        return is_polygon and is_own and _holds(self.problem, self.period, self.turns)

    @property
    def grade(self) -> Grade:
        """That the method converges is refuted: intervals enclose the inequality by which the orbit is one."""
        return Grade.REFUTED

    def __repr__(self) -> str:
        """The cycle in words."""
        round_ = "once" if self.turns == 1 else f"{self.turns} times"
        return (
            f"{self.method.name} on {self.energies}, {self.grade}: a cycle of {self.period} steps, {round_} "
            "round the minimizer, on E = μ/2‖x‖² + (L−μ)/2·dist(x, polygon)² (`.energy`); `.run(steps)` walks it"
        )


@looks_at_numbers
def find_cycle(method: Any, mu: Any, L: Any) -> Cycle | None:
    """A periodic orbit of a method on some energy of F_{μ,L}, with that energy; `None` where none was found.

    Regular polygons are tried, walked round with every step that closes after at most 60. That none is found proves
    nothing.

    Args:
        method: a method with a constant step that asks one gradient a step; its own energy is not used.
        mu: μ ≥ 0.
        L: L > μ, finite.

    Raises:
        ValueError: if μ < 0, μ ≥ L or L = ∞, or if the scheme asks several gradients a step.
        TypeError: if the step is not a constant.
        NotExactError: if the recipe can't be read, naming the line.

    References:
        B. Goujaud, A. B. Taylor, A. Dieuleveut, Provable non-accelerations of the heavy-ball method, 2023, for the
        heavy ball.

    Example:
        >>> import gradientflow as gf
        >>> polyak = gf.optimizers.momentum(gf.landscapes.bowl(), lr=4 / 36, beta=(4 / 6) ** 2)  # tuned for 1 ≤ λ ≤ 25
        >>> gf.find_cycle(polyak, mu=1, L=25).period
        3
    """
    energies = energy_class("find_cycle", mu, L, strongly=False)
    if energies.L is None:
        raise ValueError("find_cycle: `L` must be finite")
    # The whole state, since it is to be run.
    space = read_subject("find_cycle", method, flows=False).with_position_in_state("find_cycle")
    return cycle_of(balanced(method, energies, space))


def cycle_of(asked: Problem) -> Cycle | None:
    """A cycle of what was read, with its energy, if there is one."""
    if asked.space.gradients != 1:
        raise ValueError(f"find_cycle: needs a scheme with one gradient a step, this one asks {asked.space.gradients}")
    found = best_cycle(asked)
    return None if found is None else _built(asked, *found)


def best_cycle(asked: Problem) -> tuple[int, int, float] | None:
    """The period, the turns and the inequality's left side of the cycle with the most room in it, if there is one."""
    periods, turns = _RATIOS
    excess = _excesses(_gradient_factor(asked, np.exp(2j * np.pi * turns / periods)), periods, asked)
    for place in np.argsort(excess)[:3]:
        period, turn = int(periods[place]), int(turns[place])
        if excess[place] < 0 and _holds(asked, period, turn):
            return period, turn, float(excess[place])
    return None


def _excesses(c: Any, period: Any, asked: Problem) -> np.ndarray:
    """The inequality's left side over L², in floating point."""
    mu = float(asked.mu)
    return np.abs(c) ** 2 - (1 + mu) * c.real + mu + (1 - mu) * np.abs(c.imag) / np.tan(np.pi / period)


def _gradient_factor(asked: Problem, w: np.ndarray) -> np.ndarray:
    """c = 1/G(w) in floating point, in units of L: χ/N, as `transfer` has them exactly."""
    space = asked.space.as_floats()
    chi, closed = (np.polyval(np.poly(matrix), w) for matrix in (space.A, space.A - space.B @ space.C))
    with np.errstate(divide="ignore", invalid="ignore"):
        c = chi / (closed - chi + space.D[0, 0] * chi)
    return np.where(np.isfinite(c), c, np.inf)


def _holds(asked: Problem, period: int, turns: int) -> bool:
    """The inequality times |N|², where G = N/χ with polynomials over ℚ, by interval arithmetic."""
    # Its types don't know intervals.
    iv: Any = mpmath.iv
    before, iv.dps = iv.dps, _DIGITS
    try:
        angle = 2 * iv.pi * turns / period
        w = iv.mpc(iv.cos(angle), iv.sin(angle))
        chi, n = (_horner(polynomial, w, iv) for polynomial in transfer(asked.space))
        mu = iv.mpf(asked.mu.numerator) / asked.mu.denominator
        real, imaginary = chi.real * n.real + chi.imag * n.imag, chi.imag * n.real - chi.real * n.imag
        squared = [value.real**2 + value.imag**2 for value in (chi, n)]
        half = iv.pi / period
        left = squared[0] - (1 + mu) * real + mu * squared[1]
        left += (1 - mu) * abs(imaginary) * iv.cos(half) / iv.sin(half)
        return bool(squared[1].a > 0 and left.b < 0)
    finally:
        iv.dps = before


def _horner(coefficients: list[Fraction], w: Any, iv: Any) -> Any:
    value = iv.mpc(0, 0)
    for c in coefficients:
        value = value * w + iv.mpf(c.numerator) / c.denominator
    return value


def _built(asked: Problem, period: int, turns: int, excess: float) -> Cycle:
    """The energy, the points and the state, from the complex motion ωᵏ."""
    mu, L = float(asked.energies.mu), float(asked.energies.L or math.inf)
    omega = np.exp(2j * np.pi * turns / period)
    c = complex(_gradient_factor(asked, np.array([omega]))[0])
    space = asked.space.as_floats()
    motion = np.linalg.solve(omega * np.eye(space.states) - space.A, space.B * c)[:, 0]
    gradient = c * L
    # Where the point 1 is projected to: x − (g − μx)/(L − μ).
    vertex = 1 - (gradient - mu) / (L - mu)
    around = vertex * np.exp(2j * np.pi * np.arange(period) / period)
    with jax.enable_x64(True):
        energy = PolygonEnergy(jnp.asarray(_plane(around)), mu, L)
    method = on_energy(asked.subject, energy)
    iterates = (space.position @ motion)[0] * omega ** np.arange(period)
    scales = np.array([float(scale) for scale in asked.scales])
    return Cycle(method, asked.energies, period, turns, _plane(iterates), _plane(motion * scales), excess, asked)


def _plane(numbers: Any) -> np.ndarray:
    return np.stack([numbers.real, numbers.imag], axis=-1)
