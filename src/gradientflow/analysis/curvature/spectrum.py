"""The spectrum of the Hessian, at a point and along a run: with residuals, and by leaf of the position."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax.flatten_util import ravel_pytree
from scipy.sparse.linalg import ArpackError, eigsh

from gradientflow.flows import Energy, Trajectory, check_fits, check_integer, compiled, position_arrays, size
from gradientflow.flows import energy as as_energy
from gradientflow.flows.checks import by_name, in_a_line, moving_arrays
from gradientflow.flows.numerics import LARGEST_DENSE

from ..linear_stability.curvature import certified, dense_hessian, double_hessian, matrix_free
from ..results.grades import Grade
from ..results.result import Drawn

# So many of a large state's eigenvalues are looked for, unless the user says how many.
_TOP = 10
# Of a run so many rows are looked at.
_ROWS = 100
# A warm start keeps so much of a random one: what was orthogonal to the old directions is to be found too.
_FRESH = 1e-3
_SEED = 0


@dataclasses.dataclass(frozen=True, repr=False)
class Spectrum(Drawn):
    """Eigenvalues of the Hessian of E, at a point or along a run.

    `.plot()` draws them, and the shares of the leaves in the direction that is curved most.

    Attributes:
        eigenvalues: in increasing order, all or the greatest k, shape (k,); along a run shape (rows, k), NaN where the
            Hessian is not finite. Units: E/X².
        residuals: ‖Hv − λv‖ of each, v of length 1: an eigenvalue of H lies within that of λ. Same shape, same units.
        by_leaf: the share of each leaf (layer) of the position in the eigenvector of the greatest eigenvalue, by the
            leaf's name: squares, which sum to 1; along a run arrays of shape (rows,).
        count: the number of unknowns n.
        grade: certified for a quadratic whose matrix is known; else measured.
        steps: along a run the indices of the rows' steps, shape (rows,); at a point `None`.
        direction: the eigenvector of the greatest eigenvalue, shaped like the position; along a run the last row's.
        how: how they were found, in words.
    """

    drawn_by = "curvature.figures:plot_spectrum"

    eigenvalues: np.ndarray
    residuals: np.ndarray
    by_leaf: Mapping[str, Any]
    count: int
    grade: Grade
    steps: np.ndarray | None = None
    direction: Any = None
    how: str = ""

    def why_so(self) -> str:
        """How they were found."""
        return self.how

    @property
    def sharpness(self) -> Any:
        """The greatest eigenvalue: a number, or one a row. Units: E/X²."""
        greatest = self.eigenvalues[..., -1]
        return float(greatest) if self.steps is None else greatest

    def table(self) -> pd.DataFrame:
        """One row an eigenvalue, the greatest first; along a run one row a step, with the shares of the leaves."""
        if self.steps is None:
            columns = {"eigenvalue": self.eigenvalues[::-1], "residual": self.residuals[::-1]}
            return pd.DataFrame(columns, index=pd.RangeIndex(1, len(self.eigenvalues) + 1, name="rank"))
        shown = min(self.eigenvalues.shape[1], 3)
        columns = {f"λ{i + 1}": self.eigenvalues[:, -1 - i] for i in range(shown)}
        columns["residual"] = self.residuals[:, -1]
        columns |= {f"share of {name}": share for name, share in self.by_leaf.items()}
        return pd.DataFrame(columns, index=pd.Index(self.steps, name="step"))

    def __repr__(self) -> str:
        """The extreme eigenvalues, whose direction the greatest is, and how they were found."""
        k = self.eigenvalues.shape[-1]
        what = f"all {k} eigenvalues" if k == self.count else f"the greatest {k} of {self.count} eigenvalues"
        if self.steps is not None:
            first, last, most = self.sharpness[0], self.sharpness[-1], np.nanmax(self.sharpness, initial=-np.inf)
            line = (
                f"{what} of the Hessian at {len(self.steps)} steps: the greatest {first:.4g} at step {self.steps[0]}, "
                f"{last:.4g} at step {self.steps[-1]}, at most {most:.4g}"
            )
        else:
            negative = int((self.eigenvalues < -np.maximum(self.residuals, 0)).sum())
            signs = f", {negative} negative" if negative else ""
            low, high = self.eigenvalues[0], self.eigenvalues[-1]
            line = f"{what} of the Hessian: {low:.4g} to {high:.4g}{signs}"
        shares = {name: float(np.ravel(share)[-1]) for name, share in self.by_leaf.items()}
        leading = sorted(shares.items(), key=lambda item: -item[1])[:3]
        leaves = ", ".join(f"{name} {share:.0%}" for name, share in leading)
        lines = [line, f"direction of the greatest: {leaves}"] if len(shares) > 1 else [line]
        return "\n".join([*lines, f"{self.grade}: {self.how}, residual ≤ {np.nanmax(self.residuals, initial=0):.1e}"])


@by_name
def curvature(E: Any, x: Any, top: int | None = None) -> Spectrum:
    """The Hessian's eigenvalues at a point, or along a run: all of a small one, the greatest of a large one.

    Up to 200 unknowns the Hessian is formed; beyond, Lanczos iteration on Hessian-vector products finds the greatest
    (SciPy's ARPACK), along a run each time from where the last one ended. Of a sum f + g it is f's Hessian.

    Args:
        E: the energy, or any function of a pytree that returns a real scalar; of data `lambda p: loss(p, batch)`.
        x: the position, any pytree, of an equinox module its arrays of floating-point numbers; or a run or path, of
            which at most 100 rows are looked at.
        top: how many of the greatest; unless given all up to 200 unknowns, and 10 beyond.

    Raises:
        TypeError: if `E` is no function, or can't be traced.
        ValueError: if the Hessian is not finite at `x`, or `top` is more than there are.

    References:
        B. N. Parlett, The symmetric eigenvalue problem, 1980, section 4.5, on what a residual says; B. Ghorbani, S.
        Krishnan, Y. Xiao, An investigation into neural net optimization via Hessian eigenvalue density, ICML 2019.

    Example:
        >>> import gradientflow as gf
        >>> found = gf.curvature(lambda p: p["w"] ** 2 / 2 + 4 * p["b"] ** 2 + p["w"] ** 4, {"w": 0.0, "b": 1.0})
        >>> found.eigenvalues.tolist(), found.by_leaf
        ([1.0, 8.0], {'b': 1.0, 'w': 0.0})
    """
    if isinstance(x, Trajectory):
        return _along(energy_of("curvature", E).smooth, x, top)
    energy, x = smooth_at("curvature", E, x)
    count = _how_many(size(x), top)
    found = _spectrum_at(energy, x, count, None)
    if found is None:
        raise not_finite("curvature")
    values, residuals, vectors, grade, how = found
    direction = vectors[:, -1]
    return Spectrum(
        values, residuals, shares(x, direction), size(x), grade, None, _like(x, direction), how,
    )  # fmt: skip


def _along(energy: Energy, run: Trajectory, top: int | None) -> Spectrum:
    if np.ndim(run.t) != 1:
        raise ValueError("curvature: `x` is a batch of runs; give one of them, jax.tree.map(lambda leaf: leaf[i], x)")
    rows = np.unique(np.linspace(0, len(run) - 1, _ROWS).astype(int))
    points = [jax.tree.map(lambda leaf, i=int(row): leaf[i], run.x) for row in rows]
    check_fits("curvature", "x", energy, points[0])
    n = size(points[0])
    count, before = _how_many(n, top), None
    values, residuals, by_leaf = [], [], []
    grade, how, last = Grade.UNKNOWN, "the Hessian is nowhere finite along the run", None
    for point in points:
        found = _spectrum_at(energy, point, count, before)
        if found is None:
            values.append(np.full(count, np.nan))
            residuals.append(np.full(count, np.nan))
            by_leaf.append(shares(point, np.full(n, np.nan)))
            continue
        found_values, found_residuals, before, grade, how = found
        last = _like(point, before[:, -1])
        values.append(found_values)
        residuals.append(found_residuals)
        by_leaf.append(shares(point, before[:, -1]))
    shared = {name: np.array([row[name] for row in by_leaf]) for name in by_leaf[0]}
    steps = np.asarray(run.steps)[rows]
    return Spectrum(np.array(values), np.array(residuals), shared, n, grade, steps, last, how)


def energy_of(where: str, E: Any) -> Energy:
    """An energy, or a function of the position as one.

    Raises:
        TypeError: if it is no function.
    """
    if not callable(E):
        raise TypeError(
            f"{where}: `E` must be an energy or a function of the position, got {in_a_line(E)}; pass lambda x: …"
        )
    return as_energy(E)


def smooth_at(where: str, E: Any, x: Any) -> tuple[Energy, Any]:
    """An energy's smooth part, or a function as one, and the arrays of a position that move, once they fit.

    Raises:
        TypeError: if `E` is no function, or can't be traced.
        ValueError: if x does not fit it.
    """
    energy = energy_of(where, E).smooth
    moving, whole = moving_arrays(where, "x", x)
    if whole is not None:
        of_whole = energy
        energy = as_energy(lambda p: of_whole.value(whole(p)))
    x = position_arrays(where, "x", moving)
    check_fits(where, "x", energy, x)
    return energy, x


def not_finite(where: str) -> ValueError:
    """The error where a Hessian is not finite."""
    return ValueError(
        f"{where}: the Hessian of `E` is not finite at `x`: a root or a norm at 0, or a value out of range; look at a "
        "point beside it"
    )


def _how_many(n: int, top: int | None) -> int:
    if top is None:
        return n if n <= LARGEST_DENSE else _TOP
    check_integer("curvature", 1, top=top)
    if top > n:
        raise ValueError(f"curvature: `top` must be at most the {n} unknowns of `x`, got {top}")
    return top


def _spectrum_at(energy: Energy, x: Any, count: int, before: np.ndarray | None) -> Any:
    """Values, residuals, vectors (n, count), a grade and its words; `None` where the Hessian is not finite.

    Args:
        energy: the energy.
        x: the position.
        count: how many of the greatest.
        before: eigenvectors nearby, to start from.
    """
    n = size(x)
    if n > LARGEST_DENSE and 2 * count < n:
        return _by_lanczos(energy, x, count, before)
    known, grade = double_hessian(energy), Grade.MEASURED
    if known is not None and len(known[0]) == n:
        H, grade, how = known[0], Grade.CERTIFIED, certified(*known).how
    else:
        H = np.asarray(dense_hessian(energy, x), dtype=float)
        how = f"eigenvalues of the {n}×{n} Hessian by automatic differentiation"
    if not np.isfinite(H).all():
        return None
    values, vectors = np.linalg.eigh((H + H.T) / 2)
    residuals = np.linalg.norm(H @ vectors - vectors * values, axis=0)
    return values[-count:], residuals[-count:], vectors[:, -count:], grade, how


class _NotFiniteError(ArithmeticError):
    """A product with the Hessian is not finite."""


def _by_lanczos(energy: Energy, x: Any, count: int, before: np.ndarray | None) -> Any:
    dtype = ravel_pytree(x)[0].dtype
    n, double = size(x), jnp.finfo(dtype).bits >= 64
    start = np.random.default_rng(_SEED).normal(size=n)
    if before is not None:
        start = before.sum(axis=1) + _FRESH * start / np.linalg.norm(start)

    def times(vectors: np.ndarray) -> np.ndarray:
        product = np.asarray(hessian_times(energy, x, jnp.asarray(vectors.ravel(), dtype)), dtype=float)
        if not np.isfinite(product).all():
            raise _NotFiniteError
        return product

    try:
        # Where a random vector is an eigenvector, every one is; ARPACK fails there.
        image = times(start)
        mean = float(start @ image) / float(start @ start)
        if before is None and np.linalg.norm(image - mean * start) <= 1e-13 * abs(mean) * np.linalg.norm(start):
            values, vectors = np.full(count, mean), np.eye(n)[:, :count]
        else:
            found: Any = eigsh(
                matrix_free(n, times),
                k=count,
                which="LA",
                v0=start,
                tol=1e-10 if double else 1e-5,  # pyright: ignore
            )
            values, vectors = found
        order = np.argsort(values)
        values, vectors = values[order], vectors[:, order]
        residuals = np.array([np.linalg.norm(times(v) - value * v) for v, value in zip(vectors.T, values, strict=True)])
    except _NotFiniteError:
        return None
    except ArpackError as error:
        raise ValueError(
            f"curvature: Lanczos iteration did not find {count} eigenvalues ({error}); ask for fewer, `top=1`"
        ) from None
    how = f"Lanczos iteration on Hessian-vector products of {n} unknowns"
    return values, residuals, vectors, Grade.MEASURED, how


@compiled
def hessian_times(energy: Energy, x: Any, direction: jax.Array) -> jax.Array:
    """The Hessian at x times a direction, both flat vectors of shape (n,)."""
    _, unravel = ravel_pytree(x)
    return ravel_pytree(energy.hvp(x, unravel(direction)))[0]


def shares(x: Any, direction: np.ndarray) -> dict[str, float]:
    """How much of a direction's squared length each leaf of a position has, by the leaf's name."""
    named, at, found = jax.tree_util.tree_leaves_with_path(x), 0, {}
    total = float(np.sum(direction**2))
    for path, leaf in named:
        part = direction[at : at + leaf.size]
        found[jax.tree_util.keystr(path, simple=True, separator=".") or "x"] = float(np.sum(part**2)) / total
        at += leaf.size
    return found


def _like(x: Any, direction: np.ndarray) -> Any:
    flat, unravel = ravel_pytree(x)
    return unravel(jnp.asarray(direction, flat.dtype))
