"""Adaptive methods with what they adapt held: where it is read, and the curvatures it leaves."""

import dataclasses
import math
import numbers
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gradientflow.discretizers import Method
from gradientflow.flows import Energy, Trajectory, lower, prepare, size
from gradientflow.flows.catalogue.adaptive.held import AdaptiveFlow

from ..results.grades import Grade
from .curvature import LARGEST_AGAIN, Bracket, Curvatures, certified, curvatures_at, double_hessian, greatest_curvature
from .place import is_stationary, row_of

# By so many units of rounding an inverse preconditioner and the curvature times it may be off.
_ROUNDINGS = 16


@dataclasses.dataclass(frozen=True)
class Held:
    """What an adaptive method adapts, as it is somewhere.

    Attributes:
        flow: the flow on arrays.
        x: where the curvature is read.
        inverse: P⁻¹, as a pytree like x.
        where: the words that say which.
    """

    flow: AdaptiveFlow
    x: Any
    inverse: Any
    where: str

    @property
    def words(self) -> str:
        """Which preconditioner was held, with its extreme entries."""
        with np.errstate(divide="ignore"):
            entries = 1 / np.asarray(ravel_pytree(self.inverse)[0], dtype=float)
        low, high = entries.min(), entries.max()
        return f"{self.where}: P = {low:.4g}" + (f" … {high:.4g}" if high > low else "")


class HeldFamily(eqx.Module):
    """(energy, lr) ↦ a method of an adaptive family with P = 1 held.

    Args:
        family: the family of the optimizer itself.
    """

    family: Callable[[Any, Any], Method]

    def __call__(self, energy: Any, lr: Any) -> Method:
        """Its held flow, under the same scheme and step."""
        method = self.family(energy, lr)
        assert isinstance(method.flow, AdaptiveFlow)
        return Method(method.flow.held(), method.discretizer, method.step)


def held_at(flow: AdaptiveFlow, x: Any) -> Held:
    """What the averages are where the gradient is as at x and has been so for long."""
    ready, z = prepare("stability", flow, x, None)
    assert isinstance(ready, AdaptiveFlow)
    x = ready.position(z)
    inverse = lower(ready.inverse_preconditioner(jnp.asarray(math.inf), ready.settled(x)))
    _check_finite(inverse)
    top = float(sum(curvatures_at(ready.energy, x).greatest) / 2)
    if is_stationary(ready.energy, x, top):
        where = "at the minimizer, where squared gradients are 0 and of P only ε (or what it started from) is left"
    else:
        where = "with squared gradients as they are at this point"
    return Held(ready, x, inverse, where)


def held_along(flow: AdaptiveFlow, run: Trajectory, step: int | None) -> Held:
    """What the averages are at a row of a run, the last one unless a step is named.

    Raises:
        ValueError: if that step wasn't saved or is not finite.
    """
    row = row_of("stability", run, step)
    z = jax.tree.map(lambda leaf: leaf[row], run.state)
    ready, z = prepare("stability", flow, None, z, float(run.t[row]))
    assert isinstance(ready, AdaptiveFlow)
    inverse = lower(ready.inverse_preconditioner(run.t[row], z))
    _check_finite(inverse)
    return Held(ready, ready.position(z), inverse, f"as the run has it at step {int(run.steps[row])}")


def _check_finite(inverse: Any) -> None:
    if not bool(jnp.isfinite(ravel_pytree(inverse)[0]).all()):
        raise ValueError(
            "stability: the preconditioner is 0 where the gradient is, so that no step is stable there; give the "
            "method an ε > 0, or ask at=run, a run of iterates"
        )


