r"""Where the gradient vanishes: found by Newton's method from many starts, told apart by the Hessian's signs.

Newton's method is damped as Levenberg and Marquardt do, so that ‖∇E‖ falls: it goes to a point of any kind. An
eigenvalue has a sign if it is larger than what rounding and the step that is still left could change of it; that step
is what Newton's method would do next, and at a point where the Hessian is singular it stays a fixed share of the way.

References:
    J. Nocedal, S. J. Wright, Numerical Optimization, 2006, chapters 10 and 11; D. J. Wales, Energy Landscapes, 2003,
    chapter 6, on finding saddles by ‖∇E‖.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy.stats import qmc

from gradientflow.flows import Energy, check_fits, compiled, looks_at_numbers
from gradientflow.flows.checks import in_a_line
from gradientflow.flows.numerics import LARGEST_DENSE

from ..results.grades import Measured
from ..results.result import Drawn
from .spectrum import energy_of

# Starts tried at once, and how many such batches at most; no more follow one that brought no new point.
_BATCH, _BATCHES = 256, 24
_ITERATIONS, _MOST_DAMPED = 100, 1e8
# In units of the box: how small a Newton step has to be, and how near two points are one.
_SMALL, _SAME = 1e-7, 1e-5
_SMALL_SINGLE, _SAME_SINGLE = 1e-3, 1e-2
_ULPS = 16
# So many degenerate points are a curve or more.
_MANY = 64
KINDS = ("minimum", "saddle", "maximum", "degenerate")


@dataclasses.dataclass(frozen=True, repr=False)
class StationaryPoints(Measured, Drawn):
    """The points of a box at which the gradient vanishes, in the order of their energies.

    `.plot()` draws them on the energy's contours in two dimensions, on its graph in one, else energies over indices.

    Attributes:
        points: shape (m, n), or (m,) where the position is a number [X].
        kinds: of each "minimum", "saddle", "maximum", or "degenerate" where an eigenvalue has no sign.
        index: how many eigenvalues are negative, shape (m,).
        energy: E there, shape (m,).
        eigenvalues: the Hessian's, in increasing order, shape (m, n). Units: E/X².
        error: the length of the next Newton step, its largest entry, shape (m,) [X].
        box: the bounds of each coordinate, shape (n, 2).
        starts: from how many starts Newton's method went.
        complete: whether the last 256 of them led to no new point.
        function: the energy, for drawing.
    """

    drawn_by = "curvature.figures:plot_stationary"

    points: np.ndarray
    kinds: tuple[str, ...]
    index: np.ndarray
    energy: np.ndarray
    eigenvalues: np.ndarray
    error: np.ndarray
    box: np.ndarray
    starts: int
    complete: bool
    function: Energy = dataclasses.field(repr=False)

    def why_so(self) -> str:
        """How the points were looked for."""
        if self.kinds.count("degenerate") > _MANY:
            return (
                f"so many are degenerate that they seem to be a curve or more, of which {self.starts} starts show some"
            )
        found = f"Newton's method from {self.starts} starts in the box"
        if self.complete:
            return f"{found}, of which the last {_BATCH} led to no other point"
        return f"{found}, of which the last {_BATCH} still led to others: there may be more; look in smaller boxes"

    def of(self, kind: str) -> np.ndarray:
        """The points of a kind, shape (k, n).

        Args:
            kind: "minimum", "saddle", "maximum" or "degenerate".

        Raises:
            ValueError: for another word.
        """
        if kind not in KINDS:
            raise ValueError(f"of: `kind` must be one of {', '.join(KINDS)}, got {in_a_line(kind)}")
        return self.points[[i for i, own in enumerate(self.kinds) if own == kind]]

    def table(self) -> pd.DataFrame:
        """One row a point."""
        flat = self.points.reshape(-1, len(self.box))
        columns = {f"x{i}": flat[:, i] for i in range(min(flat.shape[1], 6))}
        if len(self.kinds):
            columns |= {"least λ": self.eigenvalues[:, 0], "greatest λ": self.eigenvalues[:, -1]}
        return pd.DataFrame({"kind": self.kinds, "index": self.index, "energy": self.energy, **columns})

    def __repr__(self) -> str:
        """How many of each kind, the first of them, and how they were found."""
        plural = {"minimum": "minima", "saddle": "saddles", "maximum": "maxima", "degenerate": "degenerate"}
        counts = ((kind, self.kinds.count(kind)) for kind in KINDS)
        said = ", ".join(f"{count} {kind if count == 1 else plural[kind]}" for kind, count in counts if count)
        lines = [f"stationary points: {said}" if said else "no stationary point"]
        if self.kinds:
            shown = self.table().head(12)
            lines.append(shown.to_string(float_format=lambda value: f"{value:.5g}"))
        if len(self.kinds) > 12:
            lines.append(f"… and {len(self.kinds) - 12} more")
        return "\n".join([*lines, f"{self.grade}: {self.reason}"])


@looks_at_numbers
def stationary_points(E: Any, box: Any = None) -> StationaryPoints:
    """Where the gradient of an energy vanishes in a box, and of which kind each such point is.

    Newton's method goes from 256 starts spread over the box (a Sobol sequence, the same every time), and from 256 more
    as long as those lead to a new point. Of a sum f + g it is f's gradient.

    Args:
        E: the energy, or any function of positions of shape (n,).
        box: a lower and an upper bound for each coordinate, ((−1, 1), (0, 3)) say; (−1, 1) where the position is a
            number. A landscape's own domain unless given.

    Raises:
        TypeError: if `E` is no function, or can't be traced.
        ValueError: if `box` is none, or has more than 200 coordinates.

    References:
        J. Nocedal, S. J. Wright, Numerical Optimization, 2nd ed. 2006, chapters 10 and 11.
        D. J. Wales, Energy Landscapes, 2003, chapter 6, on finding saddles by ‖∇E‖.

    Example:
        >>> import gradientflow as gf
        >>> found = gf.stationary_points(lambda p: (p[0] ** 2 - 1) ** 2 / 4 + p[1] ** 2, ((-2, 2), (-1, 1)))
        >>> found.kinds, found.index.tolist(), abs(found.points).round(6).tolist()
        (('minimum', 'minimum', 'saddle'), [0, 0, 1], [[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    """
    energy = energy_of("stationary_points", E).smooth
    bounds, shape = _bounds(getattr(E, "domain", None) if box is None else box)
    # Half precisions are asked in single: NumPy has no eigenvalues of them.
    dtype = jnp.result_type(float)
    lower, width = (jnp.asarray(side, dtype) for side in (bounds[:, 0], bounds[:, 1] - bounds[:, 0]))
    check_fits("stationary_points", "box", energy, jax.ShapeDtypeStruct(shape, dtype))
    small, same = (_SMALL, _SAME) if jnp.finfo(dtype).bits >= 64 else (_SMALL_SINGLE, _SAME_SINGLE)
    sequence = qmc.Sobol(len(bounds), rng=np.random.default_rng(0))
    found, complete, batches = _nothing(len(bounds)), False, 0
    while not complete and batches < _BATCHES:
        starts = jnp.asarray(sequence.random(_BATCH), dtype)
        ends = jax.device_get(_from_starts(energy, shape, lower, width, starts))
        right = ends.small & np.all((ends.u >= -same) & (ends.u <= 1 + same), axis=1) & (ends.step <= small)
        before = len(found.u)
        found = _without_twins(_joined(found, _only(ends, right)), same)
        complete, batches = len(found.u) == before, batches + 1
        if int(np.sum(~found.sure)) > _MANY:
            break
    found = _only(found, np.argsort(found.energy, kind="stable"))
    points = np.asarray(lower) + found.u * np.asarray(width)
    return StationaryPoints(
        points.reshape(len(points), *shape), tuple(map(_kind, found.eigenvalues, found.sure, found.signs)),
        np.sum(found.signs < 0, axis=1), found.energy, found.eigenvalues, found.error, bounds, batches * _BATCH,
        complete, energy,
    )  # fmt: skip


class _Ends(NamedTuple):
    """Where Newton's method ended, in units of the box: a row a start."""

    u: Any
    step: Any
    small: Any
    energy: Any
    eigenvalues: Any
    signs: Any
    sure: Any
    error: Any


def _bounds(box: Any) -> tuple[np.ndarray, tuple[int, ...]]:
    wanted = "stationary_points: `box` must be a lower and an upper bound for each coordinate, ((-1, 1), (0, 3)) say"
    if box is None:
        raise ValueError(f"{wanted}; only landscapes have one of their own")
    try:
        bounds = np.asarray(box, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"{wanted}, got {in_a_line(box)}") from None
    if bounds.ndim not in (1, 2) or bounds.shape[-1] != 2 or not bounds.size:
        raise ValueError(f"{wanted}, got {in_a_line(box)}")
    shape = () if bounds.ndim == 1 else (len(bounds),)
    bounds = bounds.reshape(-1, 2)
    if not (np.isfinite(bounds).all() and (bounds[:, 0] < bounds[:, 1]).all()):
        raise ValueError(f"{wanted}, finite and the lower one first, got {in_a_line(box)}")
    if len(bounds) > LARGEST_DENSE:
        raise ValueError(
            f"stationary_points: `box` must have at most {LARGEST_DENSE} coordinates, got {len(bounds)}: a box of more "
            "can't be searched; integrate(flow, x0, math.inf) finds the minimum that one start leads to"
        )
    return bounds, shape


@compiled
def _from_starts(energy: Energy, shape: tuple[int, ...], lower: Any, width: Any, starts: Any) -> _Ends:
    def value(u: Any) -> Any:
        return energy.value((lower + width * u).reshape(shape))

    def gradient(u: Any) -> Any:
        return width * energy.grad((lower + width * u).reshape(shape)).reshape(-1)

    return jax.vmap(lambda u: _newton(value, gradient, width, u))(starts)


def _newton(value: Any, gradient: Any, width: Any, u: Any) -> _Ends:
    """Damped Newton iterations from one start, and what is there in the end."""

    def decomposed(u: Any) -> tuple[Any, Any, Any]:
        H = jax.jacfwd(gradient)(u)
        H = (H + H.T) / 2
        finite = jnp.isfinite(H).all()
        values, vectors = jnp.linalg.eigh(jnp.where(finite, H, jnp.eye(u.size, dtype=u.dtype)))
        return values, vectors, finite

    resolved = _ULPS * float(jnp.finfo(u.dtype).eps)

    def going(carry: Any) -> Any:
        _, _, damping, length, count = carry
        # No step helps any more, or it is as short as u's rounding.
        return (count < _ITERATIONS) & (damping < _MOST_DAMPED) & (length > resolved)

    def iteration(carry: Any) -> Any:
        u, g, damping, _, count = carry
        values, vectors, finite = decomposed(u)
        most = jnp.max(values**2)
        scale = values**2 + damping * jnp.where(most > 0, most, 1)
        step = -vectors @ (jnp.where(scale > 0, values / jnp.where(scale > 0, scale, 1), 0) * (vectors.T @ g))
        # No farther than the box is wide.
        step = step / jnp.maximum(1, jnp.max(jnp.abs(step)))
        there = gradient(u + step)
        better = finite & (jnp.sum(there**2) < jnp.sum(g**2))
        damping = jnp.where(better, jnp.where(damping < 1e-12, 0, damping / 10), jnp.maximum(4 * damping, 1e-12))
        length = jnp.max(jnp.abs(step))
        return jnp.where(better, u + step, u), jnp.where(better, there, g), damping, length, count + 1

    start = (u, gradient(u), jnp.asarray(1e-3, u.dtype), jnp.asarray(1.0, u.dtype), 0)
    u, g, *_ = jax.lax.while_loop(going, iteration, start)
    values, vectors, finite = decomposed(u)
    rounding = _ULPS * u.size * float(jnp.finfo(u.dtype).eps) * jnp.max(jnp.abs(values))
    along = vectors.T @ g
    flat = jnp.abs(values) <= rounding
    step = vectors @ jnp.where(flat, 0, along / jnp.where(flat, 1, values))
    # Where the Hessian has nothing to say, of the gradient only rounding may be left.
    lost = (flat & (jnp.abs(along) > rounding)).any()
    # And u itself is rounded.
    ahead, _, ahead_finite = decomposed(u - step - jnp.where(step < 0, -resolved, resolved))
    change = jnp.max(jnp.abs(ahead - values))
    sure = jnp.abs(values) > rounding + 4 * change
    H = (vectors * values) @ vectors.T / width / width[:, None]
    return _Ends(
        u, jnp.max(jnp.abs(step)), finite & ahead_finite & ~lost & jnp.isfinite(g).all(), value(u),
        jnp.linalg.eigvalsh(H), jnp.where(sure, jnp.sign(values), 0), sure.all(), jnp.max(jnp.abs(width * step)),
    )  # fmt: skip


def _kind(eigenvalues: Any, sure: Any, signs: Any) -> str:
    if not sure:
        return "degenerate"
    negative = int(np.sum(signs < 0))
    return "minimum" if not negative else "maximum" if negative == len(eigenvalues) else "saddle"


def _nothing(n: int) -> _Ends:
    none, rows = np.zeros(0), np.zeros((0, n))
    return _Ends(rows, none, none.astype(bool), none, rows, rows, none.astype(bool), none)


def _only(ends: _Ends, which: Any) -> _Ends:
    return _Ends(*(np.asarray(leaf)[which] for leaf in ends))


def _joined(*some: _Ends) -> _Ends:
    return _Ends(*(np.concatenate(leaves) for leaves in zip(*some, strict=True)))


def _without_twins(ends: _Ends, same: float) -> _Ends:
    """One of each, that whose Newton step is the shortest; those that were known before come first."""
    kept = np.zeros(0, dtype=int)
    for i, place in enumerate(ends.u):
        twins = np.flatnonzero(np.max(np.abs(ends.u[kept] - place), axis=1, initial=0) <= same)
        if not twins.size:
            kept = np.append(kept, i)
        elif ends.step[i] < ends.step[kept[twins[0]]]:
            kept[twins[0]] = i
    return _only(ends, kept)
