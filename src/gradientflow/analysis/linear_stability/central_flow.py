"""The central flow: where a method goes on average that oscillates at the edge of its stability."""

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gradientflow.discretizers import (
    AveragesEuler,
    ConstantStep,
    Discretizer,
    ForwardEuler,
    Method,
    MomentumEuler,
    as_step_rule,
)
from gradientflow.flows import (
    Energy,
    Flow,
    GradientFlow,
    HeavyBallFlow,
    Vector,
    check_integer,
    compiled,
    is_concrete,
    norms,
)
from gradientflow.flows.catalogue.adaptive.held import AdaptiveFlow
from gradientflow.flows.numerics import zeros_like

from .arrays import spectral_radii
from .reading import Recipe

# Rounds of a subspace iteration from which a frame starts, and of the splitting by which the covariance is found.
_ROUNDS, _SPLITTINGS = 60, 80
# Of schemes of these the position oscillates where the gradient is asked for.
_SCHEMES = (ForwardEuler, MomentumEuler, AveragesEuler)
_SEED = 0


class CentralState(Vector):
    """A state of the method, and the directions of largest curvature there.

    Attributes:
        z: the state of the method's own flow.
        frame: k orthonormal vectors over the raveled position, shape (k, n).
    """

    z: Any
    frame: Any


