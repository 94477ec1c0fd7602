"""What a worst case is asked about: a scheme or a flow read exactly, on a class of energies, in balanced units."""

import dataclasses
import math
from fractions import Fraction
from typing import Any

import equinox as eqx
import numpy as np
import scipy.linalg

from gradientflow.discretizers import ExactLineSearch, Method, as_step_rule
from gradientflow.flows import Energy, Flow, with_energy
from gradientflow.flows.checks import in_a_line

from ..exact.state_space import StateSpace
from ..exact.subject import exact_number, read_descent, read_run, read_subject, refuse_sums
from .decrease import Bounds
from .sums import rest_of_sum

# Curvatures between μ and L at which the slowest quadratic is looked for.
_CURVATURES = 201
_OF_G = 13
# Where there is no bound L, the largest curvature that is looked at, times the scale 1/h.
_FAR = 1e6


@dataclasses.dataclass(frozen=True)
class EnergyClass:
    """F_{μ,L}: the μ-strongly convex energies whose gradient is L-Lipschitz. Units of μ and L: E/X².

    Attributes:
        mu: μ; 0 is convex, −L smooth and nothing more.
        L: L > μ, or `None` where there is no bound above.
        indicator: whether only 0 and ∞ are values: of the convex energies those that are a set.
    """

    mu: Fraction
    L: Fraction | None
    indicator: bool = False

    @property
    def bounds(self) -> tuple[Fraction, Fraction]:
        """μ and 1/L."""
        return self.mu, Fraction(0) if self.L is None else 1 / self.L

    def counted_in(self, unit: Fraction) -> "EnergyClass":
        """The class of the energies E/unit."""
        return dataclasses.replace(self, mu=self.mu / unit, L=None if self.L is None else self.L / unit)

    def __str__(self) -> str:
        """`F(μ, L)` with its numbers."""
        if self.indicator:
            return "the indicators of convex sets"
        return f"F({float(self.mu):g}, {'∞' if self.L is None else format(float(self.L), 'g')})"


def class_of_g(where: str, nonsmooth: Any) -> EnergyClass:
    """The class of the g of a sum: a pair of bounds, or that it is an indicator.

    Raises:
        ValueError: if it is neither, or as `energy_class`.
    """
    if isinstance(nonsmooth, str) and nonsmooth == "indicator":
        return EnergyClass(Fraction(0), None, indicator=True)
    if not isinstance(nonsmooth, (tuple, list)) or len(nonsmooth) != 2:
        raise ValueError(
            f"{where}: `nonsmooth` must be a pair (mu, L) of g, or 'indicator', got {in_a_line(nonsmooth)}"
        )
    return energy_class(where, *nonsmooth, strongly=False, convex=False)


def refuse_what_is_no_sum(where: str, asked: "Problem", of_g: EnergyClass) -> None:
    """Refuses a class for the g of a method that has none, and one that makes the sum not convex.

    Raises:
        ValueError: saying so.
    """
    if asked.nonsmooth is None and of_g != EnergyClass(Fraction(0), None):
        raise ValueError(f"{where}: `nonsmooth` is of the g of a Composite(f, g), and this is no method of one")
    if asked.nonsmooth is not None and asked.energies.mu + of_g.mu < 0:
        raise ValueError(
            f"{where}: a weakly convex g needs an f that is as strongly convex, or their sum has no one minimizer: got "
            f"mu = {float(asked.energies.mu):g} of f and {float(of_g.mu):g} of g"
        )


def energy_class(where: str, mu: Any, L: Any, strongly: bool, convex: bool = True) -> EnergyClass:
    """The class, its bounds taken as the rationals that they are.

    Args:
        where: the function that asks, for the message.
        mu: μ.
        L: L, or ∞.
        strongly: whether μ must be positive.
        convex: whether μ must not be negative.

    Raises:
        ValueError: if μ or L is no number, is negative, or μ ≥ L.
    """
    low, high = (exact_number(where, name, value) for name, value in (("mu", mu), ("L", L)))
    if low is None or (convex and low < 0):
        raise ValueError(f"{where}: `mu` must be finite{' and not negative' * convex}, got {mu}")
    if strongly and low == 0:
        raise ValueError(
            f"{where}: `mu` must be positive: on convex energies no rate holds; ask worst_case_bound for N steps"
        )
    if high is not None and high <= 0:
        raise ValueError(f"{where}: `L` must be positive (math.inf for no bound), got {L}")
    if high is not None and low >= high:
        remedy = "; with mu = L there is one energy only, a quadratic: ask stability" if low == high else ""
        raise ValueError(f"{where}: `mu` must be less than `L`, got mu = {mu} and L = {L}{remedy}")
    return EnergyClass(low, high)


