"""The heavy ball: a mass in the energy's landscape with linear friction."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from .checks import check_nonnegative, check_positive
from .energies import AbstractQuadratic, Composite, Energy
from .flow import Flow, Parts
from .inertial import Force, Friction, Inertial, Transport
from .numerics import inner
from .resolvent import prox
from .vectors import Phase, lower


class HeavyBall(Inertial):
    r"""Heavy ball with friction: $m\ddot x + \gamma\dot x + \nabla E(x) = 0$.

    State `Phase(x, v)`, both shaped like the position. Units: x [X], t [T], E [M X²/T²], m [M], γ [M/T].
    Lyapunov function: $V = E(x) + \tfrac m2\|v\|^2$ with $\dot V = -\gamma\|v\|^2$.
    As m → 0 the positions follow $\gamma\dot x = -\nabla E$, the overdamped limit.

    Parts: `transport` ẋ = v, `friction` v̇ = −(γ/m)v, `force` v̇ = −∇E(x)/m. Of a `Composite` energy f + g: `transport`
    ẋ = v, v̇ ∈ −∂g(x)/m, `friction`, `force` v̇ = −∇f(x)/m.

    Args:
        energy: the potential E.
        mass: m > 0.
        friction: γ ≥ 0; $2\sqrt{m\lambda}$ damps the mode of curvature λ critically.

    Raises:
        ValueError: if `mass` is not positive or `friction` is negative.

    References:
        B. T. Polyak, Some methods of speeding up the convergence of iteration methods, 1964.

    Example:
        >>> import gradientflow as gf
        >>> ball = gf.HeavyBall(gf.energy(lambda x: x**2), mass=2.0)
        >>> float(ball.drift(0.0, gf.Phase(3.0, 0.0)).v)
        -3.0
    """

    equation: ClassVar[str] = "mẍ + γẋ + ∇E(x) = 0"
    energy: Energy
    mass: Any
    friction: Any

    def __init__(self, energy: Energy, mass: Any = 1.0, friction: Any = 1.0) -> None:
        self.energy, self.mass, self.friction = energy, mass, friction
        check_positive("HeavyBall", mass=mass)
        check_nonnegative("HeavyBall", friction=friction)

    def drift(self, t: Any, z: Phase) -> Phase:
        """(v, −(γv + ∇E(x))/m)."""
        return Phase(z.v, -(self.friction * z.v + self.gradient(z.x)) / self.mass)

    def resolvent(self, t: Any, z: Phase, h: Any) -> Phase:
        """One proximal step: x' = prox of h²/(m + γh)·E at x + hmv/(m + γh), and v' = (x' − x)/h."""
        inertia = self.mass + self.friction * h
        x = prox(self.energy, z.x + z.v * (h * self.mass / inertia), h * h / inertia)
        return Phase(x, (x - z.x) / h)

    @property
    def parts(self) -> Mapping[str, Flow]:
        """`transport`, `friction` and `force`."""
        return inertial_parts(self, self.mass, Friction(self.energy, self.friction / self.mass))

    def solution(self, t: Any, z: Phase, h: Any) -> Phase:
        """The damped oscillation of every mode of a quadratic: under-, critically or over-damped."""
        if not isinstance(self.energy, AbstractQuadratic):
            return Flow.solution(self, t, z, h)
        lam, modes = self.energy.modes
        a, k = self.friction / (2 * self.mass), lam / self.mass
        cosine, sine, work = damped_oscillation(a, k, h)
        push = -(modes.T @ self.gradient(z.x)) / self.mass
        v = modes.T @ z.v
        return Phase(z.x + modes @ (v * sine + push * work), modes @ (v * (cosine - a * sine) + push * sine))

    def lyapunov(self, t: Any, z: Phase) -> Any:
        """E(x) + m‖v‖²/2."""
        return self.energy.value(lower(z.x)) + self.mass * inner(z.v, z.v) / 2


def inertial_parts(flow: Inertial, mass: Any, friction: Inertial) -> Parts:
    """`transport`, `friction` and `force`; of a composite energy f + g the force is f's, and the transport feels g.

    A step of backward Euler of that transport, ẋ = v, mv̇ ∈ −∂g(x), is a proximal step on g.
    """
    E = flow.energy
    if isinstance(E, Composite):
        return Parts(flow, transport=HeavyBall(E.nonsmooth, mass, 0), friction=friction, force=Force(E.smooth, mass))
    return Parts(flow, transport=Transport(E), friction=friction, force=Force(E, mass))


def damped_oscillation(a: Any, k: Any, h: Any) -> tuple[Any, Any, Any]:
    r"""C, S and ∫S over h for $\ddot y + 2a\dot y + ky = 0$, with S(0) = 0, S'(0) = 1 and C = S' + aS.

    Written with e^{−(a−s)h}, s = √(a² − k), factored out, so that neither large damping nor a long time overflows.
    """
    discriminant = a * a - k
    s = jnp.sqrt(jnp.abs(discriminant))
    safe = jnp.where(s * h < 1e-6, 1, s)
    slow = jnp.exp(-h * k / jnp.where(a + s == 0, 1, a + s))
    over_cosine, over_sine = slow * (1 + jnp.exp(-2 * s * h)) / 2, -slow * jnp.expm1(-2 * safe * h) / (2 * safe)
    decay = jnp.exp(-a * h)
    under_cosine, under_sine = decay * jnp.cos(s * h), decay * jnp.sin(safe * h) / safe
    over = discriminant > 0
    cosine = jnp.where(over, over_cosine, under_cosine)
    sine = jnp.where(s * h < 1e-6, decay * h, jnp.where(over, over_sine, under_sine))
    # Where nothing pulls back (k = 0), the integral is that of a decaying velocity, or of a constant one.
    rate = jnp.where(a == 0, 1, 2 * a)
    free = jnp.where(a == 0, h * h / 2, (h + jnp.expm1(-rate * h) / rate) / rate)
    work = jnp.where(k == 0, free, (1 - cosine - a * sine) / jnp.where(k == 0, 1, k))
    return cosine, sine, work
