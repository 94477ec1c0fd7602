"""Brownian paths that runs can share: the flow's and its discretizations'."""

from typing import Any

import diffrax as dfx
import jax
import jax.numpy as jnp

from .aliases import Position, StepLength, Time
from .checks import check_positive, in_a_line
from .flow import Flow
from .numerics import Number, dtype_of
from .start import prepare
from .told import Told


class BrownianPath(Told):
    """One realized Brownian motion over [t0, t1], to be shared by a flow and its discretizations.

    Args:
        flow: the flow that it drives; says how many dimensions it has.
        x0: the initial position.
        t0: the start [T].
        t1: the end [T].
        key: a key made by `jax.random.key`.
        resolution: times closer than this are not told apart [T]; (t1 − t0)/2¹⁶ unless given.

    Raises:
        TypeError: if the flow has no noise.
        ValueError: if the times are out of order.

    References:
        J. G. Gaines, T. J. Lyons, Variable step size control in the numerical solution of stochastic differential
        equations, SIAM J. Appl. Math. 57, 1997: the tree by which a path is refined.
        P. Kidger, On Neural Differential Equations, PhD thesis, University of Oxford, 2021, for the virtual one.

    Example:
        >>> import jax, gradientflow as gf
        >>> flow = gf.Langevin(gf.landscapes.double_well(), temperature=0.1)
        >>> path = gf.BrownianPath(flow, [1.0, 0.0], 0.0, 1.0, jax.random.key(0))
        >>> path.increment(0.0, 0.5).shape
        (2,)
    """

    tree: dfx.VirtualBrownianTree

    def __init__(
        self, flow: Flow, x0: Position, t0: Number, t1: Number, key: Any, resolution: Number | None = None
    ) -> None:
        flow, z0 = prepare("BrownianPath", flow, x0, None)
        shape = flow.brownian(z0)
        if shape is None:
            raise TypeError(f"BrownianPath: {type(flow).__name__} has no noise")
        check_positive("BrownianPath", duration=float(t1) - float(t0))
        resolution = (float(t1) - float(t0)) / 2**16 if resolution is None else resolution
        dtype = dtype_of(z0)
        self.tree = dfx.VirtualBrownianTree(
            jnp.asarray(t0, dtype), jnp.asarray(t1, dtype), jnp.asarray(resolution, dtype),
            shape=jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), shape),
            key=check_key("BrownianPath", flow, key), levy_area=dfx.SpaceTimeLevyArea,
        )  # fmt: skip

    def increment(self, t0: Time, t1: Time) -> Any:
        """W(t1) − W(t0); an end that is off by rounding is the path's own."""
        end = jnp.asarray(self.tree.t1)
        close = jnp.abs(t1 - end) <= 64 * jnp.finfo(end.dtype).eps * (jnp.abs(end) + jnp.abs(self.tree.t0))
        return self.tree.evaluate(t0, jnp.where(close, end, t1))

    def check_step(self, where: str, h: StepLength) -> None:
        """Refuses steps that the path does not tell apart: their increments would be too small, and correlated.

        Raises:
            ValueError: with the step and the resolution.
        """
        if float(h) < float(self.tree.tol):
            raise ValueError(
                f"{where}: a `step` of {float(h):.4g} is below the Brownian path's resolution, "
                f"{float(self.tree.tol):.4g}; make the path with a finer `resolution`"
            )

    def check_fits(self, where: str, shape: Any) -> None:
        """Refuses a flow that another Brownian motion drives.

        Raises:
            ValueError: with both shapes.
        """
        ours, theirs = ([leaf.shape for leaf in jax.tree.leaves(tree)] for tree in (self.tree.shape, shape))
        if ours != theirs:
            raise ValueError(f"{where}: the Brownian path in `key` has shape {ours}, and the flow needs {theirs}")


def check_key(where: str, noisy: Any, key: Any) -> Any:
    """The key, if it is one.

    Args:
        where: who asks.
        noisy: what has noise: a flow, or what perturbs one.
        key: the key.

    Raises:
        TypeError: saying how to make one.
    """
    if key is None:
        raise TypeError(f"{where}: {type(noisy).__name__} has noise; give `key=jax.random.key(0)`")
    if not (isinstance(key, jax.Array) and (jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or key.dtype == jnp.uint32)):
        raise TypeError(f"{where}: `key` must be made by jax.random.key(seed), got {in_a_line(key)}")
    one = () if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else (2,)
    if key.shape != one:
        raise ValueError(
            f"{where}: `key` must be one key, got an array of them, of shape {key.shape}; one run a key by "
            f"jax.vmap(lambda key: {where}(…, key=key))(keys)"
        )
    return key