@dataclasses.dataclass(frozen=True)
class Problem:
    """A linear system in balanced units, on a class of energies in the same units.

    Attributes:
        subject: the method or flow.
        energies: the class, as it was asked about.
        space: the system, its gradients counted in `unit` and its states scaled.
        unit: what gradients are counted in [E/X²]: L where it is finite.
        scales: what each state is counted in.
        mu: μ/unit.
        inverse_L: unit/L, or 0.
        following: the systems of the steps after the first, where they are others.
        nonsmooth: of a sum f + g the class of g, in the same units; else `None`.
        assuming: what else is assumed of the energy, by name, with its number in the same units.
        searched: whether each step goes against the gradient, to where E is least along it.
    """

    subject: Method | Flow
    energies: EnergyClass
    space: StateSpace
    unit: Fraction
    scales: tuple[Fraction, ...]
    mu: Fraction
    inverse_L: Fraction
    following: tuple[StateSpace, ...] = ()
    nonsmooth: EnergyClass | None = None
    assuming: tuple[tuple[str, Fraction], ...] = ()
    searched: bool = False

    def bounds(self, number: type = Fraction) -> Bounds:
        """The class in fractions, or in floats."""
        of_g = self.nonsmooth and tuple(map(number, self.nonsmooth.bounds))
        return Bounds(number(self.mu), number(self.inverse_L), of_g, self.unit)

    def step(self, k: int) -> StateSpace:
        """The system of step k; after the last one it stays."""
        return self.following[min(k, len(self.following)) - 1] if k and self.following else self.space

    def is_of(self, subject: Method | Flow, energies: EnergyClass) -> bool:
        """Whether it was read from this very method or flow, on this class."""
        return self.subject is subject and self.energies == energies

    @property
    def is_flow(self) -> bool:
        """Whether it is about continuous time."""
        return isinstance(self.subject, Flow)

    @property
    def curvatures(self) -> np.ndarray:
        """Curvatures of quadratics, in `unit`s, from μ to L, (k, 1); of a sum those of each gradient's part, (k, m)."""
        own = _grid(self.mu, self.inverse_L, _CURVATURES)
        if self.nonsmooth is None:
            return own[:, None]
        pairs = np.meshgrid(own, _grid(*self.nonsmooth.bounds, _OF_G), indexing="ij")
        return np.stack(pairs, axis=-1).reshape(-1, 2)[:, list(self.space.parts)]

    def slowest(self) -> tuple[float, float]:
        """Of quadratics: the slowest factor a step (or rate per unit time of a flow), and the curvature it is at."""
        curvatures, slowness = self.over_curvatures()
        # Many curvatures may be equally slow, up to rounding: the least is told.
        place = int(np.flatnonzero(slowness >= slowness.max() - 1e-12 * np.abs(slowness).max())[0])
        rate = -slowness[place] if self.is_flow else slowness[place]
        return float(rate), float(curvatures[place])

    def over_curvatures(self) -> tuple[np.ndarray, np.ndarray]:
        """Quadratics' curvatures, of a sum f's, in the user's unit; the factor a step; of a flow minus the rate."""
        curvatures, loops = self.space.as_floats().closed_loop(self.curvatures)
        eigenvalues = np.linalg.eigvals(loops)
        slowness = eigenvalues.real.max(axis=-1) if self.is_flow else np.abs(eigenvalues).max(axis=-1)
        return curvatures[:, self._of_f] * float(self.unit), slowness

    @property
    def _of_f(self) -> int:
        """A gradient that is f's."""
        return self.space.parts.index(0) if 0 in self.space.parts else 0


def _grid(mu: Fraction, inverse_L: Fraction, count: int) -> np.ndarray:
    low = float(mu)
    high = float(1 / inverse_L) if inverse_L else max(low, 1.0) * _FAR
    start = low if low > 0 else high / _FAR
    return np.unique([low, *np.geomspace(start, high, count)[1:-1], *np.linspace(low, high, count)])


