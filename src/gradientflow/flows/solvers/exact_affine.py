r"""The solution of ẋ = Jx + c in closed form, as a solver: for gradient flows of large quadratic energies."""

from collections.abc import Callable
from typing import Any, ClassVar

import diffrax as dfx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from ..aliases import Time

# Columns of the Jacobian at once: what a field of many rows of data computes on the way would not fit for all of them.
_AT_ONCE = 32


class ExactAffine(dfx.AbstractAdaptiveSolver):
    r"""Steps $y + h\varphi_1(hJ)f(y)$, $\varphi_1(z) = (e^z - 1)/z$, for a symmetric J given by its eigenvalues.

    Of an affine field $f(y) = Jy + c$ that is the solution itself, however long the step. Its error is estimated by how
    far the field at the end is from what an affine one would be there: of others it is the exponential
    Rosenbrock–Euler method with a Jacobian that is not renewed. A solver of diffrax like any other.

    Args:
        eigenvalues: of J, shape (n,) [1/T].
        eigenvectors: in columns, shape (n, n).

    Example:
        >>> import jax.numpy as jnp, gradientflow as gf
        >>> solver = gf.solvers.ExactAffine(jnp.array([-1.0, -100.0]), jnp.eye(2))
        >>> flow = gf.GradientFlow(gf.Quadratic([[1.0, 0.0], [0.0, 100.0]]))
        >>> gf.integrate(flow, [1.0, 1.0], 1.0, solver=solver).x[-1].round(4)
        Array([0.3679, 0.    ], dtype=...)

    References:
        M. Hochbruck, A. Ostermann, Exponential integrators, Acta Numerica 19, 2010, section 2.4.
    """

    eigenvalues: Any
    eigenvectors: Any
    term_structure: ClassVar = dfx.ODETerm
    interpolation_cls: ClassVar[Callable[..., Any]] = dfx.ThirdOrderHermitePolynomialInterpolation.from_k

    @classmethod
    def at(cls, field: Callable[[Any], Any], y: Any) -> "ExactAffine":
        """With the Jacobian that a field has at a state, whatever pytree that is; its symmetric part, at that."""
        flat, unravel = ravel_pytree(y)
        _, product = jax.linearize(lambda flat: ravel_pytree(field(unravel(flat)))[0], flat)
        jacobian = jax.lax.map(product, jnp.eye(flat.size, dtype=flat.dtype), batch_size=_AT_ONCE)
        return cls(*jnp.linalg.eigh((jacobian + jacobian.T) / 2))

    def order(self, terms: Any) -> int:
        """2, of a field that is not affine but whose Jacobian at the start of the step is J."""
        return 2

    def init(self, terms: Any, t0: Time, t1: Time, y0: Any, args: Any) -> Any:
        """The field at the start, which every step leaves for the next one."""
        return terms.vf(t0, y0, args)

    def func(self, terms: Any, t0: Time, y0: Any, args: Any) -> Any:
        """The field."""
        return terms.vf(t0, y0, args)

    def step(
        self, terms: Any, t0: Time, t1: Time, y0: Any, args: Any, solver_state: Any, made_jump: Any
    ) -> tuple[Any, Any, Any, Any, dfx.RESULTS]:
        """One step from t0 to t1, what the field's curvature may have added to it, and what to interpolate by."""
        y, unravel = ravel_pytree(y0)
        h = jnp.asarray(t1 - t0, y.dtype)
        first = jax.lax.cond(made_jump, lambda: terms.vf(t0, y0, args), lambda: solver_state)
        slopes = ravel_pytree(first)[0] @ self.eigenvectors
        z = h * self.eigenvalues
        # h φ₁(hλ), which is h itself where hλ is below rounding.
        weights = h * jnp.where(z == 0, 1, jnp.expm1(z) / jnp.where(z == 0, 1, z))
        y1 = unravel(y + self.eigenvectors @ (weights * slopes))
        after = terms.vf(t1, y1, args)
        unforeseen = ravel_pytree(after)[0] @ self.eigenvectors - jnp.exp(z) * slopes
        error = unravel(self.eigenvectors @ (weights * unforeseen))
        dense = {"y0": y0, "y1": y1, "k": jax.tree.map(lambda *ends: h * jnp.stack(ends), first, after)}
        return y1, error, dense, after, dfx.RESULTS.successful
