r"""Functions of time as exact numbers: a field of rational functions in e^{−at}, cos ωt, …, with their derivative."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import sympy
from sympy.polys.fields import FracElement

from gradientflow.flows.duration import Duration

from .algebra import rational_functions
from .leaf import Exact, NotExactError

# So many functions of time a closed form may be made of.
_MOST = 8
_TIME = sympy.Symbol("t")


class TimeFunction(NamedTuple):
    """A function of time among a motion's generators.

    Attributes:
        slope: its derivative.
        start: its value at t = 0.
        meaning: what it is, as a formula in the constants and t.
    """

    slope: Exact
    start: int
    meaning: sympy.Expr


class Regime(NamedTuple):
    """What cosine and sine are of a damped oscillation, by the sign of its discriminant k − a².

    Attributes:
        name: its name.
        sign: of k − a².
        cosine: (symbol of √|k − a²|, t) ↦ the function with slope −(k − a²)·sine.
        sine: likewise, the function with the slope cosine.
        symbol: what √|k − a²| is called.
    """

    name: str
    sign: int
    cosine: Callable[[Any, Any], Any]
    sine: Callable[[Any, Any], Any]
    symbol: str


REGIMES = (
    Regime("under-damped", 1, lambda w, t: sympy.cos(w * t), lambda w, t: sympy.sin(w * t) / w, "omega"),
    Regime("critically damped", 0, lambda w, t: sympy.Integer(1), lambda w, t: t, ""),
    Regime("over-damped", -1, lambda w, t: sympy.cosh(w * t), lambda w, t: sympy.sinh(w * t) / w, "sigma"),
)


class Motion(Duration):
    """The time since the start, exact: it makes the functions of itself that a closed form asks for.

    Args:
        constants: the constants' names.

    Attributes:
        field: ℚ(constants, t, functions of time).
        functions: what was asked for, by the generators' names.
        discriminants: k − a² of the damped oscillations among them, by the name of their cosine.
    """

    def __init__(self, *constants: str) -> None:
        self.field = rational_functions([*constants, "t", *(f"f{i}" for i in range(_MOST))])
        self.generators = {str(s): Exact(g) for s, g in zip(self.field.symbols, self.field.gens, strict=True)}
        self.time = self.generators["t"]
        self.functions = {"t": TimeFunction(Exact(self.field.one), 0, _TIME)}
        self.discriminants: dict[str, Exact] = {}
        self._asked: dict[Any, tuple[Exact, ...]] = {}

    def relaxed(self, rate: Any) -> Exact:
        """(1 − e^{−rate·t})/rate."""
        return (1 - self.exponential(rate)) / rate

    def exponential(self, rate: Any) -> Exact:
        """e^{−rate·t}."""
        rate = self._exact(rate)

        def make(e: Exact) -> list[TimeFunction]:
            return [TimeFunction(-(rate * e), 1, sympy.exp(-rate.value.as_expr() * _TIME))]

        return self._made(("exponential", rate.value), 1, make)[0]

    def damped_oscillation(self, a: Any, k: Any) -> tuple[Exact, Exact, Exact]:
        """C, S and ∫S, in all regimes at once."""
        a, k = self._exact(a), self._exact(k)
        cosine, sine = self.oscillation(a, k - a * a)
        return cosine, sine, (1 - cosine - a * sine) / k

    def oscillation(self, a: Any, discriminant: Any) -> tuple[Exact, Exact]:
        """e^{−at}c and e^{−at}s, with c' = −δs and s' = c, δ being the discriminant: cos ωt and sin ωt/ω, and so on."""
        discriminant = self._exact(discriminant)

        def make(c: Exact, s: Exact) -> list[TimeFunction]:
            name = str(c.value)
            self.discriminants[name] = discriminant
            cosine, sine = sympy.Symbol(f"C_{name}"), sympy.Symbol(f"S_{name}")
            return [TimeFunction(-(discriminant * s), 1, cosine), TimeFunction(c, 0, sine)]

        decay = self.exponential(a)
        c, s = self._made(("oscillation", discriminant.value), 2, make)
        return decay * c, decay * s

    def propagated_from_rest(self, lam: Any, r: Any) -> tuple[Exact, Exact, Exact, Exact]:
        r"""By Bessel functions that are 1 at 0, $F_\nu = \Gamma(\nu+1)(2/\omega t)^\nu J_\nu(\omega t)$, r = 2ν + 1.

        Their derivatives are Bessel's recurrences: $F_\nu' = -\lambda t F_{\nu+1}/(r + 1)$ and
        $F_{\nu+1}' = (r + 1)(F_\nu - F_{\nu+1})/t$.
        """
        lam, r, t = self._exact(lam), self._exact(r), self.time
        omega, nu = sympy.sqrt(lam.value.as_expr()), (r.value.as_expr() - 1) / 2

        def scaled(n: Any) -> sympy.Expr:
            return sympy.gamma(n + 1) * (2 / (omega * _TIME)) ** n * sympy.besselj(n, omega * _TIME)

        def make(first: Exact, second: Exact) -> list[TimeFunction]:
            return [
                TimeFunction(-(lam * t * second) / (r + 1), 1, scaled(nu)),
                TimeFunction((r + 1) / t * (first - second), 1, scaled(nu + 1)),
            ]

        first, second = self._made(("bessel", lam.value, r.value), 2, make)
        return first, 0 * t, -(lam * t * second) / (r + 1), 0 * t

    def __add__(self, other: Any) -> Exact:
        return self.time + other

    def __mul__(self, other: Any) -> Exact:
        return self.time * other

    def __truediv__(self, other: Any) -> Exact:
        return self.time / other

    __radd__, __rmul__ = __add__, __mul__

    @property
    def starts(self) -> Mapping[str, int]:
        """The functions' values at t = 0, by name."""
        return {name: function.start for name, function in self.functions.items()}

    def derivative(self, value: Exact) -> Exact:
        """d/dt, by the chain rule."""
        element = self._exact(value).value
        total = self.field.zero
        for name, function in self.functions.items():
            total += element.diff(self.generators[name].value) * self._exact(function.slope).value
        return Exact(total)

    def at_zero(self, value: Exact) -> Exact:
        """The value at t = 0."""
        element, names = self._exact(value).value, list(self.generators)
        starts = [(self.field.ring.gens[names.index(name)], start) for name, start in self.starts.items()]
        numerator, denominator = (part.compose(starts) for part in (element.numer, element.denom))
        return Exact(self.field(numerator) / self.field(denominator))

    def discriminant_in(self, value: Exact) -> Exact:
        """That of the damped oscillation in a value."""
        used = {str(symbol) for symbol in self._exact(value).value.as_expr().free_symbols}
        return next(found for name, found in self.discriminants.items() if name in used)

    def expression(self, value: Exact, regime: Regime | None = None) -> sympy.Expr:
        """The value as a formula in the constants and t, ordered by the functions of time.

        Args:
            value: the value.
            regime: of the damped oscillations in it; unless given, they stay c and s with indices.
        """
        element = self._exact(value).value
        names = {sympy.Symbol(name): function.meaning for name, function in self.functions.items()}
        ordered = sympy.collect(element.numer.as_expr(), list(names), func=sympy.factor)
        found = (ordered / element.denom.as_expr()).subs(names, simultaneous=True)
        if regime is not None:
            root = sympy.Symbol(regime.symbol, positive=True)
            for name in self.discriminants:
                cosine, sine = regime.cosine(root, _TIME), regime.sine(root, _TIME)
                found = found.subs({f"C_{name}": cosine, f"S_{name}": sine}, simultaneous=True)
        return found

    def _exact(self, value: Any) -> Exact:
        element = value.value if isinstance(value, Exact) else Exact(value).value
        return Exact(element if isinstance(element, FracElement) else self.field(element))

    def _made(self, key: Any, count: int, make: Callable[..., list[TimeFunction]]) -> tuple[Exact, ...]:
        """The generators that stand for what is asked for, made once."""
        if key not in self._asked:
            first = len(self.functions) - 1
            if first + count > _MOST:
                raise NotExactError(f"the closed form is made of more than {_MOST} functions of time")
            names = [f"f{i}" for i in range(first, first + count)]
            made = tuple(self.generators[name] for name in names)
            self.functions.update(zip(names, make(*made), strict=True))
            self._asked[key] = made
        return self._asked[key]
