"""A user's training run as it is: their loss, their parameters, their optimizer, their batches."""

import copy
import dataclasses
import inspect
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.flows import check_key
from gradientflow.flows.checks import in_a_line

from .norms import alike
from .programs import Programs, Recipe, programs_of

# Batches made by a function are kept up to so many bytes, and looked ahead for at most so many.
_KEPT_BYTES = 2**29


class Training:
    """What a run is made of, checked, with what is no array of the parameters put aside.

    Args:
        where: who asks.
        loss: loss(params), loss(params, batch) or loss(params, batch, key).
        params: any pytree; what is no array in it stays as it is.
        optimizer: an `optax.GradientTransformation`.
        batches: a list, a function of the step's number, or `None`.
        state: the optimizer's state at `params`; a fresh one unless given.
        first: the number of the first step.
        key: of the first step; every step folds its number in.
        has_aux: whether the loss answers a pair, whose first entry is the loss.

    Raises:
        TypeError, ValueError: in a line, naming the argument.
    """

    def __init__(self, where: str, loss: Any, params: Any, optimizer: Any, batches: Any, state: Any, first: int,
                 key: Any, has_aux: bool) -> None:  # fmt: skip
        self.where, self.first = where, whole_number(where, "first", first, least=0)
        if not callable(loss):
            raise TypeError(f"{where}: `loss` must be a function, loss(params, batch) say, got {_kind(loss)}")
        if not (callable(getattr(optimizer, "init", None)) and callable(getattr(optimizer, "update", None))):
            raise TypeError(
                f"{where}: `optimizer` must be an optax transformation, optax.adam(1e-3) say, got {_kind(optimizer)}"
            )
        self.params, rest = _split(where, params)
        arrays, fixed = eqx.partition(rest, eqx.is_array)
        self.held = {"fixed": arrays, "key": None if key is None else check_key(where, loss, key)}
        self.recipe = Recipe(loss, optimizer, fixed, batches is not None, key is not None, has_aux,
                             _extra_of(optimizer))  # fmt: skip
        self._set_batches(batches)
        self._check_loss()
        self.fresh = state is None
        self.state = self._start_state(state)

    @property
    def batched(self) -> bool:
        """Whether the loss takes a batch."""
        return self.batches is not None

    @property
    def count(self) -> int | None:
        """How many batches there are; `None` where a function makes them, 1 where there are none."""
        return 1 if self.batches is None else None if callable(self.batches) else len(self.batches)

    def number(self, k: int) -> int:
        """The number of step k's batch: of a list its place there, of a function the step's own."""
        return k if self.count is None else k % self.count

    def batch(self, number: int) -> Any:
        """A batch by its number."""
        if self.batches is None:
            return None
        if not callable(self.batches):
            return self.batches[number]
        if number not in self._made:
            try:
                one = self.batches(number)
            except TypeError as error:
                if _takes(self.batches) == 1:
                    raise
                raise TypeError(f"{self.where}: `batches` must be a function of the step's number, k -> batch, or a "
                                f"list: {_line(error)}") from error  # fmt: skip
            made = self._as_batch(one, f"batches({number})")
            size = sum(leaf.nbytes for leaf in jax.tree.leaves(made))
            while self._made and (1 + len(self._made)) * size > _KEPT_BYTES:
                del self._made[next(iter(self._made))]
            self._made[number] = made
        return self._made[number]

    def loss(self, params: Any, batch: Any, key: Any) -> Any:
        """The loss of the arrays among the parameters, a scalar."""
        return self.recipe.loss(self.held, params, batch, key)

    def key_of(self, k: Any) -> Any:
        """Step k's key; a number where there is none, which nobody looks at."""
        return self.recipe.key_of(self.held, k)

    @property
    def programs(self) -> Programs:
        """What is run of it."""
        return programs_of(self.recipe, self.params)

    def in_precision(self, cast: Callable[[Any], Any]) -> "Training":
        """This training with its numbers in another precision."""
        other = copy.copy(self)
        other.params, other.state, other._made = cast(self.params), cast(self.state), {}
        if callable(self.batches):
            made = self.batch
            other.batches = lambda k: cast(made(k))
        elif self.batches is not None:
            other.batches = [cast(batch) for batch in self.batches]
        return other

    def averaged(self, many: int) -> "Training":
        """This training with every gradient a mean over so many batches, one after the other."""
        other = copy.copy(self)

        def of(k: int) -> Any:
            batches = [self.batch(self.number(k * many + j)) for j in range(many)]
            return jax.tree.map(lambda *leaves: jnp.stack(leaves), *batches)

        other.batches, other._made = of, {}
        other.recipe = dataclasses.replace(self.recipe, averaged=True)
        return other

    def with_batches(self, batches: list[Any]) -> "Training":
        """This training on other batches of the same shapes."""
        other = copy.copy(self)
        other.batches, other._made = batches, {}
        return other

    def _set_batches(self, batches: Any) -> None:
        self._made: dict[int, Any] = {}
        if batches is None or callable(batches):
            self.batches = batches
            return
        if (
            hasattr(batches, "__iter__")
            and not isinstance(batches, (dict, str, Sequence))
            and not hasattr(batches, "shape")
        ):
            raise TypeError(
                f"{self.where}: `batches` must be a list of batches, or a function of the step's number, got "
                f"{_kind(batches)}; replays see each batch again: give list(itertools.islice(batches, 500)) say"
            )
        if hasattr(batches, "shape") or isinstance(batches, (dict, str)) or not isinstance(batches, Sequence):
            raise TypeError(
                f"{self.where}: `batches` must be a list of batches, or a function of the step's number, got "
                f"{_kind(batches)}; write [batch] for one batch"
            )
        if isinstance(batches, tuple) and batches and not isinstance(batches[0], (tuple, list, dict)):
            raise TypeError(
                f"{self.where}: `batches` must be a list of batches, got a tuple of {_kind(batches[0])}, which looks "
                "like one batch; write [batch] for one batch"
            )
        if not len(batches):
            raise ValueError(f"{self.where}: `batches` must be a list of at least one batch, got an empty one")
        self.batches = [self._as_batch(batch, f"batches[{i}]") for i, batch in enumerate(batches)]

    def _as_batch(self, batch: Any, name: str) -> Any:
        try:
            return jax.device_put(batch)
        except (TypeError, ValueError):
            raise TypeError(f"{self.where}: `{name}` must be a pytree of arrays, got {_kind(batch)}") from None

    def _check_loss(self) -> None:
        for first in self._one_of_each_shape():
            self._check_loss_of(first)

    def _one_of_each_shape(self) -> list[Any]:
        """The first batch, and of a list the first of every other shape."""
        first = self.number(self.first)
        numbers = [first] if self.count is None else [first, *range(self.count)]
        batches = [self.batch(number) for number in numbers]
        return [batches[places[0]] for places in alike(batches)]

    def _check_loss_of(self, first: Any) -> None:
        called = f"loss(params{', batch' if self.batched else ''}{', key' if self.recipe.keyed else ''})"
        try:
            shaped = jax.eval_shape(self.loss, self.params, first, self.key_of(self.first))
        except Exception as error:
            line = str(error).splitlines()[0] if str(error) else type(error).__name__
            takes = _takes(self.recipe.user_loss)
            given = 1 + self.batched + (self.recipe.keyed)
            if takes is not None and takes == given + 1 and not self.recipe.keyed and self.batched:
                raise TypeError(f"{self.where}: `key` is missing: the loss takes {takes} arguments; give "
                                "key=jax.random.key(0)") from None  # fmt: skip
            if takes is not None and takes == 2 and not self.batched:
                raise TypeError(f"{self.where}: `batches` is missing: the loss takes 2 arguments; give [batch] or a "
                                "list of batches") from None  # fmt: skip
            remedy = ""
            if self.recipe.has_aux:
                remedy = "; has_aux=True is for a loss that answers a pair (loss, aux)"
            elif self.batched and hasattr(first, "shape"):
                remedy = f"; a batch is one array of shape {first.shape}: for one batch (x, y) give [(x, y)]"
            raise TypeError(f"{self.where}: `loss` can't be called as {called}: {line}{remedy}") from error
        if shaped.shape != () or not jnp.issubdtype(shaped.dtype, jnp.floating):
            raise ValueError(
                f"{self.where}: `loss` must answer one real number, got {shaped.dtype} of shape {shaped.shape}; take "
                "the mean over the batch, and has_aux=True where it answers a pair"
            )

    def _start_state(self, state: Any) -> Any:
        try:
            fresh = jax.eval_shape(self.recipe.optimizer.init, self.params)
        except Exception as error:
            raise TypeError(f"{self.where}: `optimizer` doesn't take these params: {_line(error)}") from error
        if state is None:
            return self.recipe.optimizer.init(self.params)
        state = jax.device_put(eqx.filter(state, eqx.is_array_like))
        alike = jax.tree.structure(state) == jax.tree.structure(fresh) and all(
            a.shape == b.shape for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(fresh), strict=True)
        )
        if not alike:
            raise ValueError(
                f"{self.where}: `state` doesn't fit: it isn't of the kind that optimizer.init(params) answers; give "
                "the state that this optimizer had at these params, or leave it out for a fresh one"
            )
        return state


