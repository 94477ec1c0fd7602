"""What an energy is, and how any callable becomes one."""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from ..aliases import Position, StepLength
from ..checks import by_name, in_a_line
from ..inheriting import forwards, is_abstract, owners_of, raise_not_its_own
from ..numerics import as_differentiable, as_floating, take_lists
from ..told import Told
from .hessian import solve_hessian


class Curvature(NamedTuple):
    """Bounds on the Hessian's eigenvalues, valid everywhere: μ ≤ λ ≤ L. Units: E/X²."""

    mu: Any
    L: Any

    @property
    def condition(self) -> Any:
        """The condition number κ = L/μ."""
        return self.L / self.mu


class Modes(NamedTuple):
    """Coordinates in which a quadratic falls apart: curvatures, and the changes of a vector into them and back."""

    lam: Any
    into: Callable[[Any], Any]
    back: Callable[[Any], Any]


# What is known of a value and its gradient. Who has others inherits none of it.
_OF_A_VALUE = (
    "grad", "hvp", "inverse_hvp", "minimizer", "minimum", "curvature", "smooth", "nonsmooth", "with_smooth", "kinks",
    "is_quadratic", "modes", "prox", "least_subgradient", "hessian", "linear", "losses",
)  # fmt: skip


class Energy(Told):
    r"""A scalar function $E: x \mapsto E(x) \in \mathbb R$ of a pytree: what a flow descends.

    A subclass defines `value`; the gradient is automatic differentiation unless it is given too. What is known of the
    energy (`minimizer`, `minimum`, `curvature`) is `None` until a subclass knows it.

    A subclass that defines another `value`, or another `grad`, than the energy that it derives from inherits nothing
    that was known of that.

    References:
        L. Ambrosio, N. Gigli, G. Savaré, Gradient Flows, 2nd ed. 2008.

    Example:
        >>> import gradientflow as gf
        >>> class Well(gf.Energy):
        ...     def value(self, x):
        ...         return (x**2 - 1) ** 2 / 4
        >>> float(Well().grad(2.0))
        6.0
    """

    def __init_subclass__(cls, **options: Any) -> None:
        """Where `value` or `grad` is another, what hangs on it is answered anew, or as a class without a value does.

        What a wrapper forwards is the wrapped energy's, and it knows itself where that ends.

        Raises:
            TypeError: where there is no other answer: a quadratic with another value has no Hessian matrix any more.
        """
        super().__init_subclass__(**options)
        take_lists(cls, "grad", "hvp", "inverse_hvp")
        changed = [name for name in ("value", "grad") if name in vars(cls)]
        for question in _OF_A_VALUE if changed else ():
            owners = owners_of(cls, question)
            general = next((base for base in owners if is_abstract(base.value)), None)
            if general is None or owners[0] in (cls, general) or forwards(owners[0]):
                continue
            if is_abstract(answer := vars(general)[question]):
                raise_not_its_own(cls, changed[0], owners[0], question)
            setattr(cls, question, answer)

    @abc.abstractmethod
    def value(self, x: Position) -> Any:
        """E(x), a real scalar."""

    def __call__(self, x: Position) -> Any:
        """E(x): an energy is a callable like any other; lists of numbers are taken as arrays."""
        return self.value(as_floating(x) if isinstance(x, (list, tuple)) else x)

    def grad(self, x: Position) -> Any:
        """∇E(x), shaped like x. Units: E/X."""
        return jax.grad(self.value)(as_differentiable(x))

    def hvp(self, x: Position, v: Any) -> Any:
        """The Hessian at x applied to v, without forming it."""
        return jax.jvp(self.grad, (as_differentiable(x),), (as_differentiable(v),))[1]

    def inverse_hvp(self, x: Position, v: Any, shift: Any = 0.0) -> Any:
        """(H(x) + shift·I)⁻¹v. Units: those of v over E/X².

        Densely up to 200 unknowns; beyond by conjugate gradients, for which H + shift·I must be positive definite.
        """
        x, v = as_differentiable(x), as_differentiable(v)
        return solve_hessian(lambda direction: self.hvp(x, direction), v, shift)

    @property
    def minimizer(self) -> Any:
        """A point where E is least, or `None` if unknown."""
        return None

    @property
    def minimum(self) -> Any:
        """The least value of E, or `None` if unknown."""
        return None

    @property
    def curvature(self) -> Curvature | None:
        """Global bounds (μ, L) on the Hessian's eigenvalues, or `None` if unknown."""
        return None

    @property
    def smooth(self) -> "Energy":
        """The f of a sum f + g of a smooth part and a proximable one; else the energy itself."""
        return self

    @property
    def nonsmooth(self) -> "Proximable | None":
        """The g of such a sum; else `None`."""
        return None

    def with_smooth(self, smooth: "Energy") -> "Energy":
        """The energy with its smooth part replaced."""
        return smooth

    @property
    def kinks(self) -> "Energy | None":
        """The part that is not differentiable everywhere, where it has kinks or walls; else `None`."""
        return None

    @property
    def is_quadratic(self) -> bool:
        """Whether it is ½xᵀHx − bᵀx + c and knows it: its Hessian is the same everywhere."""
        return False

    @property
    def modes(self) -> Modes | None:
        """The coordinates in which the gradient's are λᵢ times the position's, but for constants; or `None`."""
        return None

    def plot(self, box: Any = None, **options: Any) -> Any:
        """Its contours with −∇E in the plane, or its graph: `gf.plots.landscape(E, box, ...)`."""
        from gradientflow.analysis.plots.landscape import landscape

        return landscape(self, box, **options)


