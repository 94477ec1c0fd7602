"""Minibatches: each step sees the mean over some of the examples, on one device or shared among workers."""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from gradientflow.flows import Energy, Flow, MeanOverExamples, check_integer, with_smooth_part
from gradientflow.flows.aliases import Position
from gradientflow.flows.checks import in_a_line

from ..oracle import RandomOracle
from .shuffling import shuffled


class BatchOracle(RandomOracle):
    """An oracle that shows each step a minibatch. A subclass says which examples."""

    batch_size: eqx.AbstractVar[int]

    @abc.abstractmethod
    def indices(self, key: Any, k: Any, count: int) -> Any:
        """The examples of step k, an array of shape (B,) of integers in [0, N)."""

    @abc.abstractmethod
    def variance_share(self, count: int) -> float:
        """The variance of a batch's gradient, as a share of one example's."""

    def __call__(self, flow: Flow, key: Any, k: Any) -> Flow:
        """The flow of the minibatch's mean."""
        examples = _examples(type(self).__name__, flow)
        return with_smooth_part(flow, examples.subset(self.indices(key, k, examples.count)))


class Minibatch(BatchOracle):
    r"""Shuffled epochs: $E_B = \frac1B\sum_{i\in\mathcal B_k} E_i$, each example at most once an epoch.

    Every epoch of ⌊N/B⌋ steps has a random order of its own and takes its batches from the start of it. Where B does
    not divide N, the last N mod B examples of the order are left out, others each time. A batch's gradient is unbiased,
    with the variance $\frac{\operatorname{tr}\Sigma}{B}\frac{N-B}{N-1}$, Σ being the examples' covariance. The
    batches of an epoch are not independent: together they are nearly exact. A step costs
    what its B examples cost, however large N is.

    The flow's energy is a mean over examples: `FiniteSum`, `LinearRegression`, `LogisticRegression`, or a
    `MeanOverExamples` of your own; or such a mean plus a penalty, which every batch has whole. A step rule sees the
    batch's energy too.

    Args:
        batch_size: B.

    Raises:
        TypeError: if it is not an integer; when it runs, if the energy is no mean over examples.
        ValueError: if it is less than 1; when it runs, if it exceeds N.

    References:
        L. Bottou, Curiously fast convergence of some stochastic gradient descent algorithms, 2009: with a fresh order
        each epoch.

    Example:
        >>> import gradientflow as gf, jax
        >>> E = gf.FiniteSum(lambda x, d: (x - d) ** 2 / 2, [1.0, 2.0, 3.0, 6.0])
        >>> method = gf.optimizers.gradient_descent(E, lr=0.5)
        >>> run = method.iterate(3.0, steps=4, oracle=gf.Minibatch(2), key=jax.random.key(0))
        >>> seen = 2 * run.x[1:] - run.x[:-1]  # with this lr x' is the mean of x and of the batch's data
        >>> [float(a + b) for a, b in (seen[:2], seen[2:])]  # two batches are all data, in another order each time
        [6.0, 6.0]
    """

    equation: ClassVar[str] = "the mean over the next B of N examples in random order, a new order each epoch"
    batch_size: int

    def __init__(self, batch_size: Any) -> None:
        check_integer("Minibatch", 1, batch_size=batch_size)
        self.batch_size = int(batch_size)

    def steps_per_key(self, flow: Flow) -> int:
        """⌊N/B⌋: an epoch shares a key, which is its order."""
        return self._epoch(_examples("Minibatch", flow).count)

    def indices(self, key: Any, k: Any, count: int) -> Any:
        """The next B of the epoch's order."""
        first = k % self._epoch(count) * self.batch_size
        return shuffled(key, first + jnp.arange(self.batch_size), count)

    def variance_share(self, count: int) -> float:
        """(N − B)/(B(N − 1)): nothing where the batch is all examples."""
        self._epoch(count)
        return (count - self.batch_size) / (self.batch_size * max(count - 1, 1))

    def _epoch(self, count: int) -> int:
        """The steps of an epoch."""
        if self.batch_size > count:
            raise ValueError(
                f"Minibatch: `batch_size` must not exceed the {count} examples, got {self.batch_size}; without an "
                "oracle every step sees all of them"
            )
        return count // self.batch_size


class MinibatchWithReplacement(BatchOracle):
    r"""Independent draws: $E_B = \frac1B\sum_{i\in\mathcal B_k} E_i$, the B examples drawn one by one from all N.

    Steps are independent, and a batch's gradient has the variance $\operatorname{tr}\Sigma/B$ exactly, also for B > N:
    what theorems about stochastic gradients assume. See `Minibatch` for shuffled epochs, as training has them.

    Args:
        batch_size: B.

    Raises:
        TypeError: if it is not an integer; when it runs, if the energy is no mean over examples.
        ValueError: if it is less than 1.

    References:
        H. Robbins, S. Monro, A stochastic approximation method, Ann. Math. Statist. 22, 1951.

    Example:
        >>> import gradientflow as gf, jax
        >>> E = gf.LinearRegression([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
        >>> method = gf.optimizers.gradient_descent(E, lr=0.3)
        >>> run = method.iterate([0.0, 0.0], 200, oracle=gf.MinibatchWithReplacement(2), key=jax.random.key(0))
        >>> [round(float(w), 3) for w in run.x[-1]]  # all data lie on one line: in its minimizer there is no noise
        [2.0, 1.0]
    """

    equation: ClassVar[str] = "the mean over B examples drawn independently"
    batch_size: int

    def __init__(self, batch_size: Any) -> None:
        check_integer("MinibatchWithReplacement", 1, batch_size=batch_size)
        self.batch_size = int(batch_size)

    def indices(self, key: Any, k: Any, count: int) -> Any:
        """B independent, uniformly distributed examples."""
        return jax.random.randint(key, (self.batch_size,), 0, count)

    def variance_share(self, count: int) -> float:
        """1/B."""
        return 1 / self.batch_size


