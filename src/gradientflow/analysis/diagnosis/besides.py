"""What is said besides a cause: layers that an optimizer leaves where they are."""

import numpy as np

from .case import Case


def left_alone(case: Case) -> str:
    """In words, which layers have a gradient and no update at any step, where others move; or nothing."""
    names, _ = case.layers
    with np.errstate(all="ignore"):
        moved = np.nan_to_num(case.by_layer(case.ran.update), nan=1.0).max(axis=0) > 0
        pulled = np.nan_to_num(case.by_layer(case.ran.gradient)).max(axis=0) > 0
    still = [name for name, moves, pull in zip(names, moved, pulled, strict=True) if pull and not moves]
    if not still or not moved.any():
        return ""
    shown = ", ".join(still[:4]) + (" …" if len(still) > 4 else "")
    return (
        f"besides, {shown} never moved: every update there is exactly 0, though the gradient is not; frozen on purpose?"
    )
