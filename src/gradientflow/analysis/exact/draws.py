"""Python's and NumPy's global random generators, which no step may depend on: each reading starts them elsewhere."""

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .leaf import ImpureError

_seeds = itertools.count()


@contextmanager
def kept_generators() -> Iterator[None]:
    """Leaves the global generators standing as they stood before."""
    python, array = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(array)


def reseed() -> None:
    """Starts the global generators where no reading has started them yet."""
    seed = next(_seeds) % 2**32
    random.seed(seed)
    np.random.seed(seed)


def read_alike(name: str, read: Callable[[], Any], same: Callable[[Any, Any], bool], readings: int = 2) -> Any:
    """What is read, if it is read alike again and again, wherever the global generators stand.

    Args:
        name: whose step it is.
        read: the reading.
        same: whether two are alike.
        readings: how often; a step that takes one of two values by chance is found out by one in 2ⁿ.

    Raises:
        ImpureError: if it isn't.
    """
    with kept_generators():
        reseed()
        found = read()
        for _ in range(readings - 1):
            reseed()
            if not same(found, read()):
                raise ImpureError(name)
    return found
