"""Reading 4: an energy of which nothing is known, that writes down where it is asked."""

from collections.abc import Sequence
from typing import Any, NoReturn

from gradientflow.flows import Proximable

from .leaf import Exact, NotExactError

# More gradients a step than this are not asked for by any scheme that one would write down.
MOST_GRADIENTS = 64


class Inquiry:
    """The answers that are left to hand out, and the points where they were asked: one leaf of any pytree.

    Attributes:
        gradients: generators, one for each gradient.
        asked: the points, in the order of the gradients.
    """

    def __init__(self, gradients: Sequence[Exact]) -> None:
        self.gradients, self.asked = gradients, []

    def at(self, x: Any) -> Exact:
        """The gradient at a point: the same as before where it was asked before."""
        for point, gradient in zip(self.asked, self.gradients, strict=False):
            if not (point - x).value:
                return gradient
        gradient = self.next()
        self.asked.append(x)
        return gradient

    def next(self) -> Exact:
        """The next generator."""
        if len(self.asked) >= len(self.gradients):
            raise NotExactError(f"more than {len(self.gradients)} gradients in a step")
        return self.gradients[len(self.asked)]


class Oracle(Proximable):
    """Whatever energy: each gradient is a new generator, and the point where it was asked is kept.

    Its proximal map answers $y = x - hg$ with a new generator g, the gradient at y.

    Args:
        inquiry: where answers are taken from and points are kept.
    """

    inquiry: Inquiry

    def value(self, x: Any) -> NoReturn:
        """Refused."""
        raise NotExactError("the energy's value: a scheme that depends on values is no combination of gradients")

    def grad(self, x: Any) -> Any:
        """A new generator, unless it was asked there before."""
        return self.inquiry.at(x)

    def prox(self, x: Any, h: Any) -> Any:
        """x − hg, with the next generator as g."""
        point = x - h * self.inquiry.next()
        self.inquiry.asked.append(point)
        return point

    def hvp(self, x: Any, v: Any) -> NoReturn:
        """Refused."""
        raise NotExactError("the energy's Hessian: only gradients and proximal maps are known of a whole class")