def _split(where: str, params: Any) -> tuple[Any, Any]:
    """The arrays among the parameters, and the rest; plain numbers are arrays unless it is a module's."""
    leaves, structure = jax.tree.flatten(params)
    plain = all(isinstance(leaf, (jax.Array, np.ndarray, np.generic, float, int)) for leaf in leaves)
    if plain and "CustomNode(" not in str(structure):
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, None if hasattr(leaf, "dtype") else float), params)
    params = jax.tree.map(lambda leaf: jax.device_put(leaf) if isinstance(leaf, np.ndarray) else leaf, params)
    free, fixed = eqx.partition(params, eqx.is_inexact_array)
    if not sum(leaf.size for leaf in jax.tree.leaves(free)):
        dtypes = sorted({str(leaf.dtype) for leaf in jax.tree.leaves(params) if hasattr(leaf, "dtype")})
        got = f"arrays of {', '.join(dtypes)}; make them floating: leaf.astype(float)" if dtypes else _kind(params)
        raise TypeError(f"{where}: `params` must be a pytree with arrays of floating point numbers, got {got}")
    return free, fixed


def _extra_of(optimizer: Any) -> tuple[str, ...]:
    """What else its update asks for, by name."""
    try:
        parameters = inspect.signature(optimizer.update).parameters
    except (TypeError, ValueError):
        return ()
    names = ("value", "grad", "value_fn")
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return names
    return tuple(name for name in (*names, "batch") if name in parameters)


def _takes(function: Callable[..., Any]) -> int | None:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return len([p for p in itertools.filterfalse(lambda p: p.kind not in kinds, parameters) if p.default is p.empty])


def whole_number(where: str, name: str, value: Any, least: int) -> int:
    """A number of steps, checked."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{where}: `{name}` must be a whole number of at least {least}, got {in_a_line(value)}")
    return int(value)


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _kind(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__} of shape {tuple(shape)}" if shape is not None else type(value).__name__