class Proximable(Energy):
    r"""An energy whose proximal map $\operatorname{prox}_{hE}(x) = \arg\min_y hE(y) + \tfrac12\|y-x\|^2$ is known.

    A subclass defines `value` and `prox`; implicit schemes ask that in place of solving an equation.

    References:
        N. Parikh, S. Boyd, Proximal algorithms, Foundations and Trends in Optimization 1, 2014.

    Example:
        >>> import jax.numpy as jnp, gradientflow as gf
        >>> class Distance(gf.Proximable):
        ...     def value(self, x):
        ...         return jnp.abs(x)
        ...     def prox(self, x, h):
        ...         return jnp.sign(x) * jnp.maximum(jnp.abs(x) - h, 0)
        >>> gf.optimizers.proximal_point(Distance(), lr=0.75).iterate(2.0, steps=4).x.tolist()
        [2.0, 1.25, 0.5, 0.0, 0.0]
    """

    @abc.abstractmethod
    def prox(self, x: Position, h: StepLength) -> Any:
        r"""$\operatorname{prox}_{hE}(x) = \arg\min_y hE(y) + \tfrac12\|y-x\|^2$; NaN where there is none."""


class CallableEnergy(Energy):
    """An energy given by a Python function; made by `energy`."""

    fn: Callable[[Any], Any]
    known_minimizer: Any = None
    known_minimum: Any = None

    def value(self, x: Position) -> Any:
        """E(x)."""
        return self.fn(x)

    @property
    def minimizer(self) -> Any:
        """The minimizer that was given, or `None`."""
        return self.known_minimizer

    @property
    def minimum(self) -> Any:
        """The minimum that was given, else E at the minimizer that was given, else `None`."""
        if self.known_minimum is None and self.known_minimizer is not None:
            return self.fn(jax.tree.map(jnp.asarray, self.known_minimizer))
        return self.known_minimum


@by_name
def energy(fn: Callable[[Any], Any], minimizer: Any = None, minimum: Any = None) -> Energy:
    """Any callable from a pytree to a real scalar, as an energy.

    Args:
        fn: written with `jax.numpy`, so that it can be differentiated. An `Energy` is returned as it is.
        minimizer: a point where it is least, if known.
        minimum: its least value, if known.

    Raises:
        TypeError: if `fn` is not callable.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.energy(lambda p: (p["w"] - 1.0) ** 2 + p["b"] ** 2)
        >>> float(E.grad({"w": 3.0, "b": 0.0})["w"])
        4.0
    """
    if isinstance(fn, Energy):
        return fn
    if not callable(fn):
        raise TypeError(f"energy: `fn` must be a function of the position, got {in_a_line(fn)}; {_remedy(fn)}")
    return CallableEnergy(fn, minimizer, minimum)


def _remedy(given: Any) -> str:
    if isinstance(given, str):
        return "pass lambda x: ..., or from_expression(text) for a formula"
    if hasattr(given, "free_symbols"):
        return "pass from_sympy(expression)"
    if hasattr(given, "energy"):
        return "pass its .energy"
    return "pass lambda x: ..."


def with_closures_as_leaves(energy: Energy, x: Position) -> Energy:
    """The same energy with the values that a function of it, asked at positions like x, closes over as leaves."""
    if type(energy) is not CallableEnergy:
        return energy
    return CallableEnergy(eqx.filter_closure_convert(energy.fn, x), energy.known_minimizer, energy.known_minimum)
