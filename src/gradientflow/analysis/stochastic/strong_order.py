"""The strong order of a scheme: how close its runs come to the flow's along one Brownian path."""

import dataclasses
import operator
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.discretizers import Discretizer, EulerMaruyama, Iteration, check_answers, drawn_increments, packed
from gradientflow.flows import (
    Flow,
    Number,
    check_integer,
    check_key,
    check_positive,
    compiled,
    dtype_of,
    is_stochastic,
    l2_norm,
    looks_at_numbers,
    numbers_to_arrays,
    prepare,
)

from ..results.grades import Measured
from ..results.result import Drawn

# So many steps of the reference to one of the finest that is measured.
_FINER = 16


@dataclasses.dataclass(frozen=True, repr=False)
class StrongOrder(Measured, Drawn):
    r"""Root-mean-square errors at the end, and the order that they show.

    Attributes:
        h: the steps [T], largest first.
        errors: for each step $\sqrt{\mathbb E\|x_h - x\|^2}$ [X].
        standard_errors: the sampling error of each.
        order: the slope of log error over log h, by least squares.
    """

    drawn_by: ClassVar[str] = "stochastic.figures:plot_strong_order"
    h: np.ndarray
    errors: np.ndarray
    standard_errors: np.ndarray
    order: float

    @property
    def steps(self) -> np.ndarray:
        """The steps h, by the name that they once had."""
        return self.h


@looks_at_numbers
def strong_order(
    flow: Flow,
    discretizer: Discretizer,
    x0: Any,
    t1: Number,
    *,
    key: Any,
    steps: Sequence[Any] = (8, 16, 32, 64),
    paths: Any = 1_000,
    reference: Discretizer | None = None,
) -> StrongOrder:
    r"""The strong order of a scheme, measured: its error against the flow along one Brownian path, over many paths.

    The flow's own path is a scheme with steps sixteen times as fine as the finest, driven by the same increments, of
    which each coarser step takes the sums.

    Args:
        flow: a flow with noise.
        discretizer: the scheme.
        x0: where all paths start.
        t1: the end [T].
        key: a key made by `jax.random.key`.
        steps: in how many steps to go there; each must divide the last.
        paths: how many paths.
        reference: the scheme of the fine path; Euler–Maruyama unless given, which tends to Itô's solution.

    Raises:
        TypeError: if the flow has no noise, a count isn't an integer or the key isn't one.
        ValueError: if t1 is not positive, or the numbers of steps don't divide the last.
        UnansweredQuestionError: if a scheme asks the flow what it doesn't answer.

    References:
        P. E. Kloeden, E. Platen, Numerical Solution of Stochastic Differential Equations, 1992, section 9.3.

    Example:
        >>> import jax, gradientflow as gf
        >>> flow = gf.Langevin(gf.energy(lambda x: x**2 / 2), temperature=0.5)
        >>> found = gf.strong_order(flow, gf.EulerMaruyama(), 1.0, 1.0, key=jax.random.key(0))
        >>> bool(abs(found.order - 1) < 0.15)  # additive noise
        True
    """
    check_positive("strong_order", t1=t1)
    check_integer("strong_order", 2, paths=paths)
    counts = sorted(steps)
    for count in counts:
        check_integer("strong_order", 1, steps=count)
    if len(counts) < 2 or any(counts[-1] % count for count in counts):
        raise ValueError(f"strong_order: `steps` must be two numbers or more that divide the largest, got {steps}")
    flow, z0 = prepare("strong_order", flow, x0, None)
    if not is_stochastic(flow, z0):
        raise TypeError(f"strong_order: {type(flow).__name__} has no noise; observe its order with compare(...)")
    check_key("strong_order", flow, key)
    fine = EulerMaruyama() if reference is None else reference
    for scheme in (discretizer, fine):
        check_answers(flow, scheme, z0)
    dtype = dtype_of(z0)
    discretizer, fine = numbers_to_arrays((discretizer, fine), dtype, integers=False)
    squares = np.asarray(_squared_errors(
        flow, discretizer, fine, z0, jnp.asarray(t1, dtype), jax.random.split(key, int(paths)), tuple(map(int, counts))
    ), dtype=float)  # fmt: skip
    h = float(t1) / np.asarray(counts)
    errors = np.sqrt(squares.mean(axis=0))
    # Of a root: half the relative error of what it is the root of.
    spread = squares.std(axis=0, ddof=1) / np.sqrt(len(squares)) / (2 * errors)
    order = float(np.polyfit(np.log(h), np.log(errors), 1)[0])
    return StrongOrder(h, errors, spread, order)


@compiled
def _squared_errors(
    flow: Flow, discretizer: Discretizer, fine: Discretizer, z0: Any, t1: Any, keys: Any, counts: tuple[int, ...]
) -> Any:
    """Of shape (paths, steps): the squared distances to the fine path at the end."""
    finest = _FINER * counts[-1]
    shape = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((finest, *leaf.shape), leaf.dtype), flow.brownian(z0))

    def one(key: Any) -> Any:
        increments = drawn_increments(key, 1, shape, t1 / finest)
        end = _end(flow, fine, z0, t1, increments, finest)
        ends = [_end(flow, discretizer, z0, t1, increments, count) for count in counts]
        return jnp.stack([l2_norm(jax.tree.map(lambda a, b: a - b, x, end)) ** 2 for x in ends])

    return jax.lax.map(one, keys, batch_size=256)


def _end(flow: Flow, discretizer: Discretizer, z0: Any, t1: Any, increments: Any, count: int) -> Any:
    """The position after so many steps along the sums of the fine increments."""
    iteration = Iteration(flow, discretizer, t1 / count)
    parts = discretizer.increments(flow, z0)
    sums = jax.tree.map(lambda leaf: leaf.reshape(count, parts, -1, *leaf.shape[1:]).sum(axis=2), increments)

    def step(carry: Any, increment: Any) -> tuple[Any, None]:
        noise = packed([jax.tree.map(operator.itemgetter(i), increment) for i in range(parts)])
        return iteration.one(carry, noise), None

    carry, _ = jax.lax.scan(step, iteration.start(z0), sums)
    return iteration.position(carry)
