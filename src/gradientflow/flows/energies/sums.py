"""Finite sums: means over examples, of which a minibatch is the mean over some."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..aliases import Position
from ..checks import in_a_line, real_arrays
from ..numerics import as_floating, is_concrete
from .energy import Energy


class MeanOverExamples(Energy):
    r"""An energy that is a mean over N examples, $E = \frac1N\sum_i E_i$, and so has minibatches.

    A subclass defines `count` and `subset`. What every example shares, a penalty say, belongs to each $E_i$.

    References:
        L. Bottou, F. E. Curtis, J. Nocedal, Optimization methods for large-scale machine learning, SIAM Rev. 60, 2018.

    Example:
        >>> import jax.numpy as jnp, gradientflow as gf
        >>> class Mean(gf.MeanOverExamples):
        ...     points: jnp.ndarray
        ...     count = property(lambda self: len(self.points))
        ...     def value(self, x):
        ...         return jnp.mean((x - self.points) ** 2) / 2
        ...     def subset(self, indices):
        ...         return Mean(self.points[self.checked(indices)])
        >>> E = Mean(jnp.arange(4.0))
        >>> float(E.grad(0.0)), float(E.subset([0, 1]).grad(0.0)), E.losses(1.0).tolist()
        (-1.5, -0.5, [0.5, 0.0, 0.5, 2.0])
    """

    @property
    @abc.abstractmethod
    def count(self) -> int:
        """N, the number of examples."""

    @abc.abstractmethod
    def subset(self, indices: Any) -> Energy:
        """The mean over the examples with these indices, an array of shape (B,); repeated ones count again."""

    def checked(self, indices: Any) -> jax.Array:
        """Indices of examples as an array.

        Raises:
            TypeError: if they aren't integers.
            IndexError: if there are no such examples; where indices are traced nobody can tell.
        """
        array = jnp.asarray(indices)
        if not jnp.issubdtype(array.dtype, jnp.integer):
            raise TypeError(f"{type(self).__name__}.subset: `indices` must be integers, got {indices}")
        if is_concrete(array) and array.size and not (-self.count <= int(array.min()) <= int(array.max()) < self.count):
            raise IndexError(
                f"{type(self).__name__}.subset: `indices` must be of the {self.count} examples, got {int(array.min())} "
                f"to {int(array.max())}"
            )
        return array

    def losses(self, x: Position) -> Any:
        """What every example contributes, $E_i(x)$, of shape (N,)."""
        return jax.vmap(lambda i: self.subset(i[None]).value(x))(jnp.arange(self.count))


class FiniteSum(MeanOverExamples):
    r"""$E(x) = \frac1N\sum_i \ell(x, d_i)$: the mean over data of a loss.

    Args:
        loss: ℓ(x, example) → a real scalar.
        data: a pytree of arrays with a common leading axis of length N ≥ 1; an example is one slice of it. So is
            a tuple, of inputs and targets say, each of which may be a list; a list of lists is one array.

    Raises:
        TypeError: if `loss` is no function, or `data` holds anything but numbers.
        ValueError: if the leaves' leading axes differ or are empty.

    References:
        L. Bottou, F. E. Curtis, J. Nocedal, Optimization methods for large-scale machine learning, SIAM Rev. 60, 2018.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.FiniteSum(lambda x, d: (x - d) ** 2, [1.0, 3.0])
        >>> float(E(2.0))
        1.0
    """

    loss: Callable[[Any, Any], Any]
    data: Any

    def __init__(self, loss: Callable[[Any, Any], Any], data: Any) -> None:
        if not callable(loss):
            raise TypeError(
                f"FiniteSum: `loss` must be a function of the position and an example, got {in_a_line(loss)}"
            )
        self.loss = loss
        # Of a position nothing tells a tuple of lists from an array of their rows; here the rows would be the examples.
        parts = type(data) is tuple and any(isinstance(part, (list, tuple)) for part in data)
        convert = (lambda tree: tuple(map(as_floating, tree))) if parts else as_floating
        self.data = real_arrays("FiniteSum", "data", data, convert)
        lengths = {leaf.shape[0] if leaf.ndim else 0 for leaf in jax.tree.leaves(self.data)}
        if len(lengths) != 1 or lengths == {0}:
            raise ValueError(
                f"FiniteSum: every array in `data` must have one common, non-empty leading axis, got {lengths}"
            )

    @property
    def count(self) -> int:
        """N, the number of examples."""
        return jax.tree.leaves(self.data)[0].shape[0]

    def losses(self, x: Position) -> Any:
        """The loss of every example.

        Raises:
            ValueError: if that is not one number each.
        """
        return self._each(x)

    def _each(self, x: Position) -> Any:
        each = jax.vmap(self.loss, in_axes=(None, 0))(x, self.data)
        if jnp.shape(each) != (self.count,):
            raise ValueError(
                f"FiniteSum: `loss` must return one real scalar for one example, got shape {jnp.shape(each)[1:]}; sum "
                "or average its terms"
            )
        return each

    def value(self, x: Position) -> Any:
        """The mean loss."""
        return jnp.mean(self._each(x))

    def subset(self, indices: Any) -> Energy:
        """The finite sum over these slices of the data."""
        indices = self.checked(indices)
        some = jax.tree.map(lambda leaf: leaf[indices], self.data)
        return eqx.tree_at(lambda energy: energy.data, self, some)