def problem(
    where: str, subject: Any, energies: EnergyClass, flows: bool = False, nonsmooth: EnergyClass | None = None
) -> Problem:
    """A method or a flow on a class, read exactly, without what nothing depends on.

    Args:
        where: the function that asks, for the message.
        subject: a method or a flow.
        energies: the class; of a sum f + g that of f.
        flows: whether it may be a flow.
        nonsmooth: the class of g, where sums are answered.

    Raises:
        TypeError: if it is neither, or the method's step is not a constant; or it is of a sum, and that is not
            answered.
        NotExactError: if it can't be read exactly.
    """
    space = read_subject(where, subject, flows, sums=nonsmooth is not None)
    is_sum = isinstance(subject, Method) and subject.flow.energy.nonsmooth is not None
    if is_sum:
        rest_of_sum(where, space)
        space = space.relying_on_used()
    asked = balanced(subject, energies, space.minimal())
    return dataclasses.replace(asked, nonsmooth=nonsmooth.counted_in(asked.unit)) if is_sum and nonsmooth else asked


def run_problem(
    where: str, method: Any, energies: EnergyClass, steps: int, nonsmooth: EnergyClass | None = None
) -> Problem:
    """N steps of a method on a class, read exactly: with a constant step, or each by itself.

    Args:
        where: the function that asks, for the message.
        method: the method.
        energies: the class; of a sum f + g that of f.
        steps: N.
        nonsmooth: the class of g, where sums are answered.

    Raises:
        TypeError: if it is no method, or its steps depend on the state; or it is of a sum, and that is not answered.
        NotExactError: if it can't be read exactly.
    """
    if isinstance(method, Method) and isinstance(as_step_rule(method.step), ExactLineSearch):
        refuse_sums(where, method)
        asked = balanced(method, energies, read_descent(where, method), scaled=False)
        return dataclasses.replace(asked, searched=True)
    read = read_run(where, method, steps)
    is_sum = method.flow.energy.nonsmooth is not None
    first, *others = (space.relying_on_used() for space in read) if is_sum else read
    if nonsmooth is None:
        refuse_sums(where, method)
    scaled = not others and not is_sum
    asked = balanced(method, energies, first.minimal() if scaled else first, scaled)
    following = tuple(space.with_gradients_in(asked.unit) for space in others)
    of_g = nonsmooth.counted_in(asked.unit) if is_sum and nonsmooth is not None else None
    return dataclasses.replace(asked, following=following, nonsmooth=of_g)


def on_energy(method: Any, energy: Energy) -> Method:
    """A method on another energy."""
    return eqx.tree_at(lambda m: m.flow, method, with_energy(method.flow, energy))


def balanced(subject: Method | Flow, energies: EnergyClass, space: StateSpace, scaled: bool = True) -> Problem:
    """A system on a class, in balanced units; its states too, unless others of their like follow."""
    gain = max((abs(float(entry)) for entry in space.B.ravel()), default=1.0) or 1.0
    unit = Fraction(2) ** -math.frexp(gain)[1] if energies.L is None else energies.L
    space = space.with_gradients_in(unit)
    scales = _balancing(space) if scaled else (Fraction(1),) * space.states
    inverse_L = Fraction(0) if energies.L is None else unit / energies.L
    return Problem(subject, energies, space.with_states(scales), unit, scales, energies.mu / unit, inverse_L)


def _balancing(space: StateSpace) -> tuple[Fraction, ...]:
    """Powers of two that bring the states to one size, the position keeping its own."""
    floats = space.as_floats()
    loop = np.block([[floats.A, floats.B], [floats.C, floats.D]])
    _, (scaling, _) = scipy.linalg.matrix_balance(loop, permute=False, separate=True)
    powers = [round(math.log2(scale)) for scale in scaling[: space.states].tolist()]
    return tuple(Fraction(2) ** (power - powers[0]) for power in powers)


def plus_g(asked: Problem) -> str:
    """The class of g, of a sum f + g."""
    if asked.nonsmooth is None:
        return ""
    return f" + g, g in {asked.nonsmooth.counted_in(1 / asked.unit)}"
