r"""Optimizers that descend steepest in a norm along an averaged gradient: Muon, Lion, Signum; optax's parameters.

A gradient is averaged over the time $\tau = -\eta/\log\beta$, and the position moves along the steepest direction of
that average, or of what it is to be some steps ahead.
"""

from typing import Any

from gradientflow.flows import SteepestMomentumFlow, check_nonnegative, energy, norms
from gradientflow.flows.checks import in_a_line

from ..running.method import Method, written
from ..schemes.averages import AveragesAhead, AveragesEuler
from .adaptive import clock, memory_time


@written("m' = βm + (1 − β)∇E, x' = x − η(s·NS(βm' + (1 − β)∇E) + wx)", "AveragesAhead of SteepestMomentumFlow")
def muon(
    E: Any,
    lr: Any,
    beta: Any = 0.95,
    eps: Any = 1e-8,
    weight_decay: Any = 0.0,
    nesterov: bool = True,
    consistent_rms: Any = None,
) -> Method:
    r"""Muon: a matrix moves along the polar factor of its averaged gradient, $x' = x - \eta(sUV^\top + wx)$.

    $m' = \beta m + (1 - \beta)\nabla E$, and $U\Sigma V^\top$ is m', or with Nesterov's look ahead $\beta m' + (1 -
    \beta)\nabla E$. The polar factor is five steps of a polynomial, `norms.NewtonSchulz`.

    Leaves of two axes take inputs to outputs, xW; a vector moves along its unit vector (libraries give vectors to
    Adam). s = √max(1, n/m) for a matrix of shape (m, n); with `consistent_rms` r it is r√max(m, n), and then learning
    rate and weight decay are AdamW's for r = 0.2. PyTorch's matrices are the transposes of these. No bias is corrected,
    as in PyTorch's: the direction has no size. optax corrects it in what it looks ahead to, which differs from this in
    the first 1/(1 − β) steps; without Nesterov's look ahead both are one.

    Args:
        E: an energy or a callable.
        lr: η > 0, or a schedule k ↦ η.
        beta: β, between 0 and 1.
        eps: ε ≥ 0, added to the Frobenius norm by which a matrix is divided first.
        weight_decay: w ≥ 0.
        nesterov: whether it looks one average ahead.
        consistent_rms: r > 0, or `None`.

    Raises:
        ValueError: if a number is out of its range.
        TypeError: if `nesterov` is neither True nor False.

    References:
        K. Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024.
        J. Liu et al., Muon is scalable for LLM training, arXiv:2502.16982, 2025, for the consistent RMS.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.MatrixLeastSquares([[1.0, 0.0], [0.0, 3.0]], [[1.0, 0.0], [0.0, 1.0]])
        >>> gf.optimizers.muon(E, lr=0.1).iterate([[2.0, 0.0], [0.0, 0.5]], steps=5).energy[-1].round(2)
        Array(1.19, dtype=...)
    """
    h, rate = clock("muon", lr)
    check_nonnegative("muon", eps=eps, weight_decay=weight_decay)
    if not isinstance(nesterov, bool):
        raise TypeError(f"muon: `nesterov` must be True or False, got {in_a_line(nesterov)}")
    scale = norms.WidthTransfer() if consistent_rms is None else norms.ConsistentRMS(consistent_rms)
    norm, tau = norms.NewtonSchulz(scale=scale), memory_time("muon", h, beta=beta)
    flow = SteepestMomentumFlow(energy(E), norm, tau, weight_decay, eps, rate)
    return Method(flow, AveragesAhead(2.0) if nesterov else AveragesEuler(), h)


@written("m' = βm + (1 − β)∇E, x' = x − η(sign m' + wx)")
def signum(E: Any, lr: Any, beta: Any = 0.9, weight_decay: Any = 0.0) -> Method:
    r"""Signum: sign descent along the averaged gradient, $x' = x - \eta(\operatorname{sign} m' + wx)$.

    $m' = \beta m + (1 - \beta)\nabla E$.

    Args:
        E: an energy or a callable.
        lr: η > 0, or a schedule k ↦ η.
        beta: β, between 0 and 1.
        weight_decay: w ≥ 0.

    Raises:
        ValueError: if a number is out of its range.

    References:
        J. Bernstein et al., signSGD: compressed optimisation for non-convex problems, ICML 2018, algorithm 2.

    Example:
        >>> import gradientflow as gf
        >>> gf.optimizers.signum(gf.landscapes.bowl(), lr=0.5).iterate([3.0, 1.0], steps=3).x[-1].tolist()
        [1.5, -0.5]
    """
    h, rate = clock("signum", lr)
    check_nonnegative("signum", weight_decay=weight_decay)
    tau = memory_time("signum", h, beta=beta)
    flow = SteepestMomentumFlow(energy(E), norms.Maximum(), tau, weight_decay, 0.0, rate)
    return Method(flow, AveragesEuler(), h)


@written("x' = x − η(sign(β₁m + (1 − β₁)∇E) + wx), m' = β₂m + (1 − β₂)∇E", "AveragesAhead of SteepestMomentumFlow")
def lion(E: Any, lr: Any, b1: Any = 0.9, b2: Any = 0.99, weight_decay: Any = 1e-3) -> Method:
    r"""Lion: $x' = x - \eta(\operatorname{sign}(\beta_1m + (1 - \beta_1)\nabla E) + wx)$, $m' = \beta_2m + \dots$.

    Signum, but that x moves along what the average would be $\log\beta_1/\log\beta_2$ steps later, were the gradient to
    stay: 10.5 with the usual numbers.

    Args:
        E: an energy or a callable.
        lr: η > 0, or a schedule k ↦ η.
        b1: β₁, between 0 and 1.
        b2: β₂, between 0 and 1.
        weight_decay: w ≥ 0.

    Raises:
        ValueError: if a number is out of its range.

    References:
        X. Chen et al., Symbolic discovery of optimization algorithms, NeurIPS 2023, algorithm 2.

    Example:
        >>> import gradientflow as gf
        >>> lion = gf.optimizers.lion(gf.landscapes.bowl(), lr=0.5, weight_decay=0.0)
        >>> lion.iterate([3.0, 1.0], steps=3).x[-1].tolist(), round(lion.discretizer.ahead, 2)
        ([1.5, -0.5], 10.48)
    """
    h, rate = clock("lion", lr)
    check_nonnegative("lion", weight_decay=weight_decay)
    kept, used = memory_time("lion", h, b2=b2), memory_time("lion", h, b1=b1)
    flow = SteepestMomentumFlow(energy(E), norms.Maximum(), kept, weight_decay, 0.0, rate)
    return Method(flow, AveragesAhead(kept / used), h)
