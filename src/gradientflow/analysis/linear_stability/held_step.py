r"""An optimizer's own update with what it adapts held: which of its state is linear in the gradient, and which adapts.

Under (g, x) → (−g, −x) a momentum changes its sign and a second moment does not, nor do a clipping factor, a trust
ratio, a count and a schedule. So every intermediate value of the update's own program is told *odd* or *even*. Where
the even ones are held the update is linear in the odd ones,

$$x' = x + a_x x + a_g g + \sum_j a_j m_j,\qquad m_i' = b_i x + c_i g + \sum_j B_{ij} m_j,$$

coordinate by coordinate, with coefficients that are derivatives of the program with the derivatives of even values left
out. That this is the update, and no other, is checked where it is read: linear in its own g, m and x it must return the
very step. Then with the gain of each coordinate as $P^{-1}$ a mode of $P^{-1}H$ is stable up to a threshold.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gradientflow.flows import SMALL_TRAINING, compiled

from .parity import EVEN, MIXED, ODD, Program, parity_of

# Modes are tried between these multiples of what a step's gain makes 1, in so many steps, and the threshold bisected.
_LEAST, _MOST, _TRIED = 1e-3, 1e6, 400
# So many steps tell how far a coordinate swings that starts at rest.
_SWINGS = 200
# Coordinates of different kinds have one threshold where theirs differ by no more than this, relatively.
_ALIKE = 1e-2
# Of kinds of coordinates so many are looked at.
_KINDS = 64
_PROBED = 3
_MIXES = "its update mixes coordinates, so that its preconditioner is not diagonal"


@dataclasses.dataclass(frozen=True)
class HeldStep:
    """An update with what it adapts held, at one state.

    Attributes:
        inverse: P⁻¹ by coordinate, like the parameters: how far x goes in the end for a gradient that lasts, the
            learning rate included. `None` where it can't be told.
        threshold: the greatest curvature of P⁻¹H that is stable: 2 for gradient descent, 2(1 + β)/(1 − β) for an
            averaged momentum; ∞ where nothing limits it; NaN where it can't be told.
        reason: why it can't be told; empty where it is.
        kinds: the coefficients of its coordinates, a kind of them each.
    """

    inverse: Any
    threshold: float
    reason: str = ""
    kinds: tuple["_Kind", ...] = dataclasses.field(default=(), repr=False)

    @property
    def threshold_from_rest(self) -> float:
        """Up to which curvature of P⁻¹H what starts at rest gets never further from its minimum than it was."""
        return min((_first_above(kind.swing) for kind in self.kinds), default=math.inf)


class HeldUpdate:
    """An `optax.GradientTransformation`, or what has its `init` and `update`, with what it adapts held.

    Args:
        optimizer: the transformation.
        params: parameters whose shapes and precisions are those that it will be asked about.

    Attributes:
        linear: the paths of the leaves of its state that are linear in the gradient: momentum.
        adaptive: the paths of those that are not, and change with it: second moments.
        reason: why it can't be read; empty where it can.
    """

    def __init__(self, optimizer: Any, params: Any) -> None:
        self._optimizer, self.linear, self.adaptive, self.reason = optimizer, (), (), ""
        params = jax.tree.map(jnp.asarray, params)
        try:
            self._read(params)
        except (TypeError, ValueError, NotImplementedError) as error:
            self.reason = f"the update can't be followed: {str(error).splitlines()[0]}"

    def at(self, gradient: Any, state: Any, params: Any) -> HeldStep:
        """What it is at one gradient, state and position."""
        if self.reason:
            return HeldStep(None, math.nan, self.reason)
        found = jax.device_get(self._coefficients(gradient, state, params))
        eps = float(jnp.finfo(ravel_pytree(params)[0].dtype).eps)
        away, coupled, size = (float(v) for v in (found["away"], found["coupled"], found["size"]))
        if not math.isfinite(size + away + coupled):
            return HeldStep(None, math.nan, "the update is not finite there")
        if size == 0:
            return HeldStep(None, math.nan, "its update is 0 there")
        # A new position less the old one is as far off as their rounding.
        slack = eps**0.4 * size + 100 * eps * float(sum(jnp.sum(jnp.abs(leaf)) for leaf in jax.tree.leaves(params)))
        if away > slack:
            why = "its update is not linear in the gradient, not even with what it adapts held"
            return HeldStep(None, math.nan, why)
        if coupled > slack:
            return HeldStep(None, math.nan, _MIXES)
        return self._step(found, params)

    def memories(self, gradient: Any, state: Any, params: Any) -> list[list[int]]:
        """Of each leaf which memories its update sees; told at values that are known, and the same at others."""
        n, p = len(jax.tree.leaves(params)), len(self._odd)
        columns = jax.device_get(self._coefficients(gradient, state, params)["columns"])
        return [self._memories_of(columns, i, n, p) for i in range(n)]

    def inverse_at(self, gradient: Any, state: Any, params: Any, memories: Sequence[Sequence[int]]) -> Any:
        """P⁻¹ by coordinate, traced: what `at` gives, without its checks.

        Args:
            gradient: as `at` takes it; it may be traced, as the others.
            state: the optimizer's.
            params: the position.
            memories: which each leaf sees, by `memories`.
        """
        leaves = jax.tree.leaves(params)
        n = len(leaves)
        columns, gains = self._read_coefficients(gradient, state, params)["columns"], []
        for i, (leaf, mine) in enumerate(zip(leaves, memories, strict=True)):
            gain = columns["g"][i]
            if mine:
                forgets = jnp.stack([jnp.stack([(1.0 * (j == k) - columns[str(k)][n + j]).ravel() for k in mine], -1)
                                     for j in mine], -2)  # fmt: skip
                held = jnp.stack([columns["g"][n + j].ravel() for j in mine], -1)[..., None]
                lasting = jnp.abs(forgets[:, 0, 0] if len(mine) == 1 else jnp.linalg.det(forgets)) >= 1e-9
                forgets = jnp.where(lasting[:, None, None], forgets, jnp.eye(len(mine), dtype=forgets.dtype))
                seen = jnp.stack([columns[str(j)][i].ravel() for j in mine], -1)
                # Of one memory, as most have, it is a division: a solve a coordinate costs ten training steps.
                kept = held / forgets if len(mine) == 1 else jnp.linalg.solve(forgets, held)
                later = jnp.sum(seen * kept[..., 0], axis=-1)
                gain = gain + jnp.where(lasting, later, 0).reshape(gain.shape)
            gains.append(jnp.maximum(-gain, 0).astype(leaf.dtype))
        return jax.tree.unflatten(jax.tree.structure(params), gains)

    def _read(self, params: Any) -> None:
        """Which leaves of the state are odd, and the update's program with the parity of what it computes."""
        draw = np.random.default_rng(0)

        def like(tree: Any) -> Any:
            return jax.tree.map(lambda leaf: jnp.asarray(draw.normal(size=leaf.shape), leaf.dtype), tree)

        x = like(params)
        minus = jax.tree.map(jnp.negative, x)
        sides = [self._optimizer.init(x), self._optimizer.init(minus)]
        update = jax.jit(self._optimizer.update)
        gradients = [like(params) for _ in range(_PROBED)]
        for g in gradients:
            sides = [
                update(jax.tree.map(lambda leaf, s=sign: s * leaf, g), state, at)[1]
                for sign, state, at in zip((1, -1), sides, (x, minus), strict=True)
            ]
        paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(sides[0])]
        plus, reverse = (jax.tree.leaves(side) for side in sides)
        start = jax.tree.leaves(self._optimizer.init(x))
        parities = [parity_of(a, b) for a, b in zip(plus, reverse, strict=True)]
        self._odd = [i for i, parity in enumerate(parities) if parity == ODD]
        self.linear = tuple(paths[i] for i in self._odd)
        self.adaptive = tuple(
            path
            for path, parity, a, b in zip(paths, parities, plus, start, strict=True)
            if parity == EVEN and jnp.issubdtype(jnp.result_type(a), jnp.inexact) and not np.array_equal(a, b)
        )
        mixed = [path for path, parity in zip(paths, parities, strict=True) if parity == MIXED]
        if mixed:
            self.reason = (
                f"its state{mixed[0]} answers to a gradient and to its opposite neither alike nor oppositely, so that "
                "it can't be told what it adapts"
            )
            return
        program = Program(lambda g, state, at: self._optimizer.update(g, state, at), (gradients[-1], sides[0], x))
        program.note((gradients[-1], sides[0], x), (jax.tree.map(jnp.negative, gradients[-1]), sides[1], minus))
        self._program = program
        self._coefficients = compiled(self._read_coefficients, SMALL_TRAINING, jax.jit)
        self._structure = jax.tree.structure(sides[0])

    def _read_coefficients(self, gradient: Any, state: Any, params: Any) -> dict[str, Any]:
        """The coefficients of every coordinate, and how far the linear update is from the update itself."""
        leaves = jax.tree.leaves(state)
        memories = [leaves[i] for i in self._odd]
        values = [*jax.tree.leaves(gradient), *memories, *jax.tree.leaves(params)]
        n, p = len(jax.tree.leaves(params)), len(memories)

        def linear(tangents: Sequence[Any]) -> list[Any]:
            """From tangents of (g, m, x), leaf by leaf, those of (update, m)."""
            moved = [None] * len(leaves)
            for i, tangent in zip(self._odd, tangents[n : n + p], strict=True):
                moved[i] = tangent
            out, tangent = self._program.linear((gradient, state, params), [*tangents[:n], *moved, *tangents[n + p :]])
            kept = [*range(n), *(n + i for i in self._odd)]
            return [jnp.zeros_like(out[i]) if tangent[i] is None else tangent[i] for i in kept]

        def only(chosen: Sequence[int]) -> list[Any]:
            return [jnp.ones_like(v) if i in chosen else None for i, v in enumerate(values)]

        columns = {"g": linear(only(range(n))), "x": linear(only(range(n + p, n + p + n)))}
        columns |= {str(j): linear(only([n + j])) for j in range(p)}
        update = jax.tree.leaves(self._optimizer.update(gradient, state, params)[0])
        own = linear(values)[:n]
        size = sum(jnp.sum(jnp.abs(u)) for u in update)
        away = sum(jnp.sum(jnp.abs(u - v)) for u, v in zip(update, own, strict=True))
        # Coordinates are alone if another direction is answered coordinate by coordinate.
        draw = np.random.default_rng(1)
        other = [v * jnp.asarray(draw.choice([-1, 1], v.shape), v.dtype) for v in values]
        answered, expected = linear(other)[:n], []
        for i in range(n):
            total = columns["g"][i] * other[i] + columns["x"][i] * other[n + p + i]
            for j in range(p):
                if other[n + j].shape == total.shape:
                    total = total + columns[str(j)][i] * other[n + j]
            expected.append(total)
        coupled = sum(jnp.sum(jnp.abs(a - b)) for a, b in zip(answered, expected, strict=True))
        return {"columns": columns, "size": size, "away": away, "coupled": coupled}

    def _step(self, found: dict[str, Any], params: Any) -> HeldStep:
        leaves, structure = jax.tree.flatten(params)
        n, p = len(leaves), len(self._odd)
        columns, gains, kinds = found["columns"], [], []
        for i, leaf in enumerate(leaves):
            mine = self._memories_of(columns, i, n, p)
            a_g, a_x = (np.ravel(columns[name][i]).astype(float) for name in ("g", "x"))
            if any(columns["g"][n + j].shape != leaf.shape for j in mine):
                return HeldStep(None, math.nan, _MIXES)
            a_m = _stacked([columns[str(j)][i] for j in mine], (len(mine), leaf.size))
            b_g, b_x = (_stacked([columns[name][n + j] for j in mine], a_m.shape) for name in ("g", "x"))
            b_m = _stacked([columns[str(k)][n + j] for j in mine for k in mine], (len(mine), *a_m.shape))
            system = _System(a_g, a_x, a_m, b_g, b_x, b_m)
            gain = system.gain()
            if (gain < 0).any():
                return HeldStep(None, math.nan, "its update climbs along the gradient")
            gains.append(jnp.asarray(gain.reshape(leaf.shape), leaf.dtype))
            kinds += system.kinds(gain)
        if not any(gain.any() for gain in gains):
            return HeldStep(None, math.nan, "its update does not grow with the gradient")
        inverse = jax.tree.unflatten(structure, gains)
        thresholds = [_first_above(kind.radius) for kind in kinds]
        finite = [t for t in thresholds if math.isfinite(t)]
        if finite and (len(finite) < len(thresholds) or max(finite) > (1 + _ALIKE) * min(finite)):
            why = f"its coordinates differ by more than their gain: their thresholds are {min(finite):.4g} to "
            return HeldStep(inverse, math.nan, f"{why}{max(thresholds):.4g}", tuple(kinds))
        return HeldStep(inverse, min(thresholds, default=math.inf), kinds=tuple(kinds))

    def _memories_of(self, columns: Any, i: int, n: int, p: int) -> list[int]:
        """The memories that leaf i's update sees, directly or through others."""
        seen = {j for j in range(p) if np.any(columns[str(j)][i])}
        while True:
            more = {k for k in range(p) for j in seen if np.any(columns[str(k)][n + j])} | seen
            if more == seen:
                return sorted(seen)
            seen = more


