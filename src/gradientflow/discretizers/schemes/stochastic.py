"""Schemes for flows with noise."""

from typing import Any, ClassVar

from gradientflow.flows import Flow, LinearEnergy, UnansweredQuestionError, exact_transition, with_energy
from gradientflow.flows.aliases import Increment, State, StepLength, Time

from ..discretizer import Discretizer


class EulerMaruyama(Discretizer):
    r"""Euler–Maruyama: $z' = z + h f(t, z) + \sigma(t, z)\,\Delta W$ (Itô).

    Of Langevin: the unadjusted Langevin algorithm.

    Strong order 1 for additive noise, 1/2 otherwise; weak order 1. Stationary variance on a mode λ: (T/λ)/(1 − hλ/2).

    References:
        G. Maruyama, Continuous Markov processes and stochastic equations, 1955.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.Langevin(gf.Mode(1.0), temperature=0.5)
        >>> float(gf.EulerMaruyama().step(flow, 0.0, 1.0, 0.25, noise=2.0))
        2.75
    """

    equation: ClassVar[str] = "z' = z + h f(t, z) + σ(t, z) ΔW"
    order: ClassVar[int | None] = 1

    def step(
        self, flow: Flow, t: Time, z: State, h: StepLength, *, noise: Increment = None, memory: Any = None
    ) -> State:
        """The sum z + h f(t, z) + σ(t, z) ΔW; without noise, the mean of that."""
        drifted = z + h * flow.drift(t, z)
        diffusion = flow.diffusion(t, z)
        return drifted if noise is None else drifted + diffusion(noise)


class LeimkuhlerMatthews(Discretizer):
    r"""Leimkuhler–Matthews: $z' = z + h f(t, z) + \tfrac12\sigma(\Delta W_{k-1} + \Delta W_k)$, for additive noise.

    Euler–Maruyama with half of each increment held back for the next step, at no cost. Of overdamped Langevin its
    stationary law is biased by O(h²) where that of unadjusted Langevin is by O(h), and not at all on quadratics; of
    kinetic Langevin by O(h). Weak order 1 at finite times.
    Beside a flow on the same Brownian path it lags half a step. It is BAOAB of kinetic Langevin at infinite friction.

    The memory is the last increment, 0 at the start.

    Raises:
        UnansweredQuestionError: by a flow without noise, or with noise that changes with the state.

    References:
        B. Leimkuhler, C. Matthews, Rational construction of stochastic numerical methods for molecular sampling,
        Appl. Math. Res. Express 2013.
        B. Leimkuhler, C. Matthews, M. V. Tretyakov, On the long-time integration of stochastic gradient systems,
        Proc. R. Soc. A 470, 2014.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.Langevin(gf.Mode(1.0), temperature=0.5)
        >>> gf.LeimkuhlerMatthews().step(flow, 0.0, 1.0, 0.25, noise=2.0, memory=1.0)
        (2.25, 2.0)
    """

    equation: ClassVar[str] = "z' = z + h f(t, z) + σ (ΔW₋₁ + ΔW)/2"

    def init(self, flow: Flow, t: Time, z: State, h: StepLength) -> Any:
        """No increment yet."""
        flow.diffusion(t, z)
        if flow.noise is not None and not flow.noise.additive:
            raise UnansweredQuestionError(flow, "diffusion", "its noise changes with the state, and half comes late")
        return 0 * flow.brownian(z)

    def step(
        self, flow: Flow, t: Time, z: State, h: StepLength, *, noise: Increment = None, memory: Any = None, **_: Any
    ) -> State:
        """The sum z + h f(t, z) + σ(ΔW₋₁ + ΔW)/2, and the increment; without noise, the mean of that."""
        drifted = z + h * flow.drift(t, z)
        return (drifted, memory) if noise is None else (drifted + flow.diffusion(t, z)(memory + noise) / 2, noise)


class ExponentialEuler(Discretizer):
    r"""The force frozen over the step, all else solved exactly: exponential Euler, with noise or without.

    Of kinetic Langevin the friction, the drift and both Gaussians of position and velocity are exact at the constant
    force $-\nabla E(x_k)$; of overdamped Langevin it is Euler–Maruyama, of the gradient flow forward Euler.

    Order 1.

    References:
        X. Cheng, N. S. Chatterji, P. L. Bartlett, M. I. Jordan, Underdamped Langevin MCMC: a non-asymptotic analysis,
        COLT 2018, section 2.

    Example:
        >>> import gradientflow as gf
        >>> ball = gf.HeavyBallFlow(gf.energy(lambda x: x**2 / 2), mass=1.0, friction=1.0)
        >>> round(float(gf.ExponentialEuler().step(ball, 0.0, ball.init(1.0), 1.0).x), 4)
        0.6321
    """

    equation: ClassVar[str] = "z' = the exact transition at the constant force −∇E(x)"
    order: ClassVar[int | None] = 1

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, *, noise: Increment = None, **_: Any) -> State:
        """The transition, or without noise the solution, of the flow of the energy's tangent at x."""
        tangent = LinearEnergy(flow.energy.grad(flow.position(z)))
        frozen = with_energy(flow, tangent)
        return frozen.solution(t, z, h) if noise is None else exact_transition(frozen, t, z, h, noise)

    def increments(self, flow: Flow, z: State) -> int:
        """As many as the flow's transition takes."""
        return 1 if flow.noise is None else flow.noise.parts
