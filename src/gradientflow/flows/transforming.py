"""Under JAX's transformations and outside: where values are known, and what is found out once for all of them."""

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.extend.core import get_opaque_trace_state

# Answers are small, but their keys keep the functions alive, with whatever data those hold.
_REMEMBERED = 128
_state = functools.partial(get_opaque_trace_state, convention="nnx")
_outside: list[Any] = []
# In a thread of its own, which nothing traces: this module may be imported in the middle of somebody's trace.
_look = threading.Thread(target=lambda: _outside.append(_state()))
_look.start()
_look.join()


def is_transformed() -> bool:
    """Whether jit, vmap, grad or another transformation is at work, so that values may be unknown.

    It need not show in the arguments: a closure can hold what is traced.
    """
    return _state() != _outside[0]


def once_per_shape(function: Callable[..., Any]) -> Callable[..., Any]:
    """Remembers the answers of a function that looks at no value of an array, only at structures, shapes and types.

    What is asked under a transformation is not remembered, since it may hold what is traced; nor is what raises.
    """
    answers: OrderedDict[Any, Any] = OrderedDict()

    @functools.wraps(function)
    def asked(*args: Any) -> Any:
        key = None if is_transformed() else _key(args)
        if key is None:
            return function(*args)
        if key not in answers:
            answers[key] = function(*args)
            if len(answers) > _REMEMBERED:
                answers.popitem(last=False)
        answers.move_to_end(key)
        return answers[key]

    return asked


def _key(tree: Any) -> Any:
    """What stands for a pytree's structure and shapes, or `None` if something in it can't be looked up."""
    leaves, structure = jax.tree.flatten(tree)
    key = (structure, tuple(map(_abstract, leaves)))
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _abstract(leaf: Any) -> Any:
    if isinstance(leaf, (jax.Array, np.ndarray, np.generic)):
        return (np.shape(leaf), leaf.dtype)
    return type(leaf), leaf
