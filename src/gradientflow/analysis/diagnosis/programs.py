"""The programs of a training: made once for a loss and an optimizer, whatever the arrays and whatever is changed."""

import dataclasses
import functools
import math
from collections import OrderedDict
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.flows import SMALL_TRAINING, all_finite, compiled

from ..linear_stability.held_step import HeldUpdate
from ..sweeps.identity import Same
from .indices import Place, counted
from .norms import leaf_norm, shape_of, tree_norm

# Programs of so many trainings are kept, and with them what their losses and optimizers hold.
_KEPT = 8


class Second(NamedTuple):
    """A second moment: its place among the state's leaves, its leaf of the parameters, and its decay β₂.

    The decay is 0 where it isn't one: a sum of all squares, say.
    """

    place: int
    leaf: int
    decay: float


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a training does beside its arrays.

    Attributes:
        user_loss: the loss, as it was given.
        optimizer: likewise.
        fixed: what is no array among the parameters.
        batched: whether the loss takes a batch.
        keyed: whether it takes a key.
        has_aux: whether it answers a pair.
        extra: what else the optimizer's update asks for, by name.
        averaged: whether a batch is a stack of batches, over which the loss is a mean.
    """

    user_loss: Any
    optimizer: Any
    fixed: Any
    batched: bool
    keyed: bool
    has_aux: bool
    extra: tuple[str, ...] = ()
    averaged: bool = False

    def loss(self, held: Any, params: Any, batch: Any, key: Any) -> Any:
        """The loss of the arrays among the parameters, a scalar.

        Args:
            held: the arrays that don't move, and the run's key.
            params: those that do.
            batch: a batch.
            key: the step's key.
        """
        if self.averaged:
            return jnp.mean(jax.lax.map(lambda one: self._loss_of_one(held, params, one, key), batch))
        return self._loss_of_one(held, params, batch, key)

    def key_of(self, held: Any, k: Any) -> Any:
        """Step k's key; a number where there is none, which nobody looks at."""
        return jax.random.fold_in(held["key"], k) if self.keyed else k

    def update(self, held: Any, gradient: Any, state: Any, params: Any, value: Any, batch: Any, key: Any) -> Any:
        """The optimizer's update and state, with what else it asks for."""
        have = {"value": value, "grad": gradient, "value_fn": lambda p: self.loss(held, p, batch, key), "batch": batch}
        return self.optimizer.update(gradient, state, params, **{name: have[name] for name in self.extra})

    def _loss_of_one(self, held: Any, params: Any, batch: Any, key: Any) -> Any:
        arguments = [eqx.combine(params, held["fixed"], self.fixed)]
        arguments += [batch] if self.batched else []
        arguments += [key] if self.keyed else []
        found: Any = self.user_loss(*arguments)
        if isinstance(found, tuple) and not self.has_aux:
            raise TypeError("it answers a tuple; has_aux=True is for a loss that answers a pair (loss, aux)")
        return jnp.asarray(found[0] if self.has_aux else found)


