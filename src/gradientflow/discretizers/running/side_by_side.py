"""What lanes of runs that go side by side have in common."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np

from gradientflow.flows import Status

from ..iteration import Carry, Iteration

# (what all lanes share, what a lane has) ↦ its iteration, its first state, and the time there.
Build = Callable[[Any, Any], tuple[Iteration, Any, Any]]

# Lanes on the last axis, side by side in memory as vector units take them; the step's number is the same in all.
SIDE_BY_SIDE: Any = Carry(-1, None, -1, -1, -1, -1, -1)


def filled(lanes: Any, count: int) -> Any:
    """So many lanes, by the first one once more."""
    more = count - len(jax.tree.leaves(lanes)[0])
    return jax.tree.map(lambda leaf: np.concatenate([leaf, np.repeat(leaf[:1], more, axis=0)]), lanes)


def bare(status: Status) -> Status:
    """A status without what was seen."""
    return eqx.tree_at(lambda status: status.evidence, status, None)
