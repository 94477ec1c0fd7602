"""Exact leaves that stand for whole vectors: in one dimension products and quotients of those cancel, elsewhere not."""

from collections.abc import Callable
from typing import Any, ClassVar

from sympy.polys.rings import PolyElement

from .leaf import Exact, NotExactError

_WHY = "such terms cancel in one dimension and not in others, so that nothing is proved from them"


class StateLeaf(Exact):
    """A state, a gradient or a memory in an exact reading, which adds with its like and scales by plain numbers.

    A reading runs on one coordinate, and speaks of all dimensions. There ⟨f, z⟩/⟨z, z⟩·z is f, and f·z/z too; so
    whatever depends on a state is neither multiplied by, nor divided by, nor a root of, what depends on one.
    """

    __slots__ = ()
    most: ClassVar[int] = 1

    @classmethod
    def multiplied(cls, left: Any, right: Any) -> Any:
        """The product of two values, of which at most one depends on a state."""
        if depends_on_state(left) and depends_on_state(right) and _degree(left) + _degree(right) > cls.most:
            raise NotExactError(f"not linear in the state: it multiplies {left} by {right}; {_WHY}")
        return left * right

    @classmethod
    def divided(cls, left: Any, right: Any) -> Any:
        """A quotient by what doesn't depend on a state."""
        if depends_on_state(right):
            raise NotExactError(f"not linear in the state: it divides by {right}; {_WHY}")
        return left / right

    def __pow__(self, exponent: Any) -> Exact:
        if depends_on_state(self.value) and not (isinstance(exponent, int) and 0 <= exponent <= self.most):
            raise NotExactError(f"not linear in the state: it forms ({self.value})**{exponent!r}; {_WHY}")
        return type(self)(super().__pow__(exponent).value)


class InnerLeaf(StateLeaf):
    """The same where the product of two vectors stands for their inner product, as in a Lyapunov function."""

    __slots__ = ()
    most: ClassVar[int] = 2


def depends_on_state(value: Any) -> bool:
    """Whether a value is a polynomial that holds one of its ring's generators."""
    return isinstance(value, PolyElement) and not value.is_ground


def _degree(value: PolyElement) -> int:
    return max(sum(monomial) for monomial in value.monoms())


def unwrapped(recipe: Callable[..., Any]) -> Callable[..., Any]:
    """An energy's own formula, whose products are of its own making: on plain exact leaves, its answer a state's."""

    def answer(energy: Any, *arguments: Any) -> Any:
        found = recipe(energy, *(Exact(a.value) if isinstance(a, StateLeaf) else a for a in arguments))
        return StateLeaf(found.value)

    answer.__doc__ = recipe.__doc__
    return answer