class Programs:
    """What is run of a training, all of it compiled at most once for the shapes that come.

    Args:
        recipe: what it does.
        params: parameters of its shapes.
    """

    def __init__(self, recipe: Recipe, params: Any) -> None:
        self.recipe = recipe
        self._shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), params)
        static = functools.partial(jax.jit, static_argnames=("second",))
        self.block = compiled(self._block, SMALL_TRAINING, static)
        self.mean = compiled(self._mean, SMALL_TRAINING, jax.jit)
        self.measured = compiled(self._measured, SMALL_TRAINING, jax.jit)
        self.preconditioned = compiled(self._preconditioned, SMALL_TRAINING, jax.jit)
        self.updated = compiled(self.recipe.update, SMALL_TRAINING, jax.jit)
        self.undriven = compiled(self._undriven, SMALL_TRAINING, jax.jit)
        self.indexed = compiled(self._indexed, SMALL_TRAINING, jax.jit)
        self.indices: list[Place] = []

    @functools.cached_property
    def held_update(self) -> HeldUpdate:
        """The optimizer's own update with what it adapts held."""
        return HeldUpdate(self.recipe.optimizer, self._zeros())

    @functools.cached_property
    def second_moments(self) -> tuple[Second, ...]:
        """What adapts as the gradient's square."""
        params, optimizer = self._zeros(), self.recipe.optimizer
        shapes = [leaf.shape for leaf in jax.tree.leaves(params)]
        fresh = optimizer.init(params)
        named = jax.tree_util.tree_leaves_with_path(fresh)
        update = jax.jit(lambda g, state: optimizer.update(jax.tree.map(lambda p: p + g, params), state, params)[1])
        ones = jax.tree.map(lambda leaf: jnp.ones_like(leaf) if leaf.shape in shapes else leaf, fresh)
        try:
            none, one, two = (jax.tree.leaves(update(jnp.asarray(g, float), fresh)) for g in (0.0, 1.0, 2.0))
            kept = jax.tree.leaves(update(jnp.asarray(0.0, float), ones))
        except Exception:  # what it asks for beside the gradient isn't there
            return ()
        squares = []
        for i, (path, start) in enumerate(named):
            if jax.tree_util.keystr(path) in self.held_update.adaptive and jnp.shape(start) in shapes:
                grown = [np.asarray(after[i], float) - np.asarray(none[i], float) for after in (one, two)]
                squares += [i] if np.allclose(grown[1], 4 * grown[0], rtol=1e-3) else []
        # Leaves of a moment come in the parameters' order.
        decays = [float(np.mean(np.asarray(kept[i], float))) for i in squares]
        found = [Second(i, j % len(shapes), decay if 0 < decay < 1 else 0.0)
                 for j, (i, decay) in enumerate(zip(squares, decays, strict=True))]  # fmt: skip
        return tuple(found) if all(jnp.shape(named[one.place][1]) == shapes[one.leaf] for one in found) else ()

    def _zeros(self) -> Any:
        return jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), self._shapes)

    # --- losses -----------------------------------------------------------------------------------------------------

    def _mean(self, held: Any, params: Any, data: Any, keys: Any) -> Any:
        """The losses of a stack of batches."""
        return jax.lax.map(lambda x: self.recipe.loss(held, params, *x), (data, keys))

    def _measured(self, held: Any, params: Any, batch: Any, key: Any) -> Any:
        """A batch's loss and gradient."""
        return jax.value_and_grad(self.recipe.loss, argnums=1)(held, params, batch, key)

    def _indexed(self, held: Any, params: Any, batch: Any, key: Any) -> Any:
        """How many of the loss's indices lie outside; the operations that take by them are `indices`."""
        return counted(lambda p, b: self.recipe.loss(held, p, b, key), self.indices, params, batch)

    def _preconditioned(self, held: Any, params: Any, root: Any, vector: Any, data: Any, keys: Any) -> Any:
        """P^{-1/2} H P^{-1/2} v, the Hessian a mean over a stack of batches."""
        moved = jax.tree.map(lambda r, v: (r * v).astype(r.dtype), root, vector)

        def one(x: Any) -> Any:
            gradient = jax.grad(self.recipe.loss, argnums=1)
            return jax.jvp(lambda p: gradient(held, p, *x), (params,), (moved,))[1]

        products = jax.lax.map(one, (data, keys))
        return jax.tree.map(lambda r, p: r * p.mean(axis=0), root, products)

    def _undriven(self, held: Any, params: Any, state: Any, factor: Any, batch: Any, key: Any) -> Any:
        """What an update does whatever the gradient: the mean of those by a gradient and by its opposite."""
        shown = jax.tree.map(lambda p: (p * factor).astype(p.dtype), params)
        value = jnp.asarray(0.0)
        both = [
            self.recipe.update(held, jax.tree.map(lambda p, s=sign: jnp.full_like(p, s), params), state, shown, value,
                               batch, key)[0] for sign in (1, -1)
        ]  # fmt: skip
        return jax.tree.map(lambda a, b: (a + b) / 2, *both)

    # --- runs -------------------------------------------------------------------------------------------------------

    def _block(self, held: Any, params: Any, state: Any, data: Any, places: Any, first: Any, count: Any, knobs: Any, *,
               second: tuple[Second, ...]) -> Any:  # fmt: skip
        """Steps, until one is not finite: where they lead, how many there were, and a row of evidence for each."""
        leaves, length = len(jax.tree.leaves(params)), len(knobs["scale"])
        wide = jnp.float64 if jax.config.read("jax_enable_x64") else jnp.float32
        room = {
            "loss": jnp.full(length, jnp.nan, wide),
            "lost": jnp.zeros(length, jnp.float32),
            "odd": jnp.zeros(length, jnp.int32),
        } | {name: jnp.full((length, leaves), jnp.nan, wide) for name in ("gradient", "update", "size")}

        def going(carry: Any) -> Any:
            i, _, _, rows = carry
            return (i < count) & ((i == 0) | (rows["odd"][jnp.maximum(i - 1, 0)] == 0))

        def one(carry: Any) -> Any:
            i, params, state, rows = carry
            batch = jax.tree.map(lambda leaf: leaf[places[i]], data)
            after, new, row = self._step(held, params, state, batch, first + i, knobs["scale"][i], knobs, second)
            rows = {name: value.at[i].set(row[name].astype(value.dtype)) for name, value in rows.items()}
            return i + 1, after, new, rows

        i, params, state, rows = jax.lax.while_loop(going, one, (jnp.asarray(0), params, state, room))
        return (params, state), i, rows

    def _step(self, held: Any, params: Any, state: Any, batch: Any, k: Any, scale: Any, knobs: Any,
              second: tuple[Second, ...]) -> tuple[Any, Any, Any]:  # fmt: skip
        key = self.recipe.key_of(held, k)
        value, raw = self._measured(held, params, batch, key)
        guarded = jax.tree.map(lambda g: jnp.where(knobs["guard"] & ~jnp.isfinite(g), jnp.zeros_like(g), g), raw)
        norm = tree_norm(guarded)
        factor = jnp.where(norm > knobs["clip"], knobs["clip"] / jnp.where(norm == 0, 1, norm), 1.0)
        gradient = jax.tree.map(lambda g: jnp.where(factor == 1, g, g * factor.astype(g.dtype)), guarded)
        if second:
            state = _refreshed(state, gradient, knobs["refresh"], second)
        shown = jax.tree.map(lambda p: jnp.where(knobs["undecayed"], jnp.zeros_like(p), p), params)
        update, new = self.recipe.update(held, gradient, state, shown, value, batch, key)
        if second:
            lent, new = _forgetting(state, new, knobs, second)
            update, _ = self.recipe.update(held, gradient, lent, shown, value, batch, key)
        new = jax.tree.map(lambda a, b: jnp.asarray(a, jnp.asarray(b).dtype), new, state)
        sizes = [leaf_norm(p) for p in jax.tree.leaves(params)]
        moves = [leaf_norm(u) for u in jax.tree.leaves(update)]
        sized = [jnp.maximum(s, 1e-2 * math.sqrt(u.size)) for s, u in zip(sizes, jax.tree.leaves(update), strict=True)]
        ratios = jnp.stack([m / s for m, s in zip(moves, sized, strict=True)])
        levels = jnp.where((knobs["level"] > 0) & (ratios > 0), knobs["level"] / jnp.where(ratios > 0, ratios, 1), 1.0)
        flat, structure = jax.tree.flatten(update)
        flat = [u * (scale * level).astype(u.dtype) for u, level in zip(flat, levels, strict=True)]
        update = jax.tree.unflatten(structure, flat)
        after = jax.tree.map(lambda p, u: (p + u).astype(p.dtype), params, update)
        moved = sum(jnp.sum(u != 0) for u in jax.tree.leaves(update))
        stuck = jax.tree.map(lambda p, u, a: jnp.sum((u != 0) & (p == a)), params, update, after)
        ok = [jnp.isfinite(value) | knobs["guard"], all_finite(guarded), all_finite(update), all_finite(after)]
        odd = jnp.select([~good for good in ok], [1, 2, 3, 4], 0)
        row = {
            "loss": value, "odd": odd, "lost": sum(jax.tree.leaves(stuck)) / jnp.maximum(moved, 1),
            "gradient": jnp.stack([leaf_norm(g) for g in jax.tree.leaves(raw)]), "size": jnp.stack(sizes),
            "update": jnp.stack([leaf_norm(u) for u in jax.tree.leaves(update)]),
        }  # fmt: skip
        return after, new, row


