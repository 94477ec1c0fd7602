"""Random numbers: the same words for the same key, by Threefry; its keys are pairs of words of 32 bits."""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from . import arithmetic as a
from .nodes import CALL, CHOICE, Node, Op, Program
from .shaping import Rule
from .values import Cells, cells, each, key

_THREEFRY = Op("threefry({},{},{},{})", CALL, (CHOICE,) * 4, ("threefry",))


def _hashed(program: Program, k: Node, high: Node, low: Node) -> tuple[Node, Node]:
    pair = program.expression("array", _THREEFRY, *k.args, high, low)
    first, second = (program.element("u4", pair, program.constant("i4", i)) for i in (0, 1))
    return first, second


def _check(eqn: Any) -> None:
    aval = next(v.aval for v in (*eqn.invars, *eqn.outvars) if "key<" in str(v.aval))
    if "fry" not in str(aval.dtype):
        raise NotImplementedError(f"{eqn.primitive.name} of keys of another kind than Threefry's")
    config: Any = jax.config
    if not config.jax_threefry_partitionable:
        raise NotImplementedError(f"{eqn.primitive.name} where jax_threefry_partitionable is off")


def _counted(program: Program, k: Node, shape: tuple[int, ...]) -> Cells:
    """For each index the two words of its number, hashed: `jax_threefry_partitionable`'s way, which is JAX's own."""
    numbers = np.arange(math.prod(shape)).reshape(shape)
    words = np.empty((*shape, 2), dtype=object)
    for i in np.ndindex(*shape):
        high, low = divmod(int(numbers[i]), 2**32)
        words[i] = _hashed(program, k, program.constant("u4", high), program.constant("u4", low))
    return words


def _seed(program: Program, eqn: Any, seeds: Cells) -> list[Cells]:
    _check(eqn)

    def made(seed: Node) -> Node:
        if seed.dtype not in ("i8", "u8"):
            return key(program.constant("u4", 0), a.convert(program, seed, "u4"))
        big = a.convert(program, seed, "u8")
        high = a.shift(program, "shift_right_logical", "u8", big, program.constant("u8", 32))
        return key(a.convert(program, high, "u4"), a.convert(program, big, "u4"))

    return [each(made, seeds)]


def _fold_in(program: Program, eqn: Any, keys: Cells, data: Cells) -> list[Cells]:
    _check(eqn)
    zero = program.constant("u4", 0)
    return [each(lambda k, d: key(*_hashed(program, k, zero, a.convert(program, d, "u4"))), keys, data)]


def _split(program: Program, eqn: Any, keys: Cells) -> list[Cells]:
    _check(eqn)
    shape = eqn.params["shape"]
    answer = np.empty((*keys.shape, *shape), dtype=object)
    for i in np.ndindex(*keys.shape):
        words = _counted(program, keys[i], shape)
        answer[i] = cells(shape, lambda *j, words=words: key(*words[j]))
    return [answer]


def _bits(program: Program, eqn: Any, keys: Cells) -> list[Cells]:
    _check(eqn)
    shape, width = eqn.params["shape"], eqn.params["bit_width"]
    if width not in (32, 64):
        raise NotImplementedError(f"random_bits of {width} bits")
    answer = np.empty((*keys.shape, *shape), dtype=object)
    for i in np.ndindex(*keys.shape):
        words = _counted(program, keys[i], shape)
        answer[i] = cells(shape, lambda *j, words=words: _word(program, width, *words[j]))
    return [answer]


def _word(program: Program, bits: int, high: Node, low: Node) -> Node:
    if bits == 32:
        return a.binary(program, "xor", "u4", high, low)
    top = a.shift(program, "shift_left", "u8", a.convert(program, high, "u8"), program.constant("u8", 32))
    return a.binary(program, "or", "u8", top, a.convert(program, low, "u8"))


def _wrap(program: Program, eqn: Any, words: Cells) -> list[Cells]:
    _check(eqn)
    return [cells(words.shape[:-1], lambda *i: key(*words[i]))]


def _unwrap(program: Program, eqn: Any, keys: Cells) -> list[Cells]:
    _check(eqn)
    return [cells((*keys.shape, 2), lambda *i: keys[i[:-1]].args[i[-1]])]


def _hash(program: Program, eqn: Any, *words: Cells) -> list[Cells]:
    pairs: Callable[..., Any] = each
    both = pairs(lambda *four: key(*_hashed(program, key(*four[:2]), *four[2:])), *words)
    return [each(lambda pair, i=i: pair.args[i], both) for i in (0, 1)]


RANDOMNESS: dict[str, Rule] = {
    "random_seed": _seed, "random_fold_in": _fold_in, "random_split": _split, "random_bits": _bits,
    "random_wrap": _wrap, "random_unwrap": _unwrap, "threefry2x32": _hash,
}  # fmt: skip