class CentralFlow(Flow):
    r"""The path about which a method oscillates at the edge of its stability.

    With Φ a step of length h, read off the method's own code, $\dot z = \big(\Phi(z) + \tfrac12D^2\Phi(z)[\Sigma] -
    z\big)/h$: the mean of Φ over oscillations of the position with covariance Σ. These push the curvature down: of
    gradient descent it is $\dot x = -\nabla(E + \tfrac12\langle\nabla^2E, \Sigma\rangle)$. Σ lives on the k directions
    U of largest curvature, in coordinates of the preconditioner P where the method has one,
    $\Sigma = P^{-1/2}UXU^\top P^{-1/2}$. X ⪰ 0 is the least that keeps the method at its edge: with λ* the curvature
    on which its step becomes unstable, $S = \lambda^*I - U^\top P^{-1/2}\nabla^2E\,P^{-1/2}U$ is ⪰ 0 a step later, and
    ⟨X, S⟩ = 0. Below the edge nothing oscillates.

    Forward Euler with the method's own h is, below the edge, the method to rounding, and past it the method without its
    oscillation. A solver follows the flow as it would follow the gradient flow, half a step's curvature of path away.

    The state is (z, U); U is held on the leading eigenvectors by one round of subspace iteration a step.

    A run reaches the edge some time before its oscillation has grown from rounding, and overshoots meanwhile: there
    this flow is ahead of it. It is derived for oscillations so small that E is cubic over them; where they come in
    bursts, as momentum's do, it says less.

    Args:
        method: gradient descent, momentum, RMSprop, Adam, … with a constant learning rate.
        modes: k, how many directions may be at the edge together.

    Raises:
        TypeError: for methods of another kind, and steps that change.
        ValueError: if the method is stable on every curvature, or `modes` is no positive integer, or more than there
            are unknowns.

    References:
        J. Cohen, A. Damian, A. Talwalkar, J. Z. Kolter, J. D. Lee, Understanding optimization in deep learning with
        central flows, ICLR 2025.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.energy(lambda x: x[1] * x[0] ** 2 / 2 - x[1] / 100)  # the curvature x₁ grows at speed 1/100
        >>> central = gf.CentralFlow(gf.optimizers.gradient_descent(E, lr=0.5), modes=1)
        >>> end = gf.iterate(central, gf.ForwardEuler(), [0.0, 3.9], step=0.5, steps=50)
        >>> central.edge, end.x[-1].round(4).tolist()  # and stays at 2/h
        (4.0, [0.0, 4.0])
        >>> round(float(central.covariance(end.t[-1], end.state[-1])[0, 0]), 4)  # held by x₀² = 2/100 in the mean
        0.02
    """

    equation: ClassVar[str] = "ż = (Φ(z) + ½D²Φ(z)[Σ] − z)/h, Σ ⪰ 0 the least that keeps it at the edge"
    flow: Flow
    discretizer: Discretizer
    step: Any
    edge: Any
    modes: int = eqx.field(static=True)

    def __init__(self, method: Method, modes: int = 3) -> None:
        check_integer("CentralFlow", 1, modes=modes)
        if not isinstance(method, Method):
            raise TypeError(f"CentralFlow: `method` must be one such as optimizers.adam(E, lr), got {method!r}")
        rule, kinds = as_step_rule(method.step), (GradientFlow, HeavyBallFlow)
        known = type(method.flow) in kinds or isinstance(method.flow, AdaptiveFlow)
        if not (known and type(method.discretizer) in _SCHEMES):
            raise TypeError(
                "CentralFlow: `method` must be gradient descent, momentum, AdaGrad, RMSprop, Adam or AdamW, got "
                f"{method.name}"
            )
        if not isinstance(rule, ConstantStep) or callable(getattr(method.flow, "rate", None)):
            raise TypeError("CentralFlow: `method` must have a constant learning rate, got a schedule or a step rule")
        if not is_concrete(rule.h):
            raise TypeError(
                "CentralFlow: the method's learning rate must be known, for its edge is read off the step; make the "
                "flow outside of jit, vmap and grad"
            )
        self.flow, self.discretizer, self.step, self.modes = method.flow, method.discretizer, rule.h, int(modes)
        self.edge = _least_unstable_curvature(method, float(rule.h))

    @property
    def energy(self) -> Energy:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The method's."""
        return self.flow.energy

    def init(self, x: Any) -> CentralState:
        """The method's start at x, and the directions of largest curvature a step later, by subspace iteration."""
        return self.along(0.0, self.flow.init(x))

    def along(self, t: Any, z: Any) -> CentralState:
        """Its state at a state of the method, a row `run.state[k]` of a run at the time `run.t[k]` say.

        Raises:
            ValueError: if there are more modes than unknowns.
        """
        flat, _ = ravel_pytree(self.flow.position(z))
        if flat.size < self.modes:
            raise ValueError(f"CentralFlow: `modes` is {self.modes}, and the position has {flat.size} unknowns")
        return CentralState(z, _leading(self, jnp.asarray(t, flat.dtype), z))

    def position(self, z: CentralState) -> Any:
        """The method's."""
        return self.flow.position(z.z)

    def velocity(self, z: CentralState) -> Any:
        """The method's."""
        return self.flow.velocity(z.z)

    def check_start(self, t: Any, z: CentralState) -> None:
        """As the method's flow."""
        self.flow.check_start(t, z.z)

    def drift(self, t: Any, z: CentralState) -> CentralState:
        """The mean step over h, and the frame's round of subspace iteration over h."""
        _, _, mean, frame = self._mean_step(t, z)
        return (CentralState(mean, frame) - z) / self.step

    def covariance(self, t: Any, z: CentralState) -> Any:
        """X, the covariance of the oscillation on the frame [X²], in the coordinates of P: shape (k, k)."""
        return self._mean_step(t, z)[0]

    def spread(self, t: Any, z: CentralState) -> Any:
        """tr Σ, the mean square of the oscillation's distance from the path [X²]."""
        X, shifts, _, _ = self._mean_step(t, z)
        return jnp.einsum("an,ab,bn->", shifts, X, shifts)

    def leading(self, t: Any, z: Any) -> Any:
        """The directions of largest curvature a step later, by subspace iteration from random ones."""
        flat, _ = ravel_pytree(self.flow.position(z))
        root = self._root(t + self.step, self._after(t, z))

        def again(_: Any, frame: Any) -> Any:
            return jnp.linalg.qr(self._curved(z, root, frame).T)[0].T

        start = jax.random.normal(jax.random.key(_SEED), (self.modes, flat.size), flat.dtype)
        return jax.lax.fori_loop(0, _ROUNDS, again, start)

    def _mean_step(self, t: Any, z: CentralState) -> tuple[Any, Any, Any, Any]:
        """X, the oscillations on which it stands, the mean state after a step, and the frame there."""
        before, k = z.z, self.modes
        after = self._after(t, before)
        root = self._root(t + self.step, after)
        frame = norms.Spectral().steepest(self._curved(after, root, z.frame))
        shifts = root * frame
        moved = [_at_position(before, self._unravel(before)(shift)) for shift in shifts]
        step = functools.partial(self._after, t)

        def second(a: int, b: int) -> Any:
            along = jax.jvp(lambda state: jax.jvp(step, (state,), (moved[a],))[1], (before,), (moved[b],))[1]
            return jax.tree.map(lambda leaf: leaf / 2, along)

        def curvatures(state: Any) -> Any:
            return frame @ self._curved(state, self._root(t + self.step, state), frame).T

        pairs = [(a, b) for a in range(k) for b in range(a, k)]
        pushes = {pair: second(*pair) for pair in pairs}
        now, along = jax.linearize(curvatures, after)
        response = {pair: along(push) for pair, push in pushes.items()}
        B = -jnp.stack([jnp.stack([response[min(a, b), max(a, b)] for b in range(k)]) for a in range(k)])
        B = jnp.moveaxis((B + jnp.swapaxes(B, -1, -2)) / 2, (0, 1), (2, 3))
        X = _complement(B, self.edge * jnp.eye(k, dtype=now.dtype) - (now + now.T) / 2)
        mean = after
        for (a, b), push in pushes.items():
            mean = mean + (1 if a == b else 2) * X[a, b] * push
        return X, shifts, mean, frame

    def _after(self, t: Any, z: Any) -> Any:
        return self.discretizer.step(self.flow, t, z, self.step)

    def _root(self, t: Any, z: Any) -> Any:
        """P^{−1/2} over the raveled position; 1 without a preconditioner."""
        if not isinstance(self.flow, AdaptiveFlow):
            return jnp.ones((), ravel_pytree(self.flow.position(z))[0].dtype)
        inverse, _ = ravel_pytree(self.flow.inverse_preconditioner(t, z))
        # Where no gradient has ever been there is nothing to divide by, and no curvature either.
        return jnp.sqrt(jnp.where(jnp.isfinite(inverse), inverse, 0))

    def _curved(self, z: Any, root: Any, frame: Any) -> Any:
        """P^{−1/2} H P^{−1/2} times every vector of a frame."""
        x = self.flow.position(z)
        unravel = self._unravel(z)
        return jax.vmap(lambda v: root * ravel_pytree(self.energy.hvp(x, unravel(root * v)))[0])(frame)

    def _unravel(self, z: Any) -> Callable[[Any], Any]:
        return ravel_pytree(self.flow.position(z))[1]