def _refreshed(state: Any, gradient: Any, asked: Any, second: tuple[Second, ...]) -> Any:
    """Second moments that are at least the gradient's square, where that is asked for."""
    leaves, structure = jax.tree.flatten(state)
    squares = [g**2 for g in jax.tree.leaves(gradient)]
    for place, leaf, _ in second:
        square = squares[leaf].astype(leaves[place].dtype)
        leaves[place] = jnp.where(asked, jnp.maximum(leaves[place], square), leaves[place])
    return jax.tree.unflatten(structure, leaves)


def _forgetting(state: Any, new: Any, knobs: Any, second: tuple[Second, ...]) -> tuple[Any, Any]:
    """A state with which an update sees other second moments than its own, and the state that is to follow.

    Of ν' = β₂ν + (1 − β₂)g² the last term is known once ν' is; so what ν would be with a smaller β₂, and with ε² added,
    can be put in its place. The correction of its bias stays the optimizer's: after its first steps it is none.
    """
    leaves, structure = jax.tree.flatten(state)
    after, follows = jax.tree.flatten(new)
    for place, _, decay in second:
        old, own = leaves[place], after[place]
        if decay:
            square = (own - decay * old) / (1 - decay)
            shorter = jnp.minimum(knobs["decay"], decay).astype(old.dtype)
            after[place] = jnp.where(shorter < decay, shorter * old + (1 - shorter) * square, own)
        seen = after[place] + knobs["epsilon"].astype(old.dtype) ** 2
        leaves[place] = jnp.where(seen == own, old, old + (seen - own) / (decay or 1.0))
    return jax.tree.unflatten(structure, leaves), jax.tree.unflatten(follows, after)


_made: OrderedDict[Any, Programs] = OrderedDict()


def programs_of(recipe: Recipe, params: Any) -> Programs:
    """A training's programs: those of the last one that did the same, on parameters of the same shapes.

    A loss of the same code that reads the same is the same, made again or not; so is an optimizer.
    """
    fixed, structure = jax.tree.flatten(recipe.fixed)
    rest = dataclasses.replace(recipe, user_loss=None, optimizer=None, fixed=None)
    key = (structure, rest, shape_of(params), Same((recipe.user_loss, recipe.optimizer, *fixed)))
    try:
        hash(key)
    except TypeError:  # something in it can't be looked up
        return Programs(recipe, params)
    if key not in _made:
        _made[key] = Programs(recipe, params)
        if len(_made) > _KEPT:
            _made.popitem(last=False)
    _made.move_to_end(key)
    return _made[key]
