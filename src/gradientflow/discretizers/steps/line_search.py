"""Line searches: step rules that try steps of the scheme, and look where they lead.

Each works with every scheme without memory, on every flow along which E falls, the gradient flow first of all.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.flows import (
    FirstOrder,
    Flow,
    check_fraction,
    check_integer,
    check_positive,
    inner,
    inner_ratio,
    is_concrete,
    scaled_to_unit,
)
from gradientflow.flows.aliases import State, StepLength, Time

from ..discretizer import Discretizer
from ..schemes.euler import ForwardEuler
from ..step_rule import StepRule
from .line import Line, check_searchable, rounding

# Enough to narrow a bracket down to neighbouring numbers, in double precision, 10⁴⁰ times below its first end.
_MOST_HALVINGS = 200
_THREE_DECADES = tuple(digit / unit for unit in (100, 10, 1) for digit in range(1, 10))


class ExactLineSearch(StepRule):
    r"""The step to the first minimum of $\varphi(h) = E(x(\Phi_h(z)))$. With forward Euler: steepest descent.

    On quadratics, with forward Euler, $h = -\langle\nabla E, \dot x\rangle / \langle\dot x, H\dot x\rangle$: of the
    gradient flow $g^\top g/g^\top Hg$, after which successive gradients are orthogonal, and E − E* shrinks by
    $((\kappa-1)/(\kappa+1))^2$ at least. Otherwise steps are doubled from `initial`, or halved, until φ has stopped
    falling, and φ' = 0 is bisected to the last digit: it is the first minimum unless a doubling jumps over it, and E
    never rises by more than its rounding. At a stationary point the step is 0.

    Args:
        initial: the step that is tried first [T].
        longest: the step where E falls all the way to it [T].

    Raises:
        ValueError: if a number is not finite and positive.
        TypeError: when it runs, if the scheme has memory or the flow noise.

    References:
        A.-L. Cauchy, Méthode générale pour la résolution des systèmes d'équations simultanées, 1847.

    Example:
        >>> import gradientflow as gf
        >>> E = gf.Quadratic([[1.0, 0.0], [0.0, 9.0]])
        >>> run = gf.optimizers.gradient_descent(E, gf.ExactLineSearch()).iterate([9.0, 1.0], steps=2)
        >>> (run.energy[1:] / run.energy[:-1]).round(6).tolist()  # (8/10)²
        [0.64, 0.64]
    """

    equation: ClassVar[str] = "the h of the first minimum of E(x') along the step; on quadratics ⟨g, g⟩/⟨g, Hg⟩"
    initial: Any
    longest: Any

    def __init__(self, initial: Any = 1.0, longest: Any = 1e6) -> None:
        check_positive("ExactLineSearch", initial=initial, longest=longest)
        self.initial, self.longest = initial, longest

    def init(self, flow: Flow, discretizer: Discretizer, t: Time, z: State) -> Any:
        """No state; refuses schemes with memory and flows with noise."""
        check_searchable("ExactLineSearch", flow, discretizer, t, z)

    def __call__(self, flow: Flow, discretizer: Discretizer, t: Time, z: State, rule_state: Any) -> tuple[Any, Any]:
        """The first minimum of φ."""
        line = Line(flow, discretizer, t, z)
        straight = type(discretizer).step is ForwardEuler.step and type(flow).position is FirstOrder.position
        if straight and flow.energy.is_quadratic:
            return _to_the_vertex(self, line), rule_state
        return _to_the_minimum(self, line), rule_state


def _to_the_vertex(rule: ExactLineSearch, line: Line) -> jax.Array:
    x, velocity = line.velocity()
    gradient, (unit, scale) = line.flow.energy.grad(x), scaled_to_unit(velocity)
    downhill = inner(scaled_to_unit(gradient)[0], unit) < 0
    # Downhill the bend has the sign that the quotient lacks.
    ratio = inner_ratio(gradient, unit, unit, line.flow.energy.hvp(x, unit))
    return jnp.where(downhill, jnp.where(ratio < 0, -ratio / scale, line.length(rule.longest)), 0)


@eqx.filter_jit
def _to_the_minimum(rule: ExactLineSearch, line: Line) -> jax.Array:
    energy, slope, pace = line.start()
    longest = line.length(rule.longest)
    precision = jnp.finfo(longest.dtype).eps

    def falls(h: StepLength) -> Any:
        value, derivative = line.value_and_slope(h, pace)
        return (derivative < 0) & (value <= energy + rounding(energy))

    def grow(bracket: Any) -> Any:
        _, high, _ = bracket
        higher = jnp.minimum(2 * high, longest)
        return high, higher, falls(higher)

    def is_wide(bracket: Any) -> Any:
        low, high, halvings = bracket
        return (high - low > 2 * precision * high) & (halvings < _MOST_HALVINGS)

    def halve(bracket: Any) -> Any:
        low, high, halvings = bracket
        middle = (low + high) / 2
        short = falls(middle)
        return jnp.where(short, middle, low), jnp.where(short, high, middle), halvings + 1

    initial = jnp.minimum(line.length(rule.initial), longest)
    bracket = (jnp.zeros_like(initial), initial, falls(initial))
    low, high, falling = jax.lax.while_loop(lambda bracket: bracket[2] & (bracket[1] < longest), grow, bracket)
    # Where E falls all the way there is nothing to halve.
    low = jnp.where(falling, high, low)
    low, _, _ = jax.lax.while_loop(is_wide, halve, (low, high, 0))
    return jnp.where(slope < 0, low, 0)


class GridSearch(StepRule):
    """The step of a grid after which E is least.

    A step to where E is not finite loses to every other. The best is taken even if E rises with it: a grid should hold
    a step that is short enough. Where several are best, or none leads to a finite E, it is the shortest.

    Args:
        grid: positive numbers [T]; 0.01, …, 0.09, 0.1, …, 0.9, 1, …, 9 unless given.

    Raises:
        ValueError: if the grid is empty or one of its numbers not finite and positive.
        TypeError: when it runs, if the scheme has memory or the flow noise.

    References:
        J. Nocedal, S. J. Wright, Numerical Optimization, 2nd ed. 2006, chapter 3, for line searches.

    Example:
        >>> import gradientflow as gf
        >>> run = gf.optimizers.gradient_descent(gf.energy(lambda x: 2 * x**2), gf.GridSearch()).iterate(1.0, steps=1)
        >>> run.t.round(2).tolist(), run.x.round(2).tolist()
        ([0.0, 0.2], [1.0, 0.2])
    """

    equation: ClassVar[str] = "the h of a grid with the least E(x')"
    grid: Any

    def __init__(self, grid: Any = _THREE_DECADES) -> None:
        for h in np.ravel(grid) if is_concrete(grid) else ():
            check_positive("GridSearch", grid=h)
        if np.size(grid) == 0:
            raise ValueError("GridSearch: `grid` is empty; give steps to try, [0.01, 0.1, 1.0] say")
        self.grid = jnp.sort(jnp.ravel(jnp.asarray(grid, float)))

    def init(self, flow: Flow, discretizer: Discretizer, t: Time, z: State) -> Any:
        """No state; refuses schemes with memory and flows with noise."""
        check_searchable("GridSearch", flow, discretizer, t, z)

    def __call__(self, flow: Flow, discretizer: Discretizer, t: Time, z: State, rule_state: Any) -> tuple[Any, Any]:
        """The first of the grid's best."""
        line = Line(flow, discretizer, t, z)
        grid = line.length(self.grid)
        return grid[jnp.argmin(jax.vmap(line.value)(grid))], rule_state


