"""A scheme of a flow on one quadratic mode, read exactly, and the step at which it ceases to be stable."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import sympy
from sympy.polys.rings import PolyElement

from gradientflow.discretizers import Discretizer, Method
from gradientflow.flows import Composite, Energy, Flow, Mode, Proximable

from ..exact.algebra import rational
from ..exact.amplification import Amplification, read_amplification
from ..exact.leaf import Exact
from ..exact.mode import ExactMode
from ..exact.parameters import Convert, flow_converted, symbols_of, symbols_of_flow, with_parameters
from ..exact.roots import PositiveRoot, first_failure
from ..exact.trial import Trial, check_on_own_energy, looks_further
from ..exact.unit_disk import critical_polynomials, is_simple_von_neumann

LAM, STEP, LEARNING_RATE = "lambda", "h", "eta"
# A scheme's parameters are told from its flow's.
_OF_SCHEME = "_s"


@dataclasses.dataclass(frozen=True)
class ModeReading:
    """One step on the mode of curvature λ, exact in λ and the step, and in whatever else its field holds.

    Attributes:
        amplification: the matrix over ℚ(λ, step, …).
        step: the step's symbol: h, or η where it is an optimizer's learning rate.
    """

    amplification: Amplification
    step: str

    @functools.cached_property
    def polynomial(self) -> list[PolyElement]:
        """The coefficients of the polynomial that decides, from the highest power of w down."""
        return self.amplification.minimal_polynomial()

    @property
    def is_scale_free(self) -> bool:
        """Whether the step and λ enter only by their product."""
        places = [str(symbol) for symbol in self.amplification.field.symbols]
        lam, step = places.index(LAM), places.index(self.step)
        return len({monomial[step] - monomial[lam] for p in self.polynomial for monomial in p.monoms()}) == 1

    def limit(self, lam: Fraction) -> tuple[PositiveRoot | None, list[PositiveRoot]]:
        """The bound below which steps are stable on the mode λ, `None` where all are; and isolated steps passed.

        At a step that is passed, eigenvalues touch the unit circle; where two meet on it, errors may grow like k there.
        The field must hold nothing but λ and the step.

        Raises:
            AlwaysFailsError: if no step is.
        """
        if lam > 0 and lam != 1 and self.is_scale_free:
            # What is found once has small numbers, and serves every mode.
            root, passed = self._unit_limit
            return root and root.times(1 / lam), [each.times(1 / lam) for each in passed]
        if lam == 0 and self.amplification.size > 1:
            # At rest eigenvalues coincide that don't elsewhere: what counts is the matrix there.
            polynomial = self.amplification.at(LAM, 0).minimal_polynomial()
        else:
            polynomial = [p.evaluate(generator(p, LAM), rational(lam)) for p in self.polynomial]
        conditions = critical_polynomials(polynomial)
        symbol = sympy.Symbol(self.step)

        def is_stable(step: Fraction) -> bool:
            return is_simple_von_neumann([p.evaluate(0, rational(step)) for p in polynomial])

        # Where parameters are never stable, no step is: one sample tells it.
        return first_failure([sympy.Poly(p.as_expr(), symbol) for p in conditions or ()], is_stable)

    @functools.cached_property
    def _unit_limit(self) -> tuple[PositiveRoot | None, list[PositiveRoot]]:
        return self.limit(Fraction(1))

    def binds(self, lam: Fraction) -> bool:
        """Whether it is proved that of all curvatures in (0, λ], λ has the smallest limit.

        So it is where the step and λ enter by their product. Otherwise every condition must be monotone in λ, as the
        signs of its derivative's coefficients show, and have one sign at curvature 0 and at λ for all steps below the
        limit: then it has no zero in between.

        Raises:
            AlwaysFailsError: if no step is stable on the mode λ.
        """
        if self.is_scale_free:
            return True
        root, _ = self.limit(lam)
        end = sympy.oo if root is None else sympy.Rational(root.low.numerator, root.low.denominator)
        factors = {factor for p in critical_polynomials(self.polynomial) or () for factor, _ in p.factor_list()[1]}
        return all(_keeps_its_sign(factor, self.step, lam, end) for factor in factors)


def _keeps_its_sign(condition: PolyElement, step: str, lam: Fraction, end: Any) -> bool:
    """Whether a condition has no zero at curvatures in (0, λ) and steps in (0, end), by being monotone in between."""
    variable = generator(condition, LAM)
    if len({coefficient > 0 for coefficient in condition.diff(variable).coeffs()}) > 1:
        return False
    # The edge at curvature 0 is looked at a little farther, since λ is the upper end of a bracket.
    edges = {
        value: (sympy.Poly(condition.evaluate(variable, rational(value)).as_expr(), sympy.Symbol(step)), upto)
        for value, upto in ((Fraction(0), 2 * end), (lam, end))
    }
    signs = set()
    for edge, upto in edges.values():
        if not edge.is_zero:
            ends = (edge.eval(0) == 0) + (upto != sympy.oo and edge.eval(upto) == 0)
            if edge.count_roots(0, upto) > ends:
                return False
            signs.add(sympy.sign(edge.eval(1 if end == sympy.oo else end / 2)))
    return len(signs) == 1


class NoPenalty(Proximable):
    """0: the other part of a sum of which only the smooth one is read."""

    def value(self, x: Any) -> Any:
        """0."""
        return sum(jax.tree.leaves(jax.tree.map(lambda leaf: (0 * leaf).sum(), x)))

    def prox(self, x: Any, h: Any) -> Any:
        """The point itself."""
        return x


class Recipe(eqx.Module):
    """What is read: a scheme of a flow at a step h, or an optimizer at a learning rate η, its other parameters fixed.

    Attributes:
        flow: the flow; its energy is replaced by a mode.
        discretizer: the scheme.
        family: (energy, lr) ↦ the method, where it is the learning rate that varies.
        taken: the step h that a method takes, where that is known.
    """

    flow: Flow
    discretizer: Discretizer
    family: Callable[[Any, Any], Method] | None = None
    taken: Any = None

    @property
    def step(self) -> str:
        """The symbol of what varies."""
        return STEP if self.family is None else LEARNING_RATE

    def read(self) -> ModeReading:
        """The step with its parameters as the exact numbers that they were given as.

        Raises:
            NotExactError: if it can't be read exactly, or is another step on the flow's own energy.
        """
        reading = self._read(lambda name, value: Exact(value), ())
        self._check_on_own_energy(reading, {})
        return reading

    def read_symbolically(self) -> ModeReading:
        """The step with its parameters as symbols of their own.

        Raises:
            NotExactError: as `read`.
        """
        parameters = self.parameters()
        reading = self._read(None, tuple(parameters))
        self._check_on_own_energy(reading, parameters)
        return reading

    def _check_on_own_energy(self, reading: ModeReading, parameters: Mapping[str, Fraction]) -> None:
        if self.family is not None or not looks_further(self.flow, self.discretizer):
            return
        flow, discretizer, _ = self._parametrized(self.flow.energy, lambda _, value: float(value))
        modes: Any = flow.energy.modes
        if (greatest := float(jnp.abs(modes.lam).max())) == 0:
            return
        longest = 1 / greatest
        for step in (longest * 3 / 8, longest * 13 / 8, *([] if self.taken is None else [float(self.taken)])):
            at = {self.step: Fraction(step), **parameters}

            def expected(curvatures: np.ndarray, at: Mapping[str, Fraction] = at) -> np.ndarray:
                return np.array([
                    reading.amplification.numbers({LAM: Fraction(lam), **at}) for lam in curvatures.tolist()
                ])  # fmt: skip

            check_on_own_energy(Trial(flow, discretizer, step), expected)

    def on_arrays(self, lam: Any, step: Any) -> tuple[Flow, Discretizer, Any]:
        """Flow, scheme and step h on arrays of curvatures and of what varies, the parameters as floats."""
        flow, discretizer, family = self._parametrized(Mode(lam), lambda _, value: float(value))
        if family is None:
            return flow, discretizer, step
        method = family(Mode(lam), step)
        return method.flow, method.discretizer, method.step

    def parameters(self) -> dict[str, Fraction]:
        """The parameters' values as they were given, exactly, by symbol."""
        if self.family is not None:
            return symbols_of(self.family)
        return symbols_of_flow(self.flow) | symbols_of(self.discretizer, integers=False, suffix=_OF_SCHEME)

    def _read(self, convert: Callable[[str, Fraction], Any] | None, names: tuple[str, ...]) -> ModeReading:
        def build(generators: Mapping[str, Exact]) -> tuple[Flow, Discretizer, Any]:
            mode, step = ExactMode(generators[LAM]), generators[self.step]
            flow, discretizer, family = self._parametrized(mode, convert or (lambda name, _: generators[name]))
            if family is None:
                return flow, discretizer, step
            method = family(self._energy(mode), step)
            return method.flow, method.discretizer, method.step

        return ModeReading(read_amplification((LAM, self.step, *names), build), self.step)

    def _energy(self, mode: Energy) -> Energy:
        """The mode, beside nothing where it is the smooth part of a sum."""
        energy = self.flow.energy
        if isinstance(energy, Composite) and isinstance(energy.nonsmooth, NoPenalty):
            return Composite(mode, energy.nonsmooth)
        return mode

    def _parametrized(self, mode: Energy, convert: Convert) -> tuple[Flow, Discretizer, Any]:
        """Flow, scheme and family with the mode as energy and every number among their parameters converted."""
        mode = self._energy(mode)
        if self.family is not None:
            return self.flow, self.discretizer, with_parameters(self.family, convert)
        return (
            flow_converted(self.flow, mode, convert),
            with_parameters(self.discretizer, convert, False, _OF_SCHEME),
            None,
        )


def generator(element: PolyElement, name: str) -> PolyElement:
    """The generator of that name of the ring that an element lies in."""
    return next(gen for gen in element.ring.gens if str(gen) == name)
