"""Schemes for flows with noise."""

from typing import Any, ClassVar

from gradientflow.flows import Flow

from .discretizer import Discretizer


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

    def step(self, flow: Flow, t: Any, z: Any, h: Any, *, noise: Any = None, memory: Any = None) -> Any:
        """Z + h f(t, z) + σ(t, z) ΔW; without noise, the mean of that."""
        drifted = z + h * flow.drift(t, z)
        diffusion = flow.diffusion(t, z)
        return drifted if noise is None else drifted + diffusion(noise)