class ArmijoSearch(StepRule):
    r"""Backtracking: the first of $h_0, \beta h_0, \beta^2h_0, \dots$ with $\varphi(h) \le \varphi(0) + ch\varphi'(0)$.

    Of the gradient flow: $E(x') \le E(x) - ch\|\nabla E(x)\|^2$. With forward Euler and an L-Lipschitz gradient that
    is so for all $h \le 2(1-c)/L$; the step is then no shorter than $\min(h_0, 2\beta(1-c)/L)$.

    Energies that are not finite count as too high. An increase of the computed E is never accepted: where the decrease
    asked for is below rounding, a step is taken once the energies are equal, and it is 0 if in no trial they are. So
    gradients get no smaller than about √(ε L |E*|), ε the unit of rounding; `WolfeSearch` looks at slopes there. Every
    search starts at h₀ again. At a stationary point forward Euler stays for every step, and h is h₀.

    Args:
        initial: h₀ [T].
        decrease: 0 ≤ c < 1, the part of the first-order decrease that is asked for.
        shrink: 0 < β < 1.
        trials: the most steps to try.

    Raises:
        ValueError: if a number is out of its range.
        TypeError: if `trials` is not an integer; when it runs, if the scheme has memory or the flow noise.

    References:
        L. Armijo, Minimization of functions having Lipschitz continuous first partial derivatives, Pacific J. Math. 16,
        1966.

    Example:
        >>> import gradientflow as gf
        >>> run = gf.optimizers.gradient_descent(gf.energy(lambda x: 2 * x**2), gf.ArmijoSearch()).iterate(1.0, steps=1)
        >>> run.t.tolist(), run.x.tolist()
        ([0.0, 0.25], [1.0, 0.0])
    """

    equation: ClassVar[str] = "the first h of h₀, βh₀, β²h₀, … with E(x') ≤ E(x) + ch ⟨∇E, ẋ⟩"
    initial: Any
    decrease: Any
    shrink: Any
    trials: Any

    def __init__(self, initial: Any = 1.0, decrease: Any = 0.5, shrink: Any = 0.5, trials: Any = 100) -> None:
        check_positive("ArmijoSearch", initial=initial, shrink=shrink)
        check_fraction("ArmijoSearch", decrease=decrease, shrink=shrink)
        check_integer("ArmijoSearch", 1, trials=trials)
        self.initial, self.decrease, self.shrink, self.trials = initial, decrease, shrink, trials

    def init(self, flow: Flow, discretizer: Discretizer, t: Time, z: State) -> Any:
        """No state; refuses schemes with memory and flows with noise."""
        check_searchable("ArmijoSearch", flow, discretizer, t, z)

    def __call__(self, flow: Flow, discretizer: Discretizer, t: Time, z: State, rule_state: Any) -> tuple[Any, Any]:
        """The longest of the steps that lower E enough."""
        return _backtrack(self, Line(flow, discretizer, t, z)), rule_state


