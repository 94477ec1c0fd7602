r"""What must hold for a worst case to be bounded: quadratic forms that are nonnegative on every energy of the class.

E ∈ F_{μ,L} enters only through finitely many points: values, gradients and points $(x_i, g_i, E_i)$ belong to some
such E if and only if, for all i and j,

$$I_{ij} = E_i - E_j - \langle g_j, x_i - x_j\rangle - \frac{1}{2(1-\mu/L)}\Big(\frac1L\|g_i - g_j\|^2
+ \mu\|x_i - x_j\|^2 - \frac{2\mu}{L}\langle g_i - g_j, x_i - x_j\rangle\Big) \ge 0.$$

So a quadratic form $T$ in points, gradients and values is nonnegative where $T = \sum\lambda_{ij}I_{ij} + S$ with
λ ≥ 0 and S a positive semidefinite form without values. Everything here works on arrays of floats and of fractions.

References:
    A. B. Taylor, J. M. Hendrickx, F. Glineur, Smooth strongly convex interpolation and exact worst-case performance of
    first-order methods, Math. Programming 161, 2017, theorem 4.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from ..exact.inertia import inertia
from .forms import combined_forms, integers, over, product, rows_times

Pair = tuple[int, int]
# What a solver leaves of a square that can't be held, relative to the greatest.
_FLAT = 1e-6


class Points(NamedTuple):
    """Points at which an energy is known, as rows of coordinates in a basis of vectors; the first is the minimizer.

    Attributes:
        x: the points less the minimizer, (k + 1, d).
        gradients: (k + 1, d).
        names: of all points, for proofs.
    """

    x: np.ndarray
    gradients: np.ndarray
    names: tuple[str, ...]


class Further(NamedTuple):
    """What is known beside the Iᵢⱼ: forms with coefficients of values, and of numbers that are no energy's, ≥ 0.

    Attributes:
        forms: (q, d, d).
        values: coefficients of E₁ − E*, …, Eₖ − E*, then of further numbers, (q, k + l).
        names: of each, in LaTeX.
        units: what each is counted in.
        far: how far apart the points are that each connects, as `Inequalities.far`.
    """

    forms: np.ndarray
    values: np.ndarray
    names: tuple[str, ...]
    units: tuple[Fraction, ...]
    far: tuple[float, ...]


def points(x: Any, gradients: Any, names: Sequence[str]) -> Points:
    """The minimizer, then the points given by their rows."""
    zero = np.zeros((1, x.shape[1]), dtype=x.dtype)
    return Points(np.vstack([zero, x]), np.vstack([zero, gradients]), ("*", *names))


@dataclasses.dataclass(frozen=True)
class Inequalities:
    """The forms Iᵢⱼ over all ordered pairs of points: what is known of an energy in F_{μ,L} at some points.

    Attributes:
        at: the points.
        mu: μ.
        inverse_L: 1/L; 0 where there is no bound above.
        further: what else is known.
        chosen: of which pairs of points the forms are used, where not of all.
    """

    at: Points
    mu: Any
    inverse_L: Any
    further: Further | None = None
    chosen: tuple[Pair, ...] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Of all inequalities, in LaTeX."""
        names = self.at.names
        return (
            *(rf"I_{{{names[i]},{names[j]}}}" for i, j in self.pairs),
            *(self.further.names if self.further else ()),
        )

    @functools.cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """i and j, by index; 0 is the minimizer."""
        count = len(self.at.names)
        if self.chosen is not None:
            known = {(i, j) for i in range(count) for j in range(count) if i != j}
            if not known.issuperset(self.chosen) or len(set(self.chosen)) < len(self.chosen):
                raise ValueError(f"pairs of {count} points, each once, are asked for, got {self.chosen}")
            return self.chosen
        return tuple((i, j) for i in range(count) for j in range(count) if i != j)

    @property
    def far(self) -> tuple[float, ...]:
        """How far apart the points of each are, in the order of the run; the minimizer is near to all."""
        own = (1.0 if not i else 3.0 if not j else 2 * abs(i - j) - 1 + (i > j) / 2 for i, j in self.pairs)
        return (*own, *(self.further.far if self.further else ()))

    @functools.cached_property
    def values(self) -> np.ndarray:
        """The coefficients of E₁ − E*, …, Eₖ − E* and of further numbers, (p, k + l)."""
        unit = np.eye(len(self.at.names), dtype=int)[:, 1:].astype(self.at.x.dtype)
        values = unit[self._first] - unit[self._second]
        if self.further is None:
            return values
        beside = self.further.values.shape[1] - values.shape[1]
        none = np.zeros((len(values), beside), dtype=int).astype(values.dtype)
        return np.vstack([np.hstack([values, none]), self.further.values])

    @functools.cached_property
    def forms(self) -> np.ndarray:
        """The matrices, (p, d, d)."""
        forms = self._form(product)
        return forms if self.further is None else np.concatenate([forms, self.further.forms])

    @functools.cached_property
    def squares(self) -> np.ndarray:
        """Of which vectors some form holds the square, (d,)."""
        x, g, _ = self.at
        if self.inverse_L and self.mu >= 0:
            # I of i and the minimizer holds (g − μx)²/L + μ(1 − μ/L)x², with a factor.
            held = (g != g[0]).any(axis=0) | ((x != 0).any(axis=0) & bool(self.mu))
        else:
            held = (self._form(lambda a, b: a * b) != 0).any(axis=0)
        if self.further is None:
            return held
        return held | (np.diagonal(self.further.forms, axis1=-2, axis2=-1) != 0).any(axis=0)

    def __matmul__(self, vector: np.ndarray) -> np.ndarray:
        """Every matrix times a vector, (p, d)."""
        half, (x, g, _) = _half(self.at.x), self.at
        (i, j), along_x, along_g = (self._first, self._second), x @ vector, g @ vector
        moved, turned = along_x[i] - along_x[j], along_g[i] - along_g[j]
        # Iᵢⱼ's matrix times it is a combination of xᵢ − xⱼ, gᵢ − gⱼ and gⱼ.
        both = self._bend * self.mu * self.inverse_L
        of_x = both * turned - half * along_g[j] - self._bend * self.mu * moved
        of_g = both * moved - self._bend * self.inverse_L * turned
        images = rows_times((of_x, x[i]), (-of_x, x[j]), (of_g, g[i]), (-of_g - half * moved, g[j]))
        if self.further is None:
            return images
        (forms, of_forms), (entries, of_entries) = self._further_as_integers, integers(vector)
        return np.concatenate([images, over(of_forms * of_entries, forms @ entries)])

    @functools.cached_property
    def _further_as_integers(self) -> tuple[np.ndarray, int]:
        return integers(self.further.forms if self.further else np.zeros(()))

    def combined(self, multipliers: Sequence[Any]) -> np.ndarray:
        """The matrix of Σ λᵢⱼIᵢⱼ, without forming any of them, and of what else is known."""
        if self.further is not None:
            own, others = multipliers[: len(self.pairs)], multipliers[len(self.pairs) :]
            return dataclasses.replace(self, further=None).combined(own) + combined_forms(others, self.further.forms)
        weights = np.zeros((len(self.at.x), len(self.at.x)), dtype=self.at.x.dtype)
        weights[self._first, self._second] = multipliers
        (x, of_x), (g, of_g), (weights, of_weights) = map(integers, (self.at.x, self.at.gradients, weights))
        received = np.diag(weights.sum(axis=0))
        # Σ λᵢⱼ(eᵢ − eⱼ)(eᵢ − eⱼ)ᵀ is a graph's Laplacian.
        laplacian = np.diag(weights.sum(axis=1)) + received - weights - weights.T
        mixed, bend = of_g * of_x * of_weights, self._bend
        parts = [
            (-1, mixed, g.T @ ((weights.T - received) @ x)),
            (-bend * self.inverse_L, of_g * of_g * of_weights, g.T @ (laplacian @ g)),
            (-bend * self.mu, of_x * of_x * of_weights, x.T @ (laplacian @ x)),
            (2 * bend * self.mu * self.inverse_L, mixed, g.T @ (laplacian @ x)),
        ]
        if x.dtype != object:
            form = sum((c * part for c, _, part in parts), start=np.zeros((x.shape[1], x.shape[1])))
            return (form + form.T) / 2
        factors = [Fraction(c) / of_part for c, of_part, _ in parts]
        common = math.lcm(*(factor.denominator for factor in factors))
        scaled = (factor.numerator * (common // factor.denominator) for factor in factors)
        form: Any = sum(factor * part for factor, (_, _, part) in zip(scaled, parts, strict=True))
        return over(2 * common, form + form.T)

    @property
    def scale(self) -> Any:
        """1 − μ/L, by which the forms would have coefficients of size one."""
        return 1 - self.mu * self.inverse_L

    @property
    def _bend(self) -> Any:
        return 1 / (2 * self.scale)

    @functools.cached_property
    def _first(self) -> list[int]:
        return [i for i, _ in self.pairs]

    @functools.cached_property
    def _second(self) -> list[int]:
        return [j for _, j in self.pairs]

    def _form(self, times: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
        """The formula of Iᵢⱼ for any symmetric bilinear product."""
        x, g, _ = self.at
        dx, dg = x[self._first] - x[self._second], g[self._first] - g[self._second]
        form = -times(g[self._second], dx)
        # What has the factor 0 would cost as much as the rest: fractions are slow.
        for factor, a, b in (
            (self.inverse_L, dg, dg), (self.mu, dx, dx), (-2 * self.mu * self.inverse_L, dg, dx)
        ):  # fmt: skip
            if factor:
                form = form - times(a, b) * (self._bend * factor)
        return form


def _half(like: np.ndarray) -> Any:
    """1/2: integers stand among fractions, and Python's quotient of two integers is a float."""
    return Fraction(1, 2) if like.dtype == object else 0.5


@dataclasses.dataclass(frozen=True)
class Condition:
    """That a form, linear in unknown weights w, is nonnegative on the class: T₀ + Σ wₖTₖ = Σ λᵢⱼIᵢⱼ + S.

    Attributes:
        statement: the form, in LaTeX.
        constant: T₀'s matrix, (d, d), and its coefficients of values, (k,).
        terms: the matrices of the Tₖ, (w, d, d), and their coefficients of values, (w, k).
        inequalities: the Iᵢⱼ.
        basis: the names of the vectors that forms are in, in LaTeX.
        flat: of which vectors S is to hold nothing, where that was found out.
    """

    statement: str
    constant: tuple[np.ndarray, np.ndarray]
    terms: tuple[np.ndarray, np.ndarray]
    inequalities: Inequalities
    basis: tuple[str, ...]
    flat: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """d, how many vectors forms are in."""
        return self.constant[0].shape[0]

    def as_floats(self) -> "Condition":
        """The same in floating point."""
        known = self.inequalities
        x, gradients, names = known.at
        at = Points(x.astype(float), gradients.astype(float), names)
        further = known.further and known.further._replace(
            forms=known.further.forms.astype(float), values=known.further.values.astype(float)
        )
        constant, terms = (
            (matrices.astype(float), values.astype(float)) for matrices, values in (self.constant, self.terms)
        )
        inexact = Inequalities(at, float(known.mu), float(known.inverse_L), further, known.chosen)
        return dataclasses.replace(self, constant=constant, terms=terms, inequalities=inexact)

    @property
    def unsupported(self) -> np.ndarray:
        """The vectors whose square S never holds: then S ⪰ 0 only if it holds no product with them either."""
        terms = np.diagonal(self.terms[0], axis1=-2, axis2=-1)
        held = (self.constant[0].diagonal() != 0) | (terms != 0).any(axis=0) | self.inequalities.squares
        held[list(self.flat)] = False
        return np.flatnonzero(~held.astype(bool))

    def flattened(self, weights: Sequence[Any], multipliers: Sequence[Any]) -> "Condition":
        """The same, S holding nothing of the vectors of which it holds nothing for these floats."""
        sizes = np.abs(self.as_floats().remainder(weights, multipliers)).diagonal()
        return dataclasses.replace(self, flat=tuple(np.flatnonzero(sizes <= _FLAT * sizes.max()).tolist()))

    def equations(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What weights and multipliers must satisfy: rows over the Tₖ, over the Iᵢⱼ, and what they sum to."""
        return self._equations

    @functools.cached_property
    def _equations(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.annihilating(np.eye(self.size, dtype=int).astype(self.constant[0].dtype)[self.unsupported])

    def annihilating(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What they must satisfy for values to cancel and S to annihilate these vectors, (v, d)."""
        constant, terms, known = (
            np.concatenate([values, *(matrices @ vector for vector in vectors)], axis=-1)
            for matrices, values in (self.constant, self.terms, (self.inequalities, self.inequalities.values))
        )
        return terms.T, -known.T, -constant

    def remainder(self, weights: Sequence[Any], multipliers: Sequence[Any]) -> np.ndarray:
        """S's matrix."""
        return self.constant[0] + combined_forms(weights, self.terms[0]) - self.inequalities.combined(multipliers)

    def excess(self, weights: Sequence[Any], multipliers: Sequence[Any]) -> np.ndarray:
        """The coefficients of values that are left, and must vanish."""
        known = combined_forms(multipliers, self.inequalities.values)
        return self.constant[1] + combined_forms(weights, self.terms[1]) - known

    def balanced(self, weights: Sequence[Fraction], multipliers: Sequence[Fraction]) -> list[Fraction]:
        """Multipliers raised until values cancel: what is missing of Eᵢ is taken from Iᵢ⁎ or I⁎ᵢ, whichever adds.

        What is missing of a further number, the last first, is taken from an inequality that holds it and none of those
        before: where that raises its multiplier, and from the largest multiplier otherwise.
        """
        raised, known = list(multipliers), self.inequalities
        energies, count = len(known.at.names) - 1, known.values.shape[1]
        for k in reversed(range(energies, count)):
            missing = self.excess(weights, raised)[k]
            if not missing:
                continue
            held = (known.values[:, k] != 0) & ~(known.values[:, k + 1 :] != 0).any(axis=1)
            alone = held & ~(known.values[:, energies:k] != 0).any(axis=1)
            holders = np.flatnonzero(alone if alone.any() else held).tolist()
            adding = [i for i in holders if missing / known.values[i, k] > 0]
            chosen = adding[0] if adding and alone.any() else max(holders, key=lambda i: raised[i])
            raised[chosen] += missing / known.values[chosen, k]
        for k, missing in enumerate(self.excess(weights, raised)[:energies], start=1):
            pair = (k, 0) if missing > 0 else (0, k)
            raised[self.inequalities.pairs.index(pair)] += abs(missing)
        return raised

    def holds(self, weights: Sequence[Fraction], multipliers: Sequence[Fraction]) -> bool:
        """Whether these numbers prove it: λ ≥ 0, values cancel and S ⪰ 0, in exact arithmetic.

        Raises:
            TypeError: if a number is a float.
        """
        known = self.inequalities
        forms = (self.constant[0], self.terms[0], known.at.x, known.at.gradients, *(known.further or ())[:2])
        given = (*weights, *multipliers, known.mu, known.inverse_L)
        if any(form.dtype != object for form in forms) or any(isinstance(number, float) for number in given):
            raise TypeError("a certificate is checked on fractions: a float is rounded")
        if any(m < 0 for m in multipliers) or any(self.excess(weights, multipliers)):
            return False
        matrix = [[Fraction(entry) for entry in row] for row in self.remainder(weights, multipliers)]
        return inertia(matrix).negative == 0
