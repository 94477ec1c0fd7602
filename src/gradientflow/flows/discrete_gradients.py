r"""Discrete gradients: vectors $\bar\nabla E(x, y)$ with $\bar\nabla E(x, y)\cdot(y - x) = E(y) - E(x)$, exactly."""

import abc
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from .aliases import Position
from .compiling import compiled
from .energies.energy import Energy
from .energies.prox import prox_of_vector
from .homotopy import Equation, solve_between, solve_from_zero, solve_linear
from .numerics import is_concrete, is_numeric
from .state import lower

# Differences of energies below so many roundings of the energies are rounding.
_ROUNDINGS = 16


class DiscreteGradientRule(eqx.Module):
    """A discrete gradient, as flows are asked to step by it.

    Attributes:
        name: as users write it.
    """

    name: str = eqx.field(static=True)

    @property
    def series_order(self) -> int:
        """Through which order its steps are those of the gradient's mean along the segment, and so a B-series."""
        return 0

    @abc.abstractmethod
    def __call__(self, energy: Energy, x: Position, y: Any) -> Any:
        """∇̄E(x, y), all three pytrees of one shape."""

    def solve(self, energy: Energy, x: Position, tau: Any, shift: Any = None) -> Any:
        r"""The y with $y = x + s - \tau\bar\nabla E(x, y)$, or NaN where none is found.

        Compiled once for each kind of energy and shape where it is asked alone, and so not part of a run.

        Args:
            energy: E.
            x: the position, as a vector.
            tau: τ > 0.
            shift: s, shaped like x; `None` is 0.
        """
        alone = is_concrete(energy, x, tau, shift) and all(map(is_numeric, jax.tree.leaves((x, tau))))
        return (_compiled if alone else type(self).solve_traced)(self, energy, x, tau, shift)

    @abc.abstractmethod
    def solve_traced(self, energy: Energy, x: Position, tau: Any, shift: Any) -> Any:
        """The same, uncompiled."""


@compiled
def _compiled(rule: DiscreteGradientRule, energy: Energy, x: Position, tau: Any, shift: Any) -> Any:
    return rule.solve_traced(energy, x, tau, shift)


def correction_of(excess: Any, square: Any) -> Any:
    r"""Gonzalez's projection: the multiple of d that makes a discrete gradient of a vector g, added to it.

    Args:
        excess: E(y) − E(x) − g·d.
        square: ‖d‖² > 0.
    """
    return excess / square


class MeanGradient(DiscreteGradientRule):
    r"""The gradient's mean along the segment, by Gauss's rule, corrected along it by Gonzalez's projection.

    $g = \sum_i w_i \nabla E(x + s_i d)$, d = y − x, and $\bar\nabla E = g + (E(y) - E(x) - g\cdot d)\,d/\|d\|^2$. With
    one node it is Gonzalez's own. Polynomials of degree ≤ 2·nodes need no correction. Where it is within the rounding
    of E it is faded out, so that it holds no digit that is none.

    Attributes:
        nodes: how many.
    """

    nodes: int = eqx.field(static=True)

    @property
    def series_order(self) -> int:
        """2·nodes: the correction is of the order of ‖d‖^(2·nodes), and so is Gauss's error."""
        return 2 * self.nodes

    def __call__(self, energy: Energy, x: Position, y: Any) -> Any:
        """∇̄E(x, y)."""
        flat, unravel = ravel_pytree(x)
        return unravel(_along(_on_vectors(energy, unravel), flat, ravel_pytree(y)[0] - flat, self.nodes)[0])

    def solve_traced(self, energy: Energy, x: Position, tau: Any, shift: Any) -> Any:
        """By Newton's method from the start of the step, else along the path of solutions.

        Of a quadratic it is ∇E at the midpoint, which is then the proximal point over τ/2.
        """
        if energy.is_quadratic:
            return _reflected(energy, x, tau, shift)
        flat, unravel = ravel_pytree(numbers_only(x, "it is no gradient at any point, unless of a quadratic"))
        value = _on_vectors(energy, unravel)
        return unravel(flat + solve_from_zero(_equation(value, flat, tau, _flat_shift(shift, flat), self.nodes), flat))


class CoordinateGradient(DiscreteGradientRule):
    r"""Itoh and Abe's: difference quotients of E, coordinate by coordinate, each where the last has moved.

    $\bar\nabla E_i = (E(y_1, …, y_i, x_{i+1}, …) - E(y_1, …, y_{i-1}, x_i, …))/(y_i - x_i)$.
    """

    def __call__(self, energy: Energy, x: Position, y: Any) -> Any:
        """∇̄E(x, y)."""
        flat, unravel = ravel_pytree(x)
        return unravel(_quotients(_on_vectors(energy, unravel), flat, ravel_pytree(y)[0]))

    def solve_traced(self, energy: Energy, x: Position, tau: Any, shift: Any) -> Any:
        """Coordinate by coordinate, each equation between two points of which it holds the sign of neither.

        At a kink or a wall where no equation holds, the side from which E has fallen enough.
        """
        flat, unravel = ravel_pytree(
            numbers_only(x, "it goes from coordinate to coordinate, and exact numbers show one")
        )
        value, given = _on_vectors(energy, unravel), _flat_shift(shift, flat)

        def one(i: jax.Array, w: jax.Array) -> jax.Array:
            line, start = _line(value, w, i)
            equation = _equation(line, start, tau, given[i][None], 1)

            def of_number(d: jax.Array) -> tuple[jax.Array, jax.Array]:
                value, size = equation(d[None])
                return value[0], size

            return w.at[i].add(solve_between(of_number, w[i]))

        def solve(_: Any, y: jax.Array) -> jax.Array:
            return jax.lax.fori_loop(0, flat.size, one, y)

        def equation(y: jax.Array) -> jax.Array:
            return y - flat + tau * _quotients(value, flat, y) - given

        return unravel(jax.lax.custom_root(equation, flat, solve, solve_linear))


