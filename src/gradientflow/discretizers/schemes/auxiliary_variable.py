r"""Schemes with an auxiliary variable r for $\sqrt{E + C}$: r² falls whatever the step, and E itself need not.

The gradient flow is written $\dot x = -\tfrac r{\sqrt{E + C}}\nabla E$ and
$\dot r = \tfrac1{2\sqrt{E + C}}\langle\nabla E, \dot x\rangle$. With r taken implicitly its equation is linear: one
gradient and one value a step, no system. The flow keeps $r = \sqrt{E + C}$; the scheme does not.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from gradientflow.flows import Flow, UnansweredQuestionError, check_fraction, check_number, inner
from gradientflow.flows.aliases import State, StepLength, Time

from ..discretizer import Discretizer


class _AuxiliaryVariable(Discretizer):
    """What they share: the constant, and where r starts."""

    constant: Any

    def __init__(self, constant: Any = 1.0) -> None:
        check_number(type(self).__name__, constant=constant)
        self.constant = constant

    def _root(self, flow: Flow, z: State) -> Any:
        """√(E + C) at a state; NaN where that is negative."""
        if not flow.is_gradient_flow:
            raise UnansweredQuestionError(flow, "drift", "auxiliary variables are for ẋ = −∇E(x) and nothing else")
        return jnp.sqrt(flow.energy.value(flow.position(z)) + self.constant)

    def init(self, flow: Flow, t: Time, z: State, h: StepLength) -> Any:
        """√(E + C)."""
        return self._root(flow, z)

    def check_start(self, flow: Flow, t: Time, z: State, h: StepLength) -> None:
        """E + C must be positive."""
        value = float(flow.energy.value(flow.position(z)))
        if not value + float(self.constant) > 0:
            raise ValueError(
                f"{self.name}: E + constant must be positive wherever the run goes, got E = {value:.6g} at the start "
                f"and constant = {float(self.constant):g}; give more than {-value:.6g}"
            )


class ScalarAuxiliaryVariable(_AuxiliaryVariable):
    r"""SAV: $r' = r/(1 + \tfrac{h\|\nabla E\|^2}{2(E + C)})$, $x' = x - h\,\tfrac{r'}{\sqrt{E + C}}\nabla E$.

    "Unconditionally stable" is said of r²: $r'^2 - r^2 = -\tfrac{\|x' - x\|^2}h - (r' - r)^2$ for every h. So the
    lengths of all steps have a bound, $\sum\|x_{k+1} - x_k\|^2 \le h(E_0 + C)$, and nothing overflows. E itself rises
    where a step is too long: on a quadratic beyond h = 2/λ, until r has shrunk so far that the step in effect,
    $hr/\sqrt{E + C}$, is stable; that may be above the valley's floor, and r does not grow again. What lowers E itself
    by every step is `DiscreteGradient`.

    Order 1, for h short.

    Args:
        constant: C, with E + C > 0 wherever it goes [E].

    Raises:
        ValueError: on use, where E + C is not positive at the start.
        UnansweredQuestionError: on use, for flows other than the gradient flow.

    References:
        J. Shen, J. Xu, J. Yang, The scalar auxiliary variable (SAV) approach for gradient flows, J. Comput. Phys. 353,
        2018.
        X. Liu, J. Shen, X. Zhang, An efficient and robust scalar auxiliary variable based algorithm for discrete
        gradient systems arising from optimizations, SIAM J. Sci. Comput. 45, 2023.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.GradientFlow(gf.energy(lambda x: x**2 / 2))
        >>> run = gf.iterate(flow, gf.ScalarAuxiliaryVariable(100.0), 3.0, step=10.0, steps=3)
        >>> run.energy.round(1)  # forward Euler's limit is 2
        Array([  4.5, 161.5,  23.8,  11.5], dtype=...)
    """

    equation: ClassVar[str] = "r' = r/(1 + h‖∇E‖²/(2(E + C))), x' = x − h r'/√(E + C) ∇E"
    order: ClassVar[int | None] = 1
    series_order: ClassVar[int | None] = 0

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, *, memory: Any = None, **_: Any) -> tuple[Any, Any]:
        """The next position and r'."""
        return _fallen(flow, z, h, self._root(flow, z), memory)


class RelaxedAuxiliaryVariable(_AuxiliaryVariable):
    r"""Relaxed SAV: after each step r is brought back towards $\sqrt{E + C}$, as far as its fall allows.

    x' and r̃ are those of `ScalarAuxiliaryVariable`, and $r'^2 = \min(E(x') + C,\ \tilde r^2 + \eta\|x' - x\|^2/h)$: r²
    falls still, by $(1 - \eta)\|x' - x\|^2/h$ at least.

    Order 1.

    Args:
        constant: C, with E + C > 0 wherever it goes [E].
        relaxation: η, between 0 and 1.

    Raises:
        ValueError: if η is not between 0 and 1; on use, where E + C is not positive at the start.
        UnansweredQuestionError: on use, for flows other than the gradient flow.

    References:
        M. Jiang, Z. Zhang, J. Zhao, Improving the accuracy and consistency of the scalar auxiliary variable (SAV)
        method with relaxation, J. Comput. Phys. 456, 2022.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.GradientFlow(gf.energy(lambda x: x**2 / 2))
        >>> run = gf.iterate(flow, gf.RelaxedAuxiliaryVariable(), 3.0, step=0.1, steps=20)
        >>> round(float(run.x[-1]), 3), round(3 * 0.9**20, 3)  # forward Euler's
        (0.399, 0.365)
    """

    equation: ClassVar[str] = "SAV, then r'² = min(E(x') + C, r̃² + η‖x' − x‖²/h)"
    order: ClassVar[int | None] = 1
    series_order: ClassVar[int | None] = 0
    relaxation: Any

    def __init__(self, constant: Any = 1.0, relaxation: Any = 0.95) -> None:
        super().__init__(constant)
        check_fraction("RelaxedAuxiliaryVariable", relaxation=relaxation)
        self.relaxation = relaxation

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, *, memory: Any = None, **_: Any) -> tuple[Any, Any]:
        """The next position and r', which never exceeds r."""
        after, r = _fallen(flow, z, h, self._root(flow, z), memory)
        allowed = jnp.sqrt(r**2 + self.relaxation * inner(after - z, after - z) / h)
        return after, jnp.minimum(self._root(flow, after), allowed)


