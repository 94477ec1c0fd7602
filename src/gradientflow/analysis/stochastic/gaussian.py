r"""Gaussian laws of linear flows and of their schemes, by linear algebra: no sampling.

A step on a quadratic energy is affine, $s' = As + c + \sum_j B_j\Delta W_j$, in the state with the scheme's memory. A,
c and B are read off the very step that runs, so that mean and covariance follow exactly.
"""

import dataclasses
from typing import Any

import jax
import numpy as np
import scipy.linalg

from gradientflow.discretizers import Discretizer, ExactSolution, check_answers
from gradientflow.flows import (
    Flow,
    Number,
    UnansweredQuestionError,
    as_floating,
    check_integer,
    check_positive,
    is_stochastic,
    looks_at_numbers,
    prepare,
)
from gradientflow.flows.linear.modes import modes_of

from ..results.grades import Measured
from .affine import Affine, read_affine


@dataclasses.dataclass(frozen=True, repr=False)
class GaussianLaw(Measured):
    """A Gaussian law of a flow's state, and with it of the position.

    Attributes:
        mean: of the position, raveled, of shape (n,) [X].
        covariance: of the position, of shape (n, n) [X²].
        state_mean: of the whole state, its leaves one after the other, with the scheme's memory behind it.
        state_covariance: of the same.
    """

    mean: np.ndarray
    covariance: np.ndarray
    state_mean: np.ndarray
    state_covariance: np.ndarray


@looks_at_numbers
def stationary_law(
    flow: Flow, x0: Any, *, discretizer: Discretizer | None = None, step: Number | None = None
) -> GaussianLaw:
    r"""The stationary law of a flow with noise on a quadratic energy, or of a scheme of it.

    The flow's covariance solves $AP + PA^\top + BB^\top = 0$, the scheme's $P = APA^\top + hBB^\top$. Of unadjusted
    Langevin it is $T[H(I - hH/2)]^{-1}$, where the flow's is $TH^{-1}$: bias, without sampling.

    Args:
        flow: a flow with additive noise whose drift is affine.
        x0: any position; says the shape.
        discretizer: a scheme; the flow itself unless given.
        step: its step h [T].

    Raises:
        TypeError: if the flow has no noise, or only one of `discretizer` and `step` is given.
        ValueError: if the flow or the step is not affine with additive noise, or nothing is stationary: an eigenvalue
            lies where the flow or the scheme is unstable.
        UnansweredQuestionError: if the scheme asks the flow what it doesn't answer.

    References:
        C. W. Gardiner, Handbook of Stochastic Methods, 3rd ed. 2004: the multivariate Ornstein–Uhlenbeck process.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.Langevin(gf.Quadratic([[2.0]]), temperature=1.0)
        >>> law = gf.stationary_law(flow, [0.0], discretizer=gf.EulerMaruyama(), step=0.5)
        >>> round(float(law.covariance[0, 0]), 12)  # T/(λ(1 − hλ/2))
        1.0
    """
    if step is not None:
        check_positive("stationary_law", step=step)
    scheme = _scheme("stationary_law", discretizer, "step", step)
    if scheme is None and (rested := _at_rest(flow, x0)) is not None:
        return _law(rested, rested.constant, rested.noise)
    read = read_affine("stationary_law", flow, x0, scheme)
    eigenvalues = np.linalg.eigvals(read.matrix)
    # Of a flat mode nothing but rounding is left, and of which sign is chance.
    rounding = 16 * len(read.matrix) * np.finfo(float).eps * np.linalg.norm(read.matrix)
    if scheme is None:
        if eigenvalues.real.max() >= -rounding:
            raise ValueError(
                f"stationary_law: nothing is stationary: the drift has an eigenvalue of real part "
                f"{eigenvalues.real.max():.4g}; every mode of the energy must have positive curvature"
            )
        covariance = scipy.linalg.solve_continuous_lyapunov(read.matrix, -read.noise)
        mean = np.linalg.solve(-read.matrix, read.constant)
    else:
        radius = np.abs(eigenvalues).max()
        if radius >= 1 - rounding:
            raise ValueError(
                f"stationary_law: nothing is stationary: the step has the spectral radius {radius:.4g}; take a "
                "smaller `step`, on modes of positive curvature"
            )
        covariance = _discrete_lyapunov(read.matrix, read.noise)
        mean = np.linalg.solve(np.eye(len(read.matrix)) - read.matrix, read.constant)
    return _law(read, mean, covariance)