def _quotients(value: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    """The difference quotients of E, coordinate by coordinate."""
    places = jnp.arange(x.size)

    def quotient(i: jax.Array) -> jax.Array:
        line, start = _line(value, jnp.where(places < i, y, x), i)
        return _along(line, start, y[i][None] - start, 1)[0][0]

    return jax.vmap(quotient)(places)


def _equation(value: Any, x: jax.Array, tau: Any, shift: jax.Array, nodes: int) -> Equation:
    """d ↦ d + τ∇̄E(x, x + d) − s, and the size of what rounding can leave of it, beside that of x + d."""

    def equation(d: jax.Array) -> tuple[jax.Array, jax.Array]:
        found, gradient, level = _along(value, x, d, nodes)
        far = jnp.max(jnp.abs(jax.lax.stop_gradient(d)))
        size = tau * (gradient + level / jnp.where(far > 0, far, 1)) + jnp.max(jnp.abs(shift))
        return d + tau * found - shift, size

    return equation


def slopes_along(
    slope: Callable[[jax.Array], jax.Array], x: jax.Array, d: jax.Array, nodes: int
) -> tuple[jax.Array, jax.Array]:
    """A field on the segment from x to x + d: at Gauss's nodes, shape (nodes, n), and its mean by his rule."""
    places, weights = np.polynomial.legendre.leggauss(nodes)
    at, share = (jnp.asarray(row, x.dtype) for row in ((1 + places) / 2, weights / 2))
    slopes = jax.vmap(lambda s: slope(x + s * d))(at)
    return slopes, share @ slopes


def _along(value: Any, x: jax.Array, d: jax.Array, nodes: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """∇̄E(x, x + d), the largest entry of the gradients in it, and the size of what E is rounded from."""
    gradients, mean = slopes_along(jax.grad(value), x, d, nodes)
    before, after = value(x), value(x + d)
    # Scales, not differentiated: the derivative of a maximum is 0/0 where the compiler computes its entries a second
    # time, a last bit apart.
    steepest = jnp.max(jnp.abs(jax.lax.stop_gradient(gradients)))
    # What E is rounded from: itself, and its change by the rounding of a position.
    level = jax.lax.stop_gradient(jnp.abs(before) + jnp.abs(after) + steepest * jnp.max(jnp.abs(x) + jnp.abs(d)))
    excess, square = after - before - mean @ d, d @ d
    rounding = _ROUNDINGS * float(jnp.finfo(x.dtype).eps)
    moves = (square > 0) & (jnp.max(jnp.abs(d)) > rounding * jnp.max(jnp.abs(x)))
    faded = _faded(excess, rounding * level)
    correction = jnp.where(moves, correction_of(faded, jnp.where(moves, square, 1)), 0)
    # Behind a wall it is no number, however near.
    correction = jnp.where(jnp.isfinite(after), correction, jnp.nan)
    return mean + correction * d, steepest, level


def _faded(excess: jax.Array, noise: jax.Array) -> jax.Array:
    """e³/(e² + noise²): e where it is above the noise, nothing where it is below."""
    # Not divided by the excess: an excess of 0 may not be one where the compiler computes it a second time.
    ratio = excess / jnp.where(noise > 0, noise, 1)
    return excess * (ratio * ratio / (1 + ratio * ratio))


def _reflected(energy: Energy, x: Position, tau: Any, shift: Any) -> Any:
    """2m − x, m the proximal point over τ/2: the step where ∇̄E is ∇E at the midpoint, as it is of a quadratic."""
    middle = prox_of_vector(energy, x if shift is None else x + shift / 2, tau / 2)
    return 2 * middle - x


def _line(value: Any, w: jax.Array, i: jax.Array) -> tuple[Callable[[jax.Array], jax.Array], jax.Array]:
    """E along the i-th coordinate through w, of vectors of one entry, and where w is on it."""
    return lambda s: value(w.at[i].set(s[0])), w[i][None]


def _flat_shift(shift: Any, like: jax.Array) -> jax.Array:
    return jnp.zeros_like(like) if shift is None else ravel_pytree(shift)[0]


def _on_vectors(energy: Energy, unravel: Callable[[jax.Array], Any]) -> Callable[[jax.Array], jax.Array]:
    return lambda x: energy.value(lower(unravel(x)))


def numbers_only(x: Position, why: str) -> Any:
    """The position, unless it is an exact number.

    Raises:
        TypeError: saying why a discrete gradient can't be read on those.
    """
    if not all(map(is_numeric, jax.tree.leaves(x))):
        raise TypeError(f"a discrete gradient that can't be read exactly: {why}")
    return x


RULES: Mapping[str, DiscreteGradientRule] = {
    rule.name: rule
    for rule in (MeanGradient("gonzalez", 1), MeanGradient("average", 4), CoordinateGradient("itoh-abe"))
}