def _stacked(leaves: Sequence[Any], shape: tuple[int, ...]) -> np.ndarray:
    return np.array([np.ravel(leaf) for leaf in leaves], dtype=float).reshape(shape)


@dataclasses.dataclass(frozen=True)
class _System:
    """The linear update of a leaf's coordinates, the last axis: a_g, a_x (n,), a_m, b_g, b_x (p, n), b_m (p, p, n)."""

    a_g: np.ndarray
    a_x: np.ndarray
    a_m: np.ndarray
    b_g: np.ndarray
    b_x: np.ndarray
    b_m: np.ndarray

    def gain(self) -> np.ndarray:
        """How far x goes in the end for a gradient of 1 that lasts, downhill; at once where a memory never forgets."""
        p = len(self.b_g)
        if not p:
            return -self.a_g
        forgets = np.eye(p)[:, :, None] - self.b_m
        forgets, b_g = np.moveaxis(forgets, -1, 0), self.b_g.T[:, :, None]
        if (np.abs(np.linalg.det(forgets)) < 1e-9).any():
            return -self.a_g
        held = np.linalg.solve(forgets, b_g)[:, :, 0].T
        return -(self.a_g + (self.a_m * held).sum(axis=0))

    def kinds(self, gain: np.ndarray) -> list["_Kind"]:
        """Its coordinates' coefficients in units of their gain, a kind of them each."""
        moves = gain > 0
        if not moves.any():
            return []
        p = len(self.b_g)
        rows = np.concatenate([
            self.a_g[None] / np.where(moves, gain, 1), self.a_x[None], self.a_m / np.where(moves, gain, 1),
            self.b_g, self.b_x * gain, self.b_m.reshape(p * p, self.b_g.shape[1]),
        ])[:, moves]  # fmt: skip
        _, first = np.unique(_rounded(rows), axis=1, return_index=True)
        some = first[np.unique(np.linspace(0, len(first) - 1, _KINDS).astype(int))]
        return [_Kind(rows[:, k], p) for k in some]


