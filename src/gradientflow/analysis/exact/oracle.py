"""Reading 4: an energy of which nothing is known, that writes down where it is asked."""

from collections.abc import Sequence
from typing import Any, NoReturn

from gradientflow.flows import Energy, Proximable

from .leaf import Exact, NotExactError

# More gradients a step than this are not asked for by any scheme that one would write down.
MOST_GRADIENTS = 64


class Inquiry:
    """The answers that are left to hand out, and the points where they were asked: one leaf of any pytree.

    Attributes:
        gradients: generators, one for each gradient.
        asked: the points, in the order of the gradients.
        parts: of which energy each gradient is: 0, or 1 for the g of a sum f + g.
    """

    def __init__(self, gradients: Sequence[Exact]) -> None:
        self.gradients, self.asked, self.parts, self._prox = gradients, [], [], []
        self._mapped: list[tuple[Any, Any, int, Exact]] = []

    def at(self, x: Any, part: int) -> Exact:
        """The gradient at a point: the same as before where it was asked before.

        At a kink of g a proximal map has one subgradient, and who asks for a gradient there may get another.
        """
        for point, of, by_prox, gradient in zip(self.asked, self.parts, self._prox, self.gradients, strict=False):
            if of == part and not (part and by_prox) and not (point - x).value:
                return gradient
        gradient = self.next()
        self.keep(x, part)
        return gradient

    def keep(self, x: Any, part: int, by_prox: bool = False) -> None:
        """Writes down where the next generator was asked, and whether by a proximal map."""
        self.asked.append(x)
        self.parts.append(part)
        self._prox.append(by_prox)

    def nearest(self, x: Any, h: Any, part: int) -> Exact:
        """Where the proximal map over h takes x: the same as before where it took the same."""
        for start, length, of, end in self._mapped:
            if of == part and not (start - x).value and not (length - h).value:
                return end
        end = x - h * self.next()
        self.keep(end, part, by_prox=True)
        self._mapped.append((x, h, part, end))
        return end

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
        part: which energy it is.
    """

    inquiry: Inquiry
    part: int = 0

    def value(self, x: Any) -> NoReturn:
        """Refused."""
        raise NotExactError("the energy's value: a scheme that depends on values is no combination of gradients")

    def grad(self, x: Any) -> Any:
        """A new generator, unless it was asked there before."""
        return self.inquiry.at(x, self.part)

    def prox(self, x: Any, h: Any) -> Any:
        """x − hg, with the next generator as g, unless it was asked before."""
        return self.inquiry.nearest(x, h, self.part)

    def hvp(self, x: Any, v: Any) -> NoReturn:
        """Refused."""
        raise NotExactError("the energy's Hessian: only gradients and proximal maps are known of a whole class")


class SumOracle(Energy):
    """A sum f + g of which nothing is known: f's gradients and g's proximal maps are asked, and no more.

    Args:
        inquiry: where answers are taken from and points are kept.
    """

    inquiry: Inquiry

    @property
    def smooth(self) -> Oracle:
        """The energy f."""
        return self.f

    @property
    def nonsmooth(self) -> Oracle:
        """The energy g."""
        return self.g

    @property
    def f(self) -> Oracle:
        """The first, as a `Composite` has it."""
        return Oracle(self.inquiry, 0)

    @property
    def g(self) -> Oracle:
        """The second."""
        return Oracle(self.inquiry, 1)

    def value(self, x: Any) -> NoReturn:
        """Refused."""
        raise NotExactError("the value of a sum f + g: a scheme that depends on values is no combination of gradients")

    def grad(self, x: Any) -> NoReturn:
        """Refused."""
        raise NotExactError("the gradient of a sum f + g: of a class there are f's gradients and g's proximal maps")
