r"""Adaptive optimizers as flows and schemes: AdaGrad, RMSprop, AdaDelta, Adam, AdamW; optax's parameters.

With a learning rate η that is a number the step on the flow's clock is η, and the time over which squares are averaged
$\tau = -\eta/\log\beta$. A schedule at fixed β is no other step of one flow: there the clock counts iterations, and the
schedule is the factor by which the flow moves, constant from one iteration to the next.
"""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from gradientflow.flows import (
    AdaDeltaFlow,
    AdaGradFlow,
    AdamFlow,
    AdamWFlow,
    RMSpropFlow,
    check_nonnegative,
    check_number,
    check_positive,
    energy,
)
from gradientflow.flows.aliases import StepLength, Time
from gradientflow.flows.catalogue.adaptive.held import DecayTime
from gradientflow.flows.checks import in_a_line

from ..running.method import Method, written
from ..schemes.averages import AdaDeltaEuler, AveragesEuler
from ..step_rule import StepRule, as_schedule, at_step


@written("s' = s + (∇E)², x' = x − η∇E/(√(s' + ε) + δ)")
def adagrad(E: Any, lr: Any, eps: Any = 1e-7, initial_accumulator_value: Any = 0.1, floor: Any = 0.0) -> Method:
    r"""AdaGrad, $s' = s + (\nabla E)^2$, $x' = x - \eta\nabla E/(\sqrt{s' + \varepsilon} + \delta)$.

    PyTorch's has its ε outside the root and starts at 0:
    `adagrad(E, lr, eps=0.0, initial_accumulator_value=0.0, floor=1e-10)`.

    Args:
        E: an energy or a callable.
        lr: η > 0, or a schedule k ↦ η.
        eps: ε ≥ 0, inside the root.
        initial_accumulator_value: s(0) ≥ 0.
        floor: δ ≥ 0, outside the root.

    Raises:
        ValueError: if a number is out of its range.

    References:
        J. Duchi, E. Hazan, Y. Singer, Adaptive subgradient methods for online learning and stochastic optimization,
        JMLR 12, 2011.

    Example:
        >>> import gradientflow as gf
        >>> gf.optimizers.adagrad(gf.landscapes.bowl(), lr=0.5).iterate([3.0, 1.0], steps=1).x[-1].round(4)
        Array([2.5028, 0.5003], dtype=...)
    """
    check_nonnegative("adagrad", eps=eps, initial_accumulator_value=initial_accumulator_value)
    h, rate = clock("adagrad", lr)
    flow = AdaGradFlow(energy(E), h, eps, floor, initial_accumulator_value, rate)
    return Method(flow, AveragesEuler(), h)


@written("s' = βs + (1 − β)(∇E)², x' = x − η∇E/(√(s' + ε) + δ)")
def rmsprop(E: Any, lr: Any, decay: Any = 0.9, eps: Any = 1e-8, floor: Any = 0.0) -> Method:
    r"""RMSprop, $s' = \beta s + (1 - \beta)(\nabla E)^2$, $x' = x - \eta\nabla E/(\sqrt{s' + \varepsilon} + \delta)$.

    PyTorch's (β = 0.99) has its ε outside the root: `rmsprop(E, lr, decay=0.99, eps=0.0, floor=1e-8)`; so has optax
    with `eps_in_sqrt=False`.

    Args:
        E: an energy or a callable.
        lr: η > 0, or a schedule k ↦ η.
        decay: β, between 0 and 1.
        eps: ε ≥ 0, inside the root.
        floor: δ ≥ 0, outside the root.

    Raises:
        ValueError: if a number is out of its range.

    References:
        T. Tieleman, G. Hinton, Neural Networks for Machine Learning, lecture 6.5, 2012.

    Example:
        >>> import gradientflow as gf
        >>> gf.optimizers.rmsprop(gf.landscapes.bowl(), lr=0.1).iterate([3.0, 1.0], steps=1).x[-1].round(4)
        Array([2.6838, 0.6838], dtype=...)
    """
    check_nonnegative("rmsprop", eps=eps)
    h, rate = clock("rmsprop", lr)
    flow = RMSpropFlow(energy(E), memory_time("rmsprop", h, decay=decay), eps, floor, rate)
    return Method(flow, AveragesEuler(), h)


@written("v = √(d + ε)∇E/√(s' + ε), x' = x − ηv, d' = ρd + (1 − ρ)v²")
def adadelta(E: Any, lr: Any = 1.0, rho: Any = 0.9, eps: Any = 1e-6) -> Method:
    r"""AdaDelta, $x' = x - \eta v$ with $v = \sqrt{d + \varepsilon}\,\nabla E/\sqrt{s' + \varepsilon}$.

    $s' = \rho s + (1 - \rho)(\nabla E)^2$ and, afterwards, $d' = \rho d + (1 - \rho)v^2$. PyTorch's is the same.

    Args:
        E: an energy or a callable.
        lr: η > 0, or a schedule k ↦ η.
        rho: ρ, between 0 and 1.
        eps: ε > 0, inside both roots.

    Raises:
        ValueError: if a number is out of its range.

    References:
        M. D. Zeiler, ADADELTA: an adaptive learning rate method, arXiv:1212.5701, 2012, algorithm 1.

    Example:
        >>> import gradientflow as gf
        >>> gf.optimizers.adadelta(gf.landscapes.bowl()).iterate([3.0, 1.0], steps=1).x[-1].round(4)
        Array([2.9968, 0.9968], dtype=...)
    """
    check_positive("adadelta", eps=eps)
    h, rate = clock("adadelta", lr)
    flow = AdaDeltaFlow(energy(E), memory_time("adadelta", h, rho=rho), eps, rate)
    return Method(flow, AdaDeltaEuler(), h)


