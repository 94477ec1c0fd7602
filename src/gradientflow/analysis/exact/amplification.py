r"""Reading 2: a step on one quadratic mode, run on exact numbers, is a matrix of rational functions.

The state's leaves are the generators of a polynomial ring over a field such as ℚ(λ, h), and so is whatever memory a
scheme carries. A step that is linear in them answers with their linear forms, whose coefficients are the matrix.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import jax
import numpy as np

from gradientflow.discretizers import Discretizer
from gradientflow.flows import Flow

from .algebra import polynomials, rational_functions, value_at
from .blame import blaming
from .draws import read_alike
from .leaf import Exact, NotExactError
from .linear_forms import exact_leaves, generic_state, linear_form
from .trial import Trial, check_on_vectors

_TIME, _CURVATURE = "t", "lambda"


@dataclasses.dataclass(frozen=True)
class Amplification:
    """One step on a mode, $z' = Az$: exact, for whatever the field's generators stand for.

    Attributes:
        rows: A, as rows of elements of `field`.
        field: a field of rational functions over ℚ.
    """

    rows: tuple[tuple[Any, ...], ...]
    field: Any

    @property
    def size(self) -> int:
        """How many numbers a state (with the scheme's memory) has on one mode."""
        return len(self.rows)

    def without(self, name: str) -> "Amplification":
        """The same over the field without a generator.

        Raises:
            NotExactError: if an entry depends on it.
        """
        place = [str(symbol) for symbol in self.field.symbols].index(name)
        smaller = rational_functions([symbol for symbol in self.field.symbols if str(symbol) != name])

        def drop(entry: Any) -> Any:
            if any(monomial[place] for part in (entry.numer, entry.denom) for monomial in part.monoms()):
                raise NotExactError(f"the step depends on the time {name}: it multiplies by {entry}")
            generator = entry.field.ring.gens[place]
            return smaller.new(entry.numer.drop(generator), entry.denom.drop(generator))

        return Amplification(tuple(tuple(map(drop, row)) for row in self.rows), smaller)

    def at(self, name: str, value: int) -> "Amplification":
        """The matrix where a generator has a value, over the field without it."""
        place = [str(symbol) for symbol in self.field.symbols].index(name)
        smaller = rational_functions([symbol for symbol in self.field.symbols if str(symbol) != name])
        generator = self.field.ring.gens[place]

        def put(entry: Any) -> Any:
            parts = [part.compose(generator, value).drop(generator) for part in (entry.numer, entry.denom)]
            return smaller(parts[0]) / smaller(parts[1])

        return Amplification(tuple(tuple(map(put, row)) for row in self.rows), smaller)

    def numbers(self, values: Mapping[str, Fraction]) -> list[list[float]]:
        """The matrix where all generators have values, in floating point.

        Raises:
            ZeroDivisionError: if a denominator vanishes there.
        """
        return [[float(value_at(entry, values)) for entry in row] for row in self.rows]

    def minimal_polynomial(self) -> list[Any]:
        """A polynomial that A satisfies and that decides whether its powers stay bounded, without denominators.

        The characteristic polynomial; or, where that has repeated roots identically and A is diagonalizable all the
        same (two modes that don't touch, a memory that is carried unused), its square-free part.
        """
        whole = self.characteristic_polynomial()
        if self.size == 1:
            return whole
        ring = polynomials(("w",), self.field)
        w = ring.gens[0]
        p: Any = sum((self.field(c) * w ** (self.size - k) for k, c in enumerate(whole)), ring.zero)
        repeated = p.gcd(p.diff(w))
        if repeated.degree() <= 0:
            return whole
        reduced = p.quo(repeated)
        coefficients = [reduced.coeff(w**k) if k else reduced.coeff(1) for k in range(reduced.degree(), -1, -1)]
        vanishes = not any(entry for row in self.evaluated(coefficients) for entry in row)
        return cleared(coefficients) if vanishes else whole

    def evaluated(self, coefficients: Sequence[Any]) -> list[list[Any]]:
        """p(A) for a polynomial's coefficients from the highest power down, by Horner's rule."""
        n, zero = self.size, self.field.zero
        value = [[zero] * n for _ in range(n)]
        for c in coefficients:
            value = [[sum((value[i][k] * self.rows[k][j] for k in range(n)), zero) + (c if i == j else 0)
                      for j in range(n)] for i in range(n)]  # fmt: skip
        return value

    def characteristic_polynomial(self) -> list[Any]:
        """The coefficients of det(wI − A), from wⁿ down to w⁰, as polynomials without a common denominator.

        By the Faddeev–LeVerrier recursion, which only divides by integers.
        """
        n, one = self.size, self.field.one
        coefficients, power = [one], [[self.field.zero] * n for _ in range(n)]
        for k in range(1, n + 1):
            shifted = [[power[i][j] + (coefficients[-1] if i == j else 0) for j in range(n)] for i in range(n)]
            power = [[sum((self.rows[i][m] * shifted[m][j] for m in range(n)), self.field.zero) for j in range(n)]
                     for i in range(n)]  # fmt: skip
            coefficients.append(-sum((power[i][i] for i in range(n)), self.field.zero) / k)
        return cleared(coefficients)


def cleared(fractions: Sequence[Any]) -> list[Any]:
    """Rational functions times their least common denominator: polynomials."""
    common = fractions[0].denom.ring.one
    for fraction in fractions:
        common = common.lcm(fraction.denom)
    return [fraction.numer * common.quo(fraction.denom) for fraction in fractions]


def read_amplification(
    names: Sequence[str], build: Callable[[Mapping[str, Exact]], tuple[Flow, Discretizer, Any]]
) -> Amplification:
    """Runs one step of what `build` makes, and returns its matrix over the field ℚ(names).

    Args:
        names: the generators' names.
        build: from the generators, as exact leaves by name, the flow of a quadratic mode, the scheme and the step.

    Raises:
        NotExactError: naming the line that is not rational arithmetic, or saying that a step isn't linear in the state
            or depends on the time.
        UnansweredQuestionError: if the flow does not answer what the scheme asks.
    """
    field = rational_functions((*names, _TIME))
    generators = {str(symbol): Exact(generator) for symbol, generator in zip(field.symbols, field.gens, strict=True)}
    flow, discretizer, h = build(generators)
    with blaming(discretizer, flow):
        read = read_alike(
            type(discretizer).__name__,
            lambda: _read(field, generators, flow, discretizer, h),
            lambda one, other: one.rows == other.rows,
        )
        found = read.without(_TIME)
        others = [name for name in names if name != _CURVATURE]

        def valued(element: Any, values: Sequence[Fraction]) -> Fraction:
            return value_at(
                element, {**dict(zip(others, values, strict=True)), _CURVATURE: Fraction(1), _TIME: Fraction(0)}
            )

        def matrices(values: Sequence[Fraction], curvatures: Sequence[Fraction]) -> np.ndarray:
            given = dict(zip(others, values, strict=True))
            return np.array([found.numbers({**given, _CURVATURE: lam}) for lam in curvatures])

        check_on_vectors(Trial(flow, discretizer, h), len(others), valued, matrices)
    return found


def _read(field: Any, generators: Mapping[str, Exact], flow: Flow, discretizer: Discretizer, h: Any) -> Amplification:
    rest = flow.init(Exact(field.zero))
    structure, states = jax.tree.structure(rest), len(jax.tree.leaves(rest))
    memory = discretizer.init(flow, generators[_TIME], rest, h)
    forms, remembered = generic_state(field, states, memory)
    z = jax.tree.unflatten(structure, forms[:states])
    given = {} if memory is None else {"memory": remembered}
    out = discretizer.step(flow, generators[_TIME], z, h, **given)
    out, handed_on = (out, None) if memory is None else out
    leaves = jax.tree.leaves(out) + exact_leaves(memory, handed_on)
    rows = [linear_form(leaf, len(forms), field.zero) for leaf in leaves]
    return Amplification(tuple(map(tuple, rows)), field)
