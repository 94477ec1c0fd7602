"""Energies of a single number, and a grid as fine as their Boltzmann factors want it."""

from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.flows import Energy, WrappedEnergy

# So many points are asked for at a time, that one program serves all.
_CHUNK = 4096
_MOST_POINTS = 200_000
# Where a density is e^{−60} of its largest it counts for nothing, however long the stretch.
_NEGLIGIBLE = 60.0


class OneCoordinate(WrappedEnergy):
    """An energy of one coordinate, as one of a number."""

    changes: ClassVar[frozenset[str]] = frozenset(("value", "grad", "hvp", "inverse_hvp", "minimizer"))

    energy: Energy

    def value(self, x: Any) -> Any:
        """E(x)."""
        return self.energy.value(jnp.asarray(x)[None])

    def grad(self, x: Any) -> Any:
        """E'(x)."""
        return self.energy.grad(jnp.asarray(x)[None])[0]

    def hvp(self, x: Any, v: Any) -> Any:
        """E''(x)v."""
        return self.energy.hvp(jnp.asarray(x)[None], jnp.asarray(v)[None])[0]

    @property
    def minimizer(self) -> Any:
        """The energy's own, as a number."""
        return None if self.energy.minimizer is None else self.energy.minimizer[0]


def of_one_number(where: str, energy: Energy) -> Energy:
    """An energy as one of a number, also where its position is an array with one entry.

    Raises:
        ValueError: if it takes neither.
    """
    for candidate in (energy, OneCoordinate(energy)):
        try:
            if jax.eval_shape(candidate.value, jnp.zeros(())).shape == ():
                return candidate
        except (TypeError, ValueError, IndexError, KeyError, AttributeError):
            continue
    raise ValueError(f"{where}: the energy must be one of a single number, or of one coordinate; this one is of more")


class Values:
    """Values of a function of a number at many, in double precision."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._each = jax.jit(jax.vmap(function))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The function at every entry."""
        flat = np.ravel(x)
        padded = np.concatenate([flat, np.full(-len(flat) % _CHUNK, flat[-1])])
        with jax.enable_x64(True):
            chunks = [np.asarray(self._each(jax.device_put(part))) for part in padded.reshape(-1, _CHUNK)]
        return np.concatenate(chunks)[: len(flat)].reshape(np.shape(x))


def graded(first: float, second: float) -> np.ndarray:
    """Points from the first to the second, as many in every decade of the distance to the first as far away."""
    shares = np.concatenate([[0.0], np.geomspace(1e-12, 1.0, 1200), np.linspace(0.0, 1.0, 1201)[1:-1]])
    return np.unique(first + shares * (second - first))


def resolved(where: str, values: Values, x: np.ndarray, T: float, rising: bool) -> np.ndarray:
    """More points between, until E changes by no more than T/2 between neighbours wherever e^{−E/T} counts.

    Args:
        where: who asks.
        values: E.
        x: the first points, in order.
        T: the temperature.
        rising: whether e^{E/T} counts too.

    Raises:
        ValueError: if that takes too many, or E is not finite.
    """
    E, settled = values(x), np.zeros(len(x) - 1, dtype=bool)
    while not settled.all():
        if not np.isfinite(E).all():
            raise ValueError(f"{where}: the energy is {E[~np.isfinite(E)][0]} at {x[~np.isfinite(E)][0]:g}")
        counts = _counts(E, T) | (_counts(-E, T) if rising else False)
        middle = (x[1:] + x[:-1]) / 2
        asked = np.flatnonzero(counts & ~settled & (middle > x[:-1]) & (middle < x[1:]))
        if len(asked) == 0:
            break
        if len(x) + len(asked) > _MOST_POINTS:
            raise ValueError(f"{where}: the energy changes by more than T = {T:g} too often to follow; raise T")
        between = values(middle[asked])
        steep = np.maximum(np.abs(between - E[asked]), np.abs(between - E[asked + 1])) > T / 2
        settled[asked[~steep]] = True
        split = asked[steep]
        x = np.insert(x, split + 1, middle[split])
        E = np.insert(E, split + 1, between[steep])
        settled = np.insert(settled, split + 1, False)
    return x


def _counts(E: np.ndarray, T: float) -> np.ndarray:
    """Between which neighbours e^{−E/T} counts, or a well may hide that is deeper than it looks."""
    deep = np.minimum(E[1:], E[:-1]) - E.min() < _NEGLIGIBLE * T
    low = np.concatenate([[np.inf], E, [np.inf]])
    well = (low[:-2] >= E) & (low[2:] >= E) & ((low[:-2] > E) | (low[2:] > E))
    return deep | well[1:] | well[:-1]
