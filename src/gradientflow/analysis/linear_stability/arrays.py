"""The same step on arrays of modes: numerical amplification matrices and their spectral radii."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from gradientflow.discretizers import Discretizer, advance
from gradientflow.flows import Flow

# Points at a time: few enough to stay in a core's cache, enough for NumPy's overhead not to count.
_BLOCK = 16_384

Build = Callable[..., tuple[Flow, Discretizer, Any]]


def spectral_radii(build: Build, *parameters: Any) -> np.ndarray:
    """The spectral radius of one step for every entry of arrays that broadcast against each other.

    Args:
        build: (entries of the parameters) ↦ (the flow of a mode, the scheme, the step).
        parameters: arrays of curvatures, steps, …; real or complex.
    """
    arrays = np.broadcast_arrays(*parameters)
    flat = [array.ravel() for array in arrays]
    radii = np.empty(arrays[0].size)
    with np.errstate(all="ignore"):
        for start in range(0, radii.size, _BLOCK):
            block = [array[start : start + _BLOCK] for array in flat]
            moduli = [np.abs(values) for values in _eigenvalues(*build(*block))]
            radii[start : start + _BLOCK] = np.maximum.reduce(moduli)
    return radii.reshape(arrays[0].shape)


def eigenvalues(build: Build, *parameters: np.ndarray) -> np.ndarray:
    """The eigenvalues of one step, for arrays of equal shape (n,): shape (n, size of a mode's state), complex."""
    with np.errstate(all="ignore"):
        return np.stack([np.asarray(values, dtype=complex) for values in _eigenvalues(*build(*parameters))], axis=-1)


def mode_matrices(build: Build, *parameters: np.ndarray) -> np.ndarray:
    """The step's matrices, for arrays of equal shape (n,): shape (n, size, size)."""
    return np.moveaxis(np.array(_matrix(*build(*parameters))), -1, 0)


def _eigenvalues(flow: Flow, discretizer: Discretizer, h: Any) -> Sequence[np.ndarray]:
    matrix = _matrix(flow, discretizer, h)
    if len(matrix) == 1:
        return [matrix[0][0]]
    if len(matrix) == 2:
        (a, b), (c, d) = matrix
        half, determinant = (a + d) / 2, a * d - b * c
        root = np.sqrt(half * half - determinant + 0j)
        return [half + root, half - root]
    stacked = np.moveaxis(np.array(matrix), -1, 0)
    finite = np.isfinite(stacked).all(axis=(1, 2))
    found = np.full(stacked.shape[:2], np.inf + 0j)
    found[finite] = np.linalg.eigvals(stacked[finite])
    return list(found.T)


def _matrix(flow: Flow, discretizer: Discretizer, h: Any) -> list[list[np.ndarray]]:
    """The entries of the step's matrix, each an array: the images of the unit states and unit memories."""
    shape = np.broadcast(*(leaf for leaf in jax.tree.leaves((flow, h)) if isinstance(leaf, np.ndarray))).shape
    zero, one = np.zeros(shape), np.ones(shape)
    rest = flow.init(zero)
    memory = discretizer.init(flow, 0.0, rest, h)
    leaves, structure = jax.tree.flatten((rest, memory))
    moving = [i for i, leaf in enumerate(leaves) if isinstance(leaf, (np.ndarray, jax.Array))]
    columns = []
    for unit in moving:
        z, given = jax.tree.unflatten(structure, [
            leaf if i not in moving else one if i == unit else zero for i, leaf in enumerate(leaves)
        ])  # fmt: skip
        out = advance(discretizer, flow, 0.0, z, h, memory=given)
        columns.append([np.broadcast_to(leaf, shape) for i, leaf in enumerate(jax.tree.leaves(out)) if i in moving])
    return [list(row) for row in zip(*columns, strict=True)]