def _rounded(values: np.ndarray) -> np.ndarray:
    """To five digits: what differs less is of one kind."""
    with np.errstate(divide="ignore"):
        power = np.where(values == 0, 0, np.floor(np.log10(np.abs(np.where(values == 0, 1, values)))))
    unit = 10.0 ** (power - 5)
    return np.round(values / unit) * unit


@dataclasses.dataclass(frozen=True)
class _Kind:
    """The coefficients of a kind of coordinates: a_g, a_x, a_m, b_g, b_x, b_m in one row, with p memories."""

    row: np.ndarray
    p: int

    def _matrices(self, curvature: np.ndarray) -> np.ndarray:
        """The step of (x, m) on curvatures of P⁻¹H, memories in units of the gain, shape (n, 1 + p, 1 + p)."""
        p, row = self.p, self.row
        matrix = np.empty((len(curvature), 1 + p, 1 + p))
        matrix[:, 0, 0] = 1 + row[1] + row[0] * curvature
        matrix[:, 0, 1:] = row[2 : 2 + p]
        matrix[:, 1:, 0] = row[2 + 2 * p : 2 + 3 * p] + row[2 + p : 2 + 2 * p] * curvature[:, None]
        matrix[:, 1:, 1:] = row[2 + 3 * p :].reshape(p, p)
        return matrix

    def radius(self, curvature: np.ndarray) -> np.ndarray:
        """The largest modulus of an eigenvalue."""
        return np.abs(np.linalg.eigvals(self._matrices(curvature))).max(axis=1)

    def swing(self, curvature: np.ndarray) -> np.ndarray:
        """How far x gets at most in its first steps, from 1 with memories of 0."""
        matrices = self._matrices(curvature)
        state = np.zeros((len(curvature), 1 + self.p, 1))
        state[:, 0], most = 1, np.zeros(len(curvature))
        for _ in range(_SWINGS):
            state = np.clip(matrices @ state, -1e9, 1e9)
            most = np.maximum(most, np.abs(state[:, 0, 0]))
        return most


def _first_above(size: Callable[[np.ndarray], np.ndarray]) -> float:
    """The first curvature of P⁻¹H at which something about a step is above 1."""
    tried = np.geomspace(_LEAST, _MOST, _TRIED)
    outside = np.flatnonzero(size(tried) > 1 + 1e-9)
    if not outside.size:
        return math.inf
    if outside[0] == 0:
        return 0.0
    low, high = tried[outside[0] - 1], tried[outside[0]]
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if size(np.array([middle]))[0] > 1 + 1e-12 else (middle, high)
    return float(low)