class VectorAuxiliaryVariable(_AuxiliaryVariable):
    r"""An auxiliary variable for every coordinate: $r_i' = r_i/(1 + \tfrac{h(\partial_iE)^2}{2(E + C)})$.

    $x_i' = x_i - h\,\tfrac{r_i'}{\sqrt{E + C}}\,\partial_iE$. Every $r_i^2$ falls by $(x_i' - x_i)^2/h$ at least: a
    steep coordinate gets short steps and a flat one keeps long ones, as in AdaGrad. That is AEGD. As with one r, E
    itself may rise.

    It has no order: for short h it follows another flow, $\dot x_i = -\tfrac{r_i}{\sqrt{E + C}}\,\partial_iE$ with
    $\dot r_i = -\tfrac{(\partial_iE)^2}{2(E + C)}\,r_i$, where every r_i falls by its own share of the fall of E alone
    and stays above $\sqrt{E + C}$.

    Args:
        constant: C, with E + C > 0 wherever it goes [E].

    Raises:
        ValueError: on use, where E + C is not positive at the start.
        UnansweredQuestionError: on use, for flows other than the gradient flow.

    References:
        H. Liu, X. Tian, AEGD: adaptive gradient descent with energy, Numer. Algebra Control Optim. 15, 2025.

    Example:
        >>> import gradientflow as gf
        >>> flow = gf.GradientFlow(gf.landscapes.bowl(1.0, 100.0))
        >>> run = gf.iterate(flow, gf.VectorAuxiliaryVariable(), [1.0, 1.0], step=0.5, steps=50)
        >>> bool(run.energy[-1] < 1e-9)  # forward Euler's limit is 0.02
        True
    """

    equation: ClassVar[str] = "rᵢ' = rᵢ/(1 + h(∂ᵢE)²/(2(E + C))), xᵢ' = xᵢ − h rᵢ'/√(E + C) ∂ᵢE"
    series_order: ClassVar[int | None] = 0

    def init(self, flow: Flow, t: Time, z: State, h: StepLength) -> Any:
        """√(E + C) in every coordinate."""
        root = self._root(flow, z)
        return jax.tree.map(lambda leaf: jnp.full_like(leaf, root), z)

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, *, memory: Any = None, **_: Any) -> tuple[Any, Any]:
        """The next position and every rᵢ'."""
        root = self._root(flow, z)
        unit = jax.tree.map(lambda g: g / root.astype(g.dtype), flow.gradient(z))
        fallen = jax.tree.map(lambda r, u: r / (1 + h * u * u / 2), memory, unit)
        return jax.tree.map(lambda x, r, u: x - h * r * u, z, fallen, unit), fallen


def _fallen(flow: Flow, z: State, h: StepLength, root: Any, r: Any) -> tuple[Any, Any]:
    """The next position and r' from one r."""
    unit = flow.gradient(z) / root
    fallen = r / (1 + h * inner(unit, unit) / 2)
    return z - h * fallen * unit, fallen