@written("x' = x − ηm̂'/(√(ŝ' + ε₀) + ε), m' and s' averages of ∇E and (∇E)²")
def adam(E: Any, lr: Any, b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8, eps_root: Any = 0.0) -> Method:
    r"""Adam, $x' = x - \eta\,\hat m'/(\sqrt{\hat s' + \varepsilon_0} + \varepsilon)$, with bias corrections.

    $m' = \beta_1 m + (1 - \beta_1)\nabla E$, $s' = \beta_2 s + (1 - \beta_2)(\nabla E)^2$,
    $\hat m_k = m_k/(1 - \beta_1^k)$, $\hat s_k = s_k/(1 - \beta_2^k)$. PyTorch's is the same.

    Args:
        E: an energy or a callable.
        lr: η > 0, or a schedule k ↦ η.
        b1: β₁, between 0 and 1.
        b2: β₂, between 0 and 1.
        eps: ε ≥ 0, outside the root.
        eps_root: ε₀ ≥ 0, inside the root.

    Raises:
        ValueError: if a number is out of its range.

    References:
        D. P. Kingma, J. Ba, Adam: a method for stochastic optimization, ICLR 2015, algorithm 1.

    Example:
        >>> import gradientflow as gf
        >>> gf.optimizers.adam(gf.landscapes.bowl(), lr=0.1).iterate([3.0, 1.0], steps=2).x[-1].round(4)
        Array([2.8001, 0.8004], dtype=...)
    """
    check_nonnegative("adam", eps=eps, eps_root=eps_root)
    h, rate = clock("adam", lr)
    flow = AdamFlow(
        energy(E), memory_time("adam", h, b1=b1), memory_time("adam", h, b2=b2), eps, eps_root, rate
    )  # fmt: skip
    return Method(flow, AveragesEuler(), h)


@written("x' = x − η(m̂'/(√(ŝ' + ε₀) + ε) + wx)")
def adamw(
    E: Any,
    lr: Any,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    weight_decay: Any = 1e-4,
) -> Method:
    r"""AdamW: Adam with decoupled weight decay, $x' = x - \eta(\dots + wx)$.

    Args:
        E: an energy or a callable.
        lr: η > 0, or a schedule k ↦ η.
        b1: β₁, between 0 and 1.
        b2: β₂, between 0 and 1.
        eps: ε ≥ 0, outside the root.
        eps_root: ε₀ ≥ 0, inside the root.
        weight_decay: w ≥ 0; PyTorch's default is 1e-2.

    Raises:
        ValueError: if a number is out of its range.

    References:
        I. Loshchilov, F. Hutter, Decoupled weight decay regularization, ICLR 2019.

    Example:
        >>> import gradientflow as gf
        >>> method = gf.optimizers.adamw(gf.landscapes.bowl(), lr=0.1, weight_decay=0.5)
        >>> method.iterate([3.0, 1.0], steps=1).x[-1].round(4)
        Array([2.75, 0.85], dtype=...)
    """
    h, rate = clock("adamw", lr)
    check_nonnegative("adamw", eps=eps, eps_root=eps_root, weight_decay=weight_decay)
    flow = AdamWFlow(
        energy(E), memory_time("adamw", h, b1=b1), memory_time("adamw", h, b2=b2), eps, eps_root, weight_decay, rate
    )
    return Method(flow, AveragesEuler(), h)


class PerIteration(eqx.Module):
    """A schedule as a function of a clock that counts iterations: over (k, k + 1] it is schedule(k).

    Args:
        schedule: k ↦ factor.
    """

    schedule: Callable[[Any], Any]

    def __call__(self, t: Time) -> Any:
        """The schedule at ⌈t⌉ − 1."""
        return at_step(self.schedule, jnp.maximum(jnp.ceil(t) - 1, 0).astype(int))


def clock(where: str, lr: Any) -> tuple[Any, Any]:
    """The step on the flow's clock, and the factor of the flow's speed."""
    if isinstance(lr, StepRule):
        raise TypeError(f"{where}: `lr` must be a number or a schedule k -> lr, not a step rule, got {in_a_line(lr)}")
    if callable(lr):
        return 1.0, PerIteration(as_schedule(f"{where}, `lr`", lr))
    check_positive(where, lr=lr)
    return lr, 1.0


def memory_time(where: str, h: StepLength, **decay: Any) -> Any:
    """The τ with e^{−h/τ} = β; of an exact β, which has no logarithm, it remembers β.

    Raises:
        ValueError: if β is not between 0 and 1.
    """
    check_number(where, **decay)
    ((name, beta),) = decay.items()
    if not isinstance(beta, (int, float)) and not hasattr(beta, "dtype"):
        return DecayTime(h, beta)
    if not isinstance(beta, (int, float)):
        return -h / jnp.log(jnp.asarray(beta))
    if not 0 < beta < 1:
        raise ValueError(f"{where}: `{name}` must lie between 0 and 1, got {beta}; at 0 nothing is averaged")
    return -h / math.log(beta)