@eqx.filter_jit
def _backtrack(rule: ArmijoSearch, line: Line) -> jax.Array:
    energy, slope, pace = line.start()
    descent = jnp.minimum(line.length(rule.decrease) * slope, 0)

    def enough(h: StepLength) -> Any:
        return line.value(h) <= energy + h * pace * descent

    def shorter(trial: Any) -> Any:
        h, _, tried = trial
        h = h * line.length(rule.shrink)
        return h, enough(h), tried + 1

    first = line.length(rule.initial)
    trial = (first, enough(first), 1)
    h, found, _ = jax.lax.while_loop(lambda trial: ~trial[1] & (trial[2] < rule.trials), shorter, trial)
    return jnp.where(found, h, 0)


class WolfeSearch(StepRule):
    r"""The weak Wolfe conditions, $\varphi(h) \le \varphi(0) + ch\varphi'(0)$ and $\varphi'(h) \ge \sigma\varphi'(0)$.

    E has fallen enough, and no longer falls as steeply: the step is not too long and not too short. Found by bisection:
    a step without the first condition is an upper end, one with the first and without the second a lower end; while
    there is no upper end the step is doubled. On smooth energies that are bounded below this ends.

    Energies that are not finite count as too high. Where the decrease asked for is below rounding, the first condition
    is that of the parabola, $\varphi'(h) \le (2c-1)\varphi'(0)$, and E may rise by its rounding. If no step is found,
    the longest that met the first condition is taken, 0 if none did. At a stationary point forward Euler stays for
    every step, and h is `initial`.

    Args:
        initial: the step that is tried first [T].
        decrease: 0 ≤ c < 1, the part of the first-order decrease that is asked for.
        curvature: c < σ < 1, the part of the steepness that may remain.
        longest: the step where both E and φ' say longer [T].
        trials: the most steps to try.

    Raises:
        ValueError: if a number is out of its range, or `curvature` not above `decrease`.
        TypeError: if `trials` is not an integer; when it runs, if the scheme has memory or the flow noise.

    References:
        P. Wolfe, Convergence conditions for ascent methods, SIAM Review 11, 1969; A. S. Lewis, M. L. Overton, Nonsmooth
        optimization via quasi-Newton methods, Math. Program. 141, 2013, algorithm 2.6; W. W. Hager, H. Zhang, A new
        conjugate gradient method with guaranteed descent and an efficient line search, SIAM J. Optim. 16, 2005 (slopes
        where energies are rounding).

    Example:
        >>> import gradientflow as gf
        >>> rule = gf.WolfeSearch(initial=1.0, curvature=0.1)
        >>> gf.optimizers.gradient_descent(gf.energy(lambda x: x**2 / 16), rule).iterate(1.0, steps=1).t.tolist()
        [0.0, 8.0]
    """

    equation: ClassVar[str] = "an h with E(x') ≤ E(x) + ch φ'(0) and φ'(h) ≥ σφ'(0)"
    initial: Any
    decrease: Any
    curvature: Any
    longest: Any
    trials: Any

    def __init__(
        self, initial: Any = 1.0, decrease: Any = 1e-4, curvature: Any = 0.9, longest: Any = 1e6, trials: Any = 100
    ) -> None:
        check_positive("WolfeSearch", initial=initial, longest=longest)
        check_fraction("WolfeSearch", decrease=decrease, curvature=curvature)
        check_integer("WolfeSearch", 1, trials=trials)
        if is_concrete(decrease, curvature) and curvature <= decrease:
            raise ValueError(
                f"WolfeSearch: `curvature` must be above decrease = {decrease}, got {curvature}; or no step may meet "
                "both"
            )
        self.initial, self.decrease, self.curvature = initial, decrease, curvature
        self.longest, self.trials = longest, trials

    def init(self, flow: Flow, discretizer: Discretizer, t: Time, z: State) -> Any:
        """No state; refuses schemes with memory and flows with noise."""
        check_searchable("WolfeSearch", flow, discretizer, t, z)

    def __call__(self, flow: Flow, discretizer: Discretizer, t: Time, z: State, rule_state: Any) -> tuple[Any, Any]:
        """A step that is neither too long nor too short."""
        return _bisect_wolfe(self, Line(flow, discretizer, t, z)), rule_state