@compiled
def _leading(flow: CentralFlow, t: Any, z: Any) -> Any:
    return flow.leading(t, z)


def _at_position(z: Any, shift: Any) -> Any:
    """A tangent of a state that moves the position alone."""
    if not hasattr(z, "x"):
        return jax.tree.unflatten(jax.tree.structure(z), jax.tree.leaves(shift))
    return eqx.tree_at(lambda state: jax.tree.leaves(state.x), zeros_like(z), jax.tree.leaves(shift))


def _complement(B: Any, S: Any) -> Any:
    """The X ⪰ 0 with S + BX ⪰ 0 and ⟨X, S + BX⟩ = 0, by Douglas–Rachford splitting; 0 where S ⪰ 0."""
    k = len(S)
    matrix = B.reshape(k * k, k * k)
    # What moves a preconditioner may make B a little indefinite: then with shorter steps.
    size, least = jnp.linalg.norm(matrix, 2), jnp.linalg.eigvalsh((matrix + matrix.T) / 2)[0]
    gamma = 3 / jnp.where(size == 0, 1, jnp.maximum(size, -6 * least))
    resolvent = jnp.linalg.inv(jnp.eye(k * k, dtype=S.dtype) + gamma * matrix)

    def again(_: Any, y: Any) -> Any:
        X = _semidefinite(y)
        return y + (resolvent @ (2 * X - y - gamma * S).reshape(k * k)).reshape(k, k) - X

    X = _semidefinite(jax.lax.fori_loop(0, _SPLITTINGS, again, jnp.zeros_like(S)))
    return jnp.where(jnp.linalg.eigvalsh(S)[0] >= 0, 0, X)


def _semidefinite(matrix: Any) -> Any:
    values, vectors = jnp.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * jnp.maximum(values, 0)) @ vectors.T


def _least_unstable_curvature(method: Method, h: float) -> float:
    """The least curvature (of P⁻¹H) on which the method's step multiplies an error by more than 1, by bisection.

    Raises:
        ValueError: if there is none.
    """
    flow = method.flow.held() if isinstance(method.flow, AdaptiveFlow) else method.flow
    on_arrays = Recipe(flow, method.discretizer).on_arrays

    def radius(curvatures: Any) -> Any:
        return spectral_radii(on_arrays, curvatures, np.full_like(curvatures, h))

    tried = np.geomspace(1e-3, 1e6, 2000) / h
    unstable = radius(tried) > 1 + 1e-9
    if not unstable.any():
        raise ValueError(f"CentralFlow: {method.name} is stable on every curvature, so that it has no edge")
    low, high = tried[max(int(np.argmax(unstable)) - 1, 0)], tried[int(np.argmax(unstable))]
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (low, middle) if radius(np.array([middle]))[0] > 1 else (middle, high)
    return float(low)