class DataParallelBatch(RandomOracle):
    r"""Synchronous data parallelism: W workers share a batch, $\nabla E_B = \frac1W\sum_w\nabla E_{\mathcal B_w}$.

    The mean of the workers' gradients is the gradient of the whole batch, but for rounding: more workers are a larger
    batch and no other method. Their parts have equal sizes, as the mean of means wants it.

    Without a mesh all workers are on one device, one after the other in its vector units. With one, each of its devices
    computes the gradients of its share of the workers, and one all-reduce a step averages them.

    Args:
        batches: the whole batch, `Minibatch(256)` say.
        workers: W, which divides the batch size.
        mesh: the devices, `jax.make_mesh((2,), ("data",))` say, of one axis, whose length divides W.

    Raises:
        TypeError: if `batches` is no `Minibatch` or `MinibatchWithReplacement`, or `workers` not an integer.
        ValueError: if the parts would not be equal, or the mesh has several axes.

    References:
        J. Dean et al., Large scale distributed deep networks, NeurIPS 2012; P. Goyal et al., Accurate, large minibatch
        SGD, 2017, section 3.

    Example:
        >>> import gradientflow as gf, jax
        >>> E, key = gf.FiniteSum(lambda x, d: (x - d) ** 2 / 2, [1.0, 2.0, 3.0, 6.0]), jax.random.key(0)
        >>> method, batches = gf.optimizers.gradient_descent(E, lr=0.5), gf.Minibatch(4)
        >>> one = method.iterate(0.0, 3, oracle=batches, key=key)
        >>> four = method.iterate(0.0, 3, oracle=gf.DataParallelBatch(batches, workers=4), key=key)
        >>> bool(abs(one.x - four.x).max() < 1e-6)
        True
    """

    equation: ClassVar[str] = "the mean of W workers' gradients, each of B/W examples"
    batches: BatchOracle
    workers: int
    mesh: Mesh | None

    def __init__(self, batches: Any, workers: Any, mesh: Any = None) -> None:
        if not isinstance(batches, BatchOracle):
            raise TypeError(
                f"DataParallelBatch: `batches` must be one such as Minibatch(256), got {in_a_line(batches)}"
            )
        check_integer("DataParallelBatch", 1, workers=workers)
        if batches.batch_size % workers:
            raise ValueError(
                f"DataParallelBatch: `workers` must divide the batch size {batches.batch_size}, or the mean of the "
                f"workers' means would not be the batch's, got {workers}"
            )
        if mesh is not None and (len(mesh.axis_names) != 1 or workers % mesh.size):
            raise ValueError(
                f"DataParallelBatch: `mesh` must have one axis whose length divides the {workers} workers, got "
                f"{dict(mesh.shape)}"
            )
        self.batches, self.workers, self.mesh = batches, int(workers), mesh

    def __call__(self, flow: Flow, key: Any, k: Any) -> Flow:
        """The flow of the workers' mean gradient."""
        examples = _examples("DataParallelBatch", flow)
        parts = self.batches.indices(key, k, examples.count).reshape(self.workers, -1)
        return with_smooth_part(flow, SharedBatch(examples, parts, self.mesh))

    def steps_per_key(self, flow: Flow) -> int:
        """That of the batches."""
        return self.batches.steps_per_key(flow)


class SharedBatch(Energy):
    """The mean over a batch that workers share; made by `DataParallelBatch`.

    Args:
        examples: the mean over all examples.
        parts: the workers' examples, indices of shape (W, B/W).
        mesh: the devices, or `None`.
    """

    examples: MeanOverExamples
    parts: Any
    mesh: Mesh | None

    def value(self, x: Position) -> Any:
        """The mean of the workers' energies."""
        return self._mean(_value, x)

    def grad(self, x: Position) -> Any:
        """The mean of the workers' gradients."""
        return self._mean(_grad, x)

    def _mean(self, ask: Callable[[Energy, Any], Any], x: Position) -> Any:
        """The mean of the workers' answers."""

        def mean(examples: MeanOverExamples, parts: Any, x: Position) -> Any:
            answers = jax.vmap(lambda part: ask(examples.subset(part), x))(parts)
            return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), answers)

        if self.mesh is None:
            return mean(self.examples, self.parts, x)
        (axis,) = self.mesh.axis_names
        arrays, rest = eqx.partition(self.examples, eqx.is_array)

        share = len(self.parts) // self.mesh.size

        def on_a_device(arrays: Any, parts: Any, x: Position) -> Any:
            own = jax.lax.dynamic_slice_in_dim(parts, jax.lax.axis_index(axis) * share, share)
            # Without this cast a gradient with respect to what all devices share would be summed over them already.
            own_x = jax.lax.pcast(x, axis, to="varying")
            return jax.lax.pmean(mean(eqx.combine(arrays, rest), own, own_x), axis)

        everywhere = PartitionSpec()
        shards = jax.shard_map(on_a_device, mesh=self.mesh, in_specs=everywhere, out_specs=everywhere)
        return shards(arrays, self.parts, x)


def _value(energy: Energy, x: Position) -> Any:
    return energy.value(x)


def _grad(energy: Energy, x: Position) -> Any:
    return energy.grad(x)


def _examples(where: str, flow: Flow) -> MeanOverExamples:
    energy = flow.energy.smooth
    if not isinstance(energy, MeanOverExamples):
        raise TypeError(
            f"{where}: the flow's energy must be a mean over examples, FiniteSum(loss, data) say, got "
            f"{type(energy).__name__}; in a tuple of oracles minibatches come first"
        )
    return energy
