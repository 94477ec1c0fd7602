"""The line that a line search searches: the energy after a scheme's step, as a function of the step's length."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from gradientflow.flows import Flow, check_energy, dtype_of, is_stochastic, scaled_to_unit
from gradientflow.flows.aliases import State, StepLength, Time

from ..discretizer import Discretizer


class Line(eqx.Module):
    r"""$\varphi(h) = E(x(\Phi_h(z)))$: the energy at the position that a step of length h from z leads to.

    For forward Euler of a flow it is E along a straight line, for other schemes along a curve.

    Attributes:
        flow: the flow.
        discretizer: a scheme without memory.
        t: the time of z.
        z: the state.
    """

    flow: Flow
    discretizer: Discretizer
    t: Any
    z: Any

    def length(self, h: StepLength) -> jax.Array:
        """A rule's number in the state's precision, which loops over trials need."""
        return jnp.asarray(h, dtype_of(self.z))

    def start(self) -> tuple[jax.Array, jax.Array, jax.Array]:
        """φ(0) = E(x), φ'(0)/p and p: ⟨∇E(x), ẋ⟩, the rate of change of E along the flow, over a pace p.

        The pace is of the size of ẋ: where ∇E is large, their product may overflow.
        """
        drift, pace = scaled_to_unit(self._drift())
        energy, slope = jax.jvp(lambda z: self.flow.energy.value(self.flow.position(z)), (self.z,), (drift,))
        return energy, slope, pace

    def velocity(self) -> Any:
        """The position and its velocity ẋ along the flow, as the user's own pytrees."""
        return jax.jvp(self.flow.position, (self.z,), (self._drift(),))

    def value(self, h: StepLength) -> jax.Array:
        """φ(h), +∞ where it is not finite: a step to there is too long."""
        z = self.discretizer.step(self.flow, self.t, self.z, h)
        E = jnp.asarray(self.flow.energy.value(self.flow.position(z)))
        return jnp.where(jnp.isfinite(E), E, jnp.inf)

    def value_and_slope(self, h: StepLength, pace: Any) -> tuple[jax.Array, jax.Array]:
        """φ(h) and φ'(h) over a pace."""
        return jax.jvp(self.value, (h,), (jnp.ones_like(h) / pace,))

    def _drift(self) -> Any:
        return self.flow.drift(self.t, self.z)


def rounding(energy: jax.Array) -> jax.Array:
    """By how much two computed energies of this size may differ and still be the same one."""
    return 4 * jnp.finfo(energy.dtype).eps * jnp.abs(energy)


def check_searchable(where: str, flow: Flow, discretizer: Discretizer, t: Time, z: State) -> None:
    """Refuses what has no energy to search, and what makes a trial step differ from the one taken: memory, noise.

    Raises:
        TypeError: naming which of them it is.
    """
    check_energy(where, flow, "it looks at values along a line: give a step size")
    if is_stochastic(flow, z):
        raise TypeError(f"{where}: {type(flow).__name__} has noise, which no trial step foresees; give a step size")
    if discretizer.init(flow, t, z, jnp.ones((), dtype_of(z))) is not None:
        name = type(discretizer).__name__
        raise TypeError(f"{where}: `discretizer` must be a scheme without memory such as ForwardEuler(), got {name}")