@looks_at_numbers
def gaussian_law(
    flow: Flow, x0: Any, t: Number, *, discretizer: Discretizer | None = None, steps: Any = None,
    covariance: Any = None,
) -> GaussianLaw:  # fmt: skip
    r"""The law at time t of a flow with noise on a quadratic energy, or of so many steps of a scheme.

    Their difference is the scheme's weak error, exactly.

    Args:
        flow: a flow with additive noise whose drift is affine.
        x0: where the mean starts; a flow with velocities starts at rest.
        t: the time [T].
        discretizer: a scheme; the flow itself unless given.
        steps: in how many equal steps it goes there.
        covariance: of the whole state at the start; 0 unless given, a start that is known.

    Raises:
        TypeError: if the flow has no noise, or only one of `discretizer` and `steps` is given.
        ValueError: if t is not positive, or the flow or the step is not affine with additive noise.
        UnansweredQuestionError: if the scheme asks the flow what it doesn't answer.

    References:
        C. W. Gardiner, Handbook of Stochastic Methods, 3rd ed. 2004: the multivariate Ornstein–Uhlenbeck process.
        C. F. Van Loan, Computing integrals involving the matrix exponential, IEEE Trans. Autom. Control 23, 1978, for
        the flow's covariance.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.Langevin(gf.Quadratic([[2.0]]), temperature=1.0)
        >>> law = gf.gaussian_law(flow, [1.0], 0.5)
        >>> law.mean.round(4), law.covariance.round(4)  # e⁻¹, (1 − e⁻²)/2
        (array([0.3679]), array([[0.4323]]))
    """
    check_positive("gaussian_law", t=t)
    if steps is not None:
        check_integer("gaussian_law", 1, steps=steps)
    count = 0 if steps is None else int(steps)
    scheme = _scheme("gaussian_law", discretizer, "steps", float(t) / count if count else None)
    if scheme is None and _has_closed_form(flow, x0):
        scheme, count = (ExactSolution(), t), 1
    read = read_affine("gaussian_law", flow, x0, scheme)
    n = len(read.matrix)
    start = np.zeros((n, n)) if covariance is None else _padded(np.asarray(covariance, dtype=float), n)
    if scheme is None:
        propagator, mean, noise = _evolved(read, float(t))
        return _law(read, mean, propagator @ start @ propagator.T + noise)
    mean = read.start
    for _ in range(count):
        mean = read.matrix @ mean + read.constant
        start = read.matrix @ start @ read.matrix.T + read.noise
    return _law(read, mean, start)


# Beyond it nothing that has not died away yet ever will, in double precision.
_LONGEST = 1e300


def _has_closed_form(flow: Flow, x0: Any) -> bool:
    """Whether the flow's law is known mode by mode, whatever the scales of mass, friction and curvature."""
    try:
        with jax.enable_x64(True):
            flow, z0 = prepare("gaussian_law", flow, as_floating(x0), None)
            check_answers(flow, ExactSolution(), z0)
    except UnansweredQuestionError:
        return False
    return is_stochastic(flow, z0)


def _at_rest(flow: Flow, x0: Any) -> Affine | None:
    """The exact flow over a time in which it forgets its start; `None` where it does not, or has no closed form.

    An algebraic equation for the covariance loses all digits where position and velocity have scales far apart.
    """
    if not _has_closed_form(flow, x0):
        return None
    lam = np.asarray(modes_of(flow, "transition").lam, dtype=float)
    # Of a flat mode nothing but rounding is left, and of which sign is chance.
    if lam.min() <= 16 * lam.size * np.finfo(float).eps * np.abs(lam).max():
        return None
    h = 1.0 / float(lam.min())
    while h < _LONGEST:
        read = read_affine("stationary_law", flow, x0, (ExactSolution(), h))
        # In units in which every coordinate spreads by one, what is left of the start is rounding.
        spread = np.sqrt(np.maximum(np.diag(read.noise), 1e-300))
        if np.abs(read.matrix * spread / spread[:, None]).max() <= 4 * len(spread) * np.finfo(float).eps:
            return read
        h *= 64
    return None


def _scheme(where: str, discretizer: Discretizer | None, name: str, h: Any) -> tuple[Discretizer, Any] | None:
    if discretizer is None and h is None:
        return None
    if discretizer is None or h is None:
        raise TypeError(
            f"{where}: `discretizer` and `{name}` belong together; give both, or none for the flow's own law"
        )
    return discretizer, h


def _law(read: Affine, mean: np.ndarray, covariance: np.ndarray) -> GaussianLaw:
    J = read.positions
    return GaussianLaw(J @ mean + read.origin, J @ covariance @ J.T, mean, covariance)


def _evolved(read: Affine, t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """e^{At}, the mean, and the covariance that noise has made by then: blocks of one matrix exponential.

    References:
        C. F. Van Loan, Computing integrals involving the matrix exponential, IEEE Trans. Autom. Control 23, 1978.
    """
    n = len(read.matrix)
    # Halved until nothing grows much: the block e^{−At} would overflow on stiff modes.
    halvings = max(0, int(np.ceil(np.log2(max(np.abs(read.matrix).sum(axis=0).max() * t, 1)))))
    short = t / 2**halvings
    block = np.block([[-read.matrix, read.noise], [np.zeros((n, n)), read.matrix.T]])
    exponential = scipy.linalg.expm(block * short)
    propagator = exponential[n:, n:].T
    noise = propagator @ exponential[:n, n:]
    moved = scipy.linalg.expm(np.block([[read.matrix, read.constant[:, None]], [np.zeros((1, n + 1))]]) * short)[:n, n]
    for _ in range(halvings):
        noise = noise + propagator @ noise @ propagator.T
        moved = moved + propagator @ moved
        propagator = propagator @ propagator
    return propagator, propagator @ read.start + moved, (noise + noise.T) / 2


def _discrete_lyapunov(A: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """P = APAᵀ + Q by doubling, Σ AʲQ(Aʲ)ᵀ: all terms are positive, so that nothing cancels."""
    covariance, power = Q, A
    while np.abs(power).max() > 0:
        grown = covariance + power @ covariance @ power.T
        if np.array_equal(grown, covariance):
            break
        covariance, power = grown, power @ power
    return covariance


def _padded(covariance: np.ndarray, n: int) -> np.ndarray:
    """A covariance of the state, with a scheme's memory known."""
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1] or len(covariance) > n:
        raise ValueError(
            f"gaussian_law: `covariance` must be a matrix over the whole state, of at most shape {(n, n)}, got "
            f"{covariance.shape}"
        )
    missing = n - len(covariance)
    return np.pad(covariance, ((0, missing), (0, missing)))
