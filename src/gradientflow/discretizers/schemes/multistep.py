"""Multistep schemes: the slopes, or the states, of the steps before are their memory."""

import functools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, ClassVar

import equinox as eqx

from gradientflow.flows import Flow, all_finite, check_integer
from gradientflow.flows.aliases import State, StepLength, Time

from ..discretizer import Discretizer
from .coefficients import combined, scaled
from .euler import ImplicitMidpoint
from .runge_kutta import RungeKutta

# By the number of steps, a scheme of one order less for the history: its error over one step enters times another h.
_START = ("euler", "euler", "midpoint", "rk3", "rk4")
# Implicit starts are known up to order 2.
_MOST_BACKWARD = 3


class AdamsBashforth(Discretizer):
    r"""Adams–Bashforth: $z_{k+1} = z_k + h\sum_{j<s} b_j f(t_{k-j}, z_{k-j})$.

    The integral over the next step of the polynomial through the last s slopes. Order s, one drift a step. On a mode λ
    of a gradient flow stable iff hλ < 2, 1, 6/11, 3/10 and 90/551 for s = 1, …, 5. The memory is the slopes before,
    newest first. At the start they are those of a history that a Runge–Kutta scheme of order s − 1 finds by going
    backwards from z. The coefficients are those of a constant step: with a schedule the order is 1.

    Args:
        steps: s, from 1 to 5; one step is forward Euler.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if it is not from 1 to 5; from a start that has no past, as adaptive flows at rest.

    References:
        F. Bashforth, J. C. Adams, An Attempt to Test the Theories of Capillary Action, 1883.
        E. Hairer, S. P. Nørsett, G. Wanner, Solving Ordinary Differential Equations I, 2nd ed. 1993, section III.1.

    Example:
        >>> import gradientflow as gf
        >>> gf.AdamsBashforth(2).weights
        (Fraction(3, 2), Fraction(-1, 2))
        >>> gf.stability(gf.GradientFlow(gf.Mode(4.0)), gf.AdamsBashforth(2)).limit
        0.25
    """

    equation: ClassVar[str] = "z' = z + h Σ bⱼ f(t − jh, z₋ⱼ)"

    steps: int = eqx.field(static=True)

    def __init__(self, steps: Any) -> None:
        self.steps = _at_most("AdamsBashforth", len(_START), steps)

    @property
    def order(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The number of steps."""
        return self.steps

    @property
    def weights(self) -> tuple[Fraction, ...]:
        """The weights of the slopes, newest first."""
        return _weights(self.steps)

    def init(self, flow: Flow, t: Time, z: State, h: StepLength) -> Any:
        """The slopes at t − h, t − 2h, …, on a path that leads to z."""
        back, slopes = RungeKutta(_START[self.steps - 1]), []
        for k in range(1, self.steps):
            z = back.step(flow, t - (k - 1) * h, z, -h)
            slopes.append(flow.drift(t - k * h, z))
        return tuple(slopes)

    def check_start(self, flow: Flow, t: Time, z: State, h: StepLength) -> None:
        """Refuses a flow without a past.

        Raises:
            ValueError: if its slopes, going backwards, are not finite.
        """
        if self.steps > 1 and not bool(all_finite(self.init(flow, t, z, h))):
            raise ValueError(
                f"AdamsBashforth: {flow.name} has no past to start from at t = {float(t):g}: going backwards its "
                "slopes are not finite; start later, from another run's `state`"
            )

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, *, memory: Any = None, **_: Any) -> State:
        """The weighted slopes, and the memory without its oldest."""
        slopes = (flow.drift(t, z), *memory)
        return combined(z, h, self.weights, slopes), slopes[:-1]


class BackwardDifferentiation(Discretizer):
    r"""Backward differentiation: $\sum_{j\le s}\alpha_jz_{k+1-j} = hf(t_{k+1}, z_{k+1})$, a resolvent over h/α₀.

    The derivative of the polynomial through the next state and the last s is the slope there:
    $\alpha_0 = \sum_{j\le s}\frac1j$, $\alpha_i = (-1)^i\sum_{j=i}^s\frac1j\binom ji$. Order s. Of a gradient flow two
    steps are $x_{k+1} = \operatorname{prox}_{2h/3}(\tfrac43x_k - \tfrac13x_{k-1})$. On convex quadratics it is stable
    for every h, and what is stiff dies out: on a mode λ its factor tends to 0 as hλ → ∞. The memory is the states
    before, newest first. At the start they are those with which the first steps are backward Euler's, of three steps
    the implicit midpoint rule's, so that a start is as stable as the rest. The coefficients are those of a constant
    step.

    Args:
        steps: s, from 1 to 3; one step is backward Euler.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if it is not from 1 to 3.

    References:
        C. F. Curtiss, J. O. Hirschfelder, Integration of stiff equations, PNAS 38, 1952.
        D. Matthes, S. Plazotta, A variational formulation of the BDF2 method for metric gradient flows, ESAIM: M2AN 53,
        2019, for gradient flows.

    Example:
        >>> import gradientflow as gf
        >>> scheme = gf.discretizers.BackwardDifferentiation(2)
        >>> scheme.weights
        (Fraction(3, 2), Fraction(-2, 1), Fraction(1, 2))
        >>> gf.order(scheme).order, gf.stability(gf.GradientFlow(gf.Mode(1.0)), scheme).limit
        (2, inf)
    """

    equation: ClassVar[str] = "Σ αⱼ z₁₋ⱼ = h f(t + h, z₁)"

    steps: int = eqx.field(static=True)

    def __init__(self, steps: Any) -> None:
        self.steps = _at_most("BackwardDifferentiation", _MOST_BACKWARD, steps)

    @property
    def order(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The number of steps."""
        return self.steps

    @property
    def weights(self) -> tuple[Fraction, ...]:
        """α₀, …, αₛ: of the next state, and of those before, newest first."""
        s = self.steps
        first = sum((Fraction(1, j) for j in range(1, s + 1)), Fraction(0))
        others = ((-1) ** i * sum(Fraction(math.comb(j, i), j) for j in range(i, s + 1)) for i in range(1, s + 1))
        return (first, *others)

    def init(self, flow: Flow, t: Time, z: State, h: StepLength) -> Any:
        """States before z, with which the next steps are those of a scheme of one order less."""
        known, increments = [z], []
        for k in range(1, self.steps):
            if self.steps == 2:
                # Its increment is hf, of a penalty too, which has no drift.
                state = flow.resolvent(t + h, z, h)
                increment = state - z
            else:
                state = ImplicitMidpoint().step(flow, t + (k - 1) * h, known[-1], h)
                increment = h * flow.drift(t + k * h, state)
            known.append(state)
            increments.append(increment)
        # The formula of each of these steps, the last first, says what its oldest state is.
        states, oldest = known[::-1], self.weights[-1]
        for k, increment in enumerate(reversed(increments)):
            within = zip(self.weights[:-1], states[k:], strict=False)
            rest = increment + _weighted([(-weight, state) for weight, state in within])
            states.append(scaled(rest, 1 / oldest))
        return tuple(states[self.steps :])

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, *, memory: Any = None, **_: Any) -> State:
        """The resolvent over h/α₀ of the weighted states, and the memory without its oldest."""
        first, *others = self.weights
        states = (z, *memory)
        known = _weighted([(-weight / first, state) for weight, state in zip(others, states, strict=True)])
        return flow.resolvent(t + h, known, scaled(h, 1 / first)), states[:-1]


def _at_most(name: str, most: int, steps: Any) -> int:
    """A number of steps, checked."""
    check_integer(name, 1, steps=steps)
    if steps > most:
        raise ValueError(f"{name}: `steps` must be at most {most}, got {steps}")
    return int(steps)


def _weighted(terms: Sequence[tuple[Fraction, State]]) -> Any:
    """Σ wᵢzᵢ."""
    total, *others = (scaled(state, weight) for weight, state in terms)
    return sum(others, start=total)


@functools.cache
def _weights(steps: int) -> tuple[Fraction, ...]:
    """The integrals over [0, 1] of the Lagrange polynomials at 0, −1, …, 1 − s."""
    found = []
    for j in range(steps):
        product = [Fraction(1)]  # of the factors u + i for i ≠ j, by rising powers of u
        for i in (i for i in range(steps) if i != j):
            product = [i * a + b for a, b in zip([*product, 0], [0, *product], strict=True)]
        integral = sum((a / (k + 1) for k, a in enumerate(product)), Fraction(0))
        found.append((-1) ** j * integral / (math.factorial(j) * math.factorial(steps - 1 - j)))
    return tuple(found)