@eqx.filter_jit
def _bisect_wolfe(rule: WolfeSearch, line: Line) -> jax.Array:
    energy, slope, pace = line.start()
    descent, longest = jnp.minimum(slope, 0), line.length(rule.longest)
    decrease, curvature = line.length(rule.decrease), line.length(rule.curvature)

    def advance(search: Any) -> Any:
        h, low, high, _, tried = search
        value, derivative = line.value_and_slope(h, pace)
        fall, unit = decrease * (h * pace) * descent, rounding(energy)
        level = (value <= energy + unit) & (derivative <= (2 * decrease - 1) * descent)
        short_enough = jnp.where(-fall > unit, value <= energy + fall, level) & jnp.isfinite(derivative)
        done = short_enough & ((derivative >= curvature * descent) | (h >= longest))
        low, high = jnp.where(short_enough, h, low), jnp.where(short_enough, high, h)
        further = jnp.where(jnp.isinf(high), jnp.minimum(2 * h, longest), (low + high) / 2)
        return jnp.where(done, h, further), low, high, done, tried + 1

    first = jnp.minimum(line.length(rule.initial), longest)
    search = (first, jnp.zeros_like(first), jnp.full_like(first, jnp.inf), jnp.asarray(False), 0)
    h, low, _, done, _ = jax.lax.while_loop(lambda search: ~search[3] & (search[4] < rule.trials), advance, search)
    return jnp.where(done, h, low)