class Preconditioned(Energy):
    """An energy in coordinates y = √P x, as far as its curvature goes.

    Args:
        energy: the energy.
        root: √P⁻¹ by coordinate, like the position.
    """

    energy: Energy
    root: Any

    def value(self, x: Any) -> Any:
        """That of the energy."""
        return self.energy.value(x)

    def hvp(self, x: Any, v: Any) -> Any:
        """P^{−1/2} H P^{−1/2} v, H at the position x of the energy itself."""
        scaled = jax.tree.map(lambda r, leaf: r * leaf, self.root, v)
        return jax.tree.map(lambda r, leaf: r * leaf, self.root, self.energy.hvp(x, scaled))


def preconditioned_curvatures(energy: Energy, x: Any, inverse: Any) -> Curvatures:
    """The extreme eigenvalues of P⁻¹H at a position.

    Args:
        energy: the energy.
        x: the position.
        inverse: P⁻¹ by coordinate, like x.

    Raises:
        ArithmeticError: if the Hessian is not finite there.
    """
    entries = np.asarray(ravel_pytree(inverse)[0], dtype=float)
    eps = float(jnp.finfo(ravel_pytree(inverse)[0].dtype).eps)
    if np.ptp(entries) == 0:
        found = curvatures_at(energy, x)
        factor, slack = Fraction(float(entries[0])), Fraction(_ROUNDINGS * eps)

        def scaled(bracket: Bracket) -> Bracket:
            low, high = (factor * end for end in bracket)
            return low - slack * abs(low), high + slack * abs(high)

        grade = Grade.CERTIFIED if found.grade is Grade.PROVED else found.grade
        values, how = found.values * entries[0], f"{found.how}, over P"
        return Curvatures(scaled(found.least), scaled(found.greatest), values, grade, how)
    root = np.sqrt(entries)
    known = double_hessian(energy)
    if known is not None and len(root) == len(known[0]):
        hessian, rounding, semidefinite = known
        matrix = root[:, None] * hessian * root
        rounding = rounding * float(entries.max()) + _ROUNDINGS * eps * float(np.linalg.norm(matrix))
        return certified((matrix + matrix.T) / 2, rounding, semidefinite, "matrix")
    return curvatures_at(Preconditioned(energy, jax.tree.map(jnp.sqrt, inverse)), x)


def greatest_preconditioned(
    energy: Energy, x: Any, inverse: Any, start: np.ndarray | None = None
) -> tuple[float, np.ndarray | None]:
    """The greatest eigenvalue of P⁻¹H at a position, and where to look for that at a point nearby.

    Args:
        energy: the energy.
        x: the position.
        inverse: P⁻¹ by coordinate, like x.
        start: as `greatest_curvature` takes it.

    Raises:
        ArithmeticError: if the Hessian is not finite there.
    """
    if size(x) <= LARGEST_AGAIN or double_hessian(energy) is not None:
        return float(sum(preconditioned_curvatures(energy, x, inverse).greatest) / 2), None
    return greatest_curvature(Preconditioned(energy, jax.tree.map(jnp.sqrt, inverse)), x, start)


def learning_rate(method: Method) -> float | None:
    """The learning rate with which its family makes this method; `None` where it has none that is a number.

    A family's step is a power of its learning rate: lr itself, or √lr on the clock of a particle.
    """
    if method.family is None or not is_number(method.step):
        return None
    one, four = (method.family(method.flow.energy, lr).step for lr in (1.0, 4.0))
    if not (is_number(one) and is_number(four)) or four == one:
        return None
    lr = float((method.step / one) ** (math.log(4) / math.log(four / one)))
    again = jax.tree.leaves(method.family(method.flow.energy, lr))
    own = jax.tree.leaves(method)
    same = len(again) == len(own) and all(
        np.shape(a) == np.shape(b) and np.allclose(np.asarray(a), np.asarray(b), rtol=1e-6, atol=0)
        for a, b in zip(own, again, strict=True)
        if is_number(a) or hasattr(a, "dtype")
    )
    return lr if same else None


def is_number(value: Any) -> bool:
    """Whether it is one number."""
    return isinstance(value, numbers.Real) or (hasattr(value, "dtype") and np.ndim(value) == 0)
