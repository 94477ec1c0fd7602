"""A quadratic mode of which nothing may be asked but what every energy answers."""

from typing import Any, NoReturn

from sympy.polys.rings import PolyElement

from gradientflow.flows import Mode, Proximable

from .leaf import NotExactError


class ExactMode(Proximable):
    """The mode E = λx²/2 as exact readings show it to a scheme: value, gradient, Hessian and proximal map.

    Its curvature bounds and its minimizer are not the energy's that a scheme will run on, and are refused.

    Args:
        lam: the curvature λ, an exact number.
    """

    lam: Any

    def value(self, x: Any) -> Any:
        """λx²/2."""
        return Mode(self.lam).value(x)

    def grad(self, x: Any) -> Any:
        """λx."""
        return Mode(self.lam).grad(x)

    def hvp(self, x: Any, v: Any) -> Any:
        """λv, for directions that are linear in the state."""
        value = getattr(v, "value", None)
        if not isinstance(value, PolyElement) or any(sum(monomial) != 1 for monomial in value.monoms()):
            raise NotExactError(f"the Hessian along {v}, which is no multiple of the state: it picks a direction")
        return self.lam * v

    def prox(self, x: Any, h: Any) -> Any:
        """x/(1 + hλ)."""
        return Mode(self.lam).prox(x, h)

    def inverse_hvp(self, x: Any, v: Any, shift: Any = 0) -> Any:
        """v/(λ + shift)."""
        return Mode(self.lam).inverse_hvp(x, v, shift)

    @property
    def is_quadratic(self) -> bool:
        """It is."""
        return True

    @property
    def curvature(self) -> NoReturn:
        """Refused."""
        raise NotExactError("the energy's curvature bounds: on one mode they are another number")

    @property
    def minimizer(self) -> NoReturn:
        """Refused."""
        raise NotExactError("the energy's minimizer: on one mode it is another point")

    @property
    def minimum(self) -> NoReturn:
        """Refused."""
        raise NotExactError("the energy's minimum: on one mode it is another number")
