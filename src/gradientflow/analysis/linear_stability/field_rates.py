"""Where a field without an energy rests, and how fast it returns there: what curvatures are to an energy."""

from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gradientflow.flows import Flow, compiled, dtype_of, max_norm

from ..results.grades import Grade
from .curvature import Curvatures


def rates_at(flow: Flow, z: Any) -> Curvatures:
    """The rates of decay at a point, the real parts of the eigenvalues of −∂f/∂x; for −∇E they are the curvatures.

    Raises:
        ArithmeticError: if the field has no finite derivative there.
    """
    jacobian = np.asarray(_jacobian(flow, z), dtype=float)
    if not np.isfinite(jacobian).all():
        raise ArithmeticError("stability: the field has no derivative at the point that is finite")
    found = np.linalg.eigvals(-jacobian)
    # A rotation's are 0 but for rounding.
    rounding = float(jnp.finfo(dtype_of(z)).eps) ** 0.75 * np.abs(found).max()
    rates = np.sort(np.where(np.abs(found.real) <= rounding, 0.0, found.real))
    least, greatest = Fraction(float(rates[0])), Fraction(float(rates[-1]))
    how = "measured: the real parts of the eigenvalues of −∂f/∂x, for there is no energy"
    return Curvatures((least, least), (greatest, greatest), rates, Grade.MEASURED, how)


def check_rest(flow: Flow, z: Any, rates: Curvatures) -> None:
    """Refuses points where the field does not rest, or which it leaves.

    Raises:
        ValueError: naming the field's size there, or the rate.
    """
    speed = float(max_norm(flow.drift(jnp.zeros(()), z)))
    if speed > float(jnp.finfo(dtype_of(z)).eps) ** 0.5 * max(1.0, float(max_norm(z))):
        raise ValueError(
            f"stability: `at` is not at rest: ‖f‖∞ = {speed:.3g} there; follow the flow to its end, "
            "integrate(flow, at, math.inf).x[-1]"
        )
    if float(rates.least[0]) < 0:
        raise ValueError(f"stability: the flow itself leaves `at`, at the rate {-float(rates.least[0]):.6g}")


@compiled
def _jacobian(flow: Flow, z: Any) -> jax.Array:
    flat, unravel = ravel_pytree(z)
    return jax.jacfwd(lambda vector: ravel_pytree(flow.drift(jnp.zeros(()), unravel(vector)))[0])(flat)
