r"""The closed form of a mode with vanishing friction, $\ddot x + \tfrac rt\dot x + \lambda x = 0$, by Bessel functions.

With $\nu = (r-1)/2$ its solutions are $t^{-\nu}J_\nu(\sqrt\lambda t)$ and $t^{-\nu}Y_\nu(\sqrt\lambda t)$.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from ..aliases import StepLength, Time


@jax.custom_jvp
def propagator(lam: Any, r: Any, t: Time, h: StepLength) -> jax.Array:
    """The matrices that take (x, v) at t to (x, v) at t + h, one a mode: shape (*lam.shape, 2, 2).

    SciPy's Bessel functions, called on the host: JAX has none of real order. Differentiable in t and h.

    Args:
        lam: the curvatures, of any sign.
        r: the friction is r/t, r > 0.
        t: the start; from 0 there is only the solution that starts at rest, and v is taken to be 0.
        h: the time in between.
    """
    lam, r, t, h = (jnp.asarray(value, jnp.result_type(float, lam)) for value in (lam, r, t, h))
    shape = jax.ShapeDtypeStruct((*lam.shape, 2, 2), lam.dtype)
    return jax.pure_callback(_on_host, shape, lam, r, t, h, vmap_method="sequential")


def _propagator_jvp(primals: Any, tangents: Any) -> tuple[Any, Any]:
    """∂P/∂h = A(t + h)P and ∂P/∂t = A(t + h)P − PA(t), where ż = A(t)z."""
    lam, r, t, h = primals
    if not all(isinstance(tangent, SymbolicZero) for tangent in tangents[:2]):
        raise TypeError("the Bessel closed form has no derivative in the curvature or in r: integrate the flow instead")
    d_t, d_h = (0 if isinstance(tangent, SymbolicZero) else tangent for tangent in tangents[2:])
    matrix = propagator(lam, r, t, h)
    later = _field(lam, r, t + h) @ matrix
    earlier = matrix @ _field(lam, r, t)
    return matrix, later * d_h + (later - earlier) * d_t


propagator.defjvp(_propagator_jvp, symbolic_zeros=True)


def _field(lam: Any, r: Any, t: Time) -> jax.Array:
    zero, one = jnp.zeros_like(lam), jnp.ones_like(lam)
    return jnp.stack([jnp.stack([zero, one], -1), jnp.stack([-lam, -r / t * one], -1)], -2)


def _on_host(lam: Any, r: Any, t: Time, h: StepLength) -> np.ndarray:
    lam, dtype = np.asarray(lam, dtype=float), np.asarray(lam).dtype
    r, t, s = float(r), float(t), float(t) + float(h)
    entries = _from_rest(lam, r, s) if t == 0 else _between(lam, r, t, s)
    return (
        np.stack([np.broadcast_to(entry, lam.shape) for entry in entries], -1).reshape(*lam.shape, 2, 2).astype(dtype)
    )


def _from_rest(lam: np.ndarray, r: float, s: float) -> tuple[Any, Any, Any, Any]:
    r"""From t = 0: $\Gamma(\nu+1)(2/\sqrt\lambda s)^\nu J_\nu(\sqrt\lambda s)$, a series in λs² for any sign of λ."""
    from scipy.special import hyp0f1

    order, argument = (r + 1) / 2, -lam * s * s / 4
    return hyp0f1(order, argument), 0.0, -lam * s / (2 * order) * hyp0f1(order + 1, argument), 0.0


def _between(lam: np.ndarray, r: float, t: float, s: float) -> tuple[Any, Any, Any, Any]:
    """From t > 0 to s, where the fundamental solutions' Wronskian is a multiple of t^(−r)."""
    nu, omega = (r - 1) / 2, np.sqrt(np.abs(lam))
    flat = lam == 0
    entries = _fundamental(nu, np.where(flat, 1.0, omega), t, s, lam > 0)
    coasting = (1.0, _coasted(r, t, s), 0.0, (t / s) ** r)
    return tuple(np.where(flat, b, a) for a, b in zip(entries, coasting, strict=True))  # pyright: ignore[reportReturnType]


def _coasted(r: float, t: float, s: float) -> float:
    """How far unit velocity carries without a force: ∫(t/τ)^r dτ."""
    return t * np.log(s / t) if r == 1 else t * (1 - (t / s) ** (r - 1)) / (r - 1)


def _fundamental(nu: float, omega: np.ndarray, t: float, s: float, bound: np.ndarray) -> tuple[Any, Any, Any, Any]:
    """Oscillating where the mode is bound (λ > 0), growing where it isn't."""
    from scipy.special import ive, jv, kve, yv

    a, b, n = omega * t, omega * s, nu + 1
    scale = t * (t / s) ** nu
    # Exponentially scaled functions, their exponents put together: neither factor may overflow alone.
    up, down = np.exp(np.where(bound, 0, b - a)), np.exp(np.where(bound, 0, a - b))
    with np.errstate(over="ignore", invalid="ignore"):
        oscillating = (
            omega * (jv(n, a) * yv(nu, b) - jv(nu, b) * yv(n, a)),
            jv(nu, a) * yv(nu, b) - jv(nu, b) * yv(nu, a),
            -(omega**2) * (jv(n, a) * yv(n, b) - jv(n, b) * yv(n, a)),
            -omega * (jv(nu, a) * yv(n, b) - jv(n, b) * yv(nu, a)),
        )
        growing = (
            omega * (up * ive(nu, b) * kve(n, a) + down * kve(nu, b) * ive(n, a)),
            up * ive(nu, b) * kve(nu, a) - down * kve(nu, b) * ive(nu, a),
            omega**2 * (up * ive(n, b) * kve(n, a) - down * kve(n, b) * ive(n, a)),
            omega * (up * ive(n, b) * kve(nu, a) + down * kve(n, b) * ive(nu, a)),
        )
    pairs = zip(oscillating, growing, strict=True)
    return tuple(scale * np.where(bound, np.pi / 2 * o, g) for o, g in pairs)  # pyright: ignore[reportReturnType]
