"""The preconditioned sharpness λ_max(P⁻¹H) of an optimizer's own step at checkpoints, against its threshold."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .replay import Checkpoint, Replays

# Products with the Hessian a reading takes at most, and the batches over which each is a mean.
_PRODUCTS, _BATCHES = 12, 4
# A reading ends where the eigenvalue's error is below so much of it.
_PRECISE = 0.01


@dataclasses.dataclass(frozen=True)
class Reading:
    """What limits the step at a checkpoint.

    Attributes:
        k: before which step.
        sharpness: λ_max(P⁻¹H), the learning rate in P⁻¹; NaN where it can't be told.
        residual: the eigenvalue's error is at most this.
        threshold: the greatest that is stable.
        layers: the share of the top eigenvector that each leaf of the parameters carries.
        reason: why it can't be told.
    """

    k: int
    sharpness: float
    residual: float
    threshold: float
    layers: np.ndarray
    reason: str = ""

    @property
    def ratio(self) -> float:
        """Of the sharpness to its threshold: above 1 the step is unstable along the top eigenvector."""
        return self.sharpness / self.threshold if self.threshold > 0 else math.nan


class Sharpness:
    """Reads sharpness along a run; the top eigenvector found last is where the next search starts."""

    def __init__(self, replays: Replays) -> None:
        self._replays = replays
        training = replays.training
        self._held = replays.programs.held_update
        self._vector: Any = None
        self._numbers = replays.some(_BATCHES)
        batches = [training.batch(n) for n in self._numbers]
        shapes = {str(jax.tree.map(jnp.shape, batch)) for batch in batches}
        self._data = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(batches if len(shapes) == 1 else batches[:1]))
        self._keys = jnp.stack([training.key_of(training.first + i) for i in range(1 if not training.batched else
                                len(batches) if len(shapes) == 1 else 1)])  # fmt: skip

    @property
    def reason(self) -> str:
        """Why the update can't be read; empty where it can."""
        return self._held.reason

    def at(self, mark: Checkpoint) -> Reading:
        """At a checkpoint."""
        leaves = jax.tree.leaves(mark.params)
        nothing = np.full(len(leaves), math.nan)
        number = self._replays.training.number(mark.k)
        _, gradient = self._replays.gradient(mark.params, number)
        held = self._held.at(gradient, mark.state, mark.params)
        if held.inverse is None:
            return Reading(mark.k, math.nan, math.nan, math.nan, nothing, held.reason)
        root = jax.tree.map(jnp.sqrt, held.inverse)
        top, residual, vector = self._lanczos(mark.params, root)
        squares = np.array([float(np.sum(np.asarray(v, float) ** 2)) for v in jax.tree.leaves(vector)])
        if not math.isfinite(top):
            return Reading(mark.k, math.nan, math.nan, held.threshold, nothing, "the Hessian is not finite there")
        # No better than its own precision.
        residual = max(residual, abs(top) * float(jnp.finfo(jax.tree.leaves(mark.params)[0].dtype).eps))
        return Reading(mark.k, top, residual, held.threshold, squares / max(squares.sum(), 1e-300), held.reason)

    def read(self, marks: Sequence[Checkpoint]) -> list[Reading]:
        """At several, in their order."""
        return [self.at(mark) for mark in marks]

    def _lanczos(self, params: Any, root: Any) -> tuple[float, float, Any]:
        flat = [np.asarray(leaf) for leaf in jax.tree.leaves(params)]
        structure = jax.tree.structure(params)
        sizes = np.cumsum([leaf.size for leaf in flat])[:-1]

        def shaped(vector: np.ndarray) -> Any:
            parts = np.split(vector, sizes)
            return jax.tree.unflatten(structure, [jnp.asarray(part.reshape(leaf.shape), leaf.dtype)
                                                  for part, leaf in zip(parts, flat, strict=True)])  # fmt: skip

        def product(vector: np.ndarray) -> np.ndarray:
            out = self._replays.programs.preconditioned(self._replays.training.held, params, root, shaped(vector),
                                                        self._data, self._keys)  # fmt: skip
            return np.concatenate([np.ravel(np.asarray(leaf, float)) for leaf in jax.tree.leaves(out)])

        count = int(sum(leaf.size for leaf in flat))
        draw = np.random.default_rng(0).normal(size=count)
        start = (
            draw
            if self._vector is None
            else self._vector + 1e-2 * np.linalg.norm(self._vector) * draw / math.sqrt(count)
        )
        basis = [start / np.linalg.norm(start)]
        alphas: list[float] = []
        betas: list[float] = []
        top, residual, ritz = math.nan, math.inf, basis[0]
        for _ in range(min(count, _PRODUCTS)):
            w = product(basis[-1])
            if not np.isfinite(w).all():
                break
            alphas.append(float(basis[-1] @ w))
            for _again in range(2):
                w = w - np.stack(basis).T @ (np.stack(basis) @ w)
            beta = float(np.linalg.norm(w))
            matrix = np.diag(alphas) + np.diag(betas, 1) + np.diag(betas, -1)
            values, vectors = np.linalg.eigh(matrix)
            top, residual = float(values[-1]), beta * abs(float(vectors[-1, -1]))
            ritz = np.stack(basis).T @ vectors[:, -1]
            if residual <= _PRECISE * abs(top) or beta <= 1e-12 * max(1e-300, abs(top)):
                break
            betas.append(beta)
            basis.append(w / beta)
        if math.isfinite(top):
            self._vector = ritz
        return top, residual, shaped(ritz)
