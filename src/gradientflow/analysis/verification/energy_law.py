"""How much of its energy a discrete gradient step takes: on every differentiable energy, for every step."""

from typing import Any

import jax
from sympy import QQ

from gradientflow.discretizers import DiscreteGradient
from gradientflow.flows import Flow, GradientFlow, HeavyBallFlow, NesterovFlow
from gradientflow.flows.discrete_gradients import DiscreteGradientRule, correction_of

from ..exact.algebra import polynomials, rational_functions
from ..exact.blame import blaming
from ..exact.leaf import Exact
from ..exact.parameters import flow_converted, symbols_of_flow
from ..exact.state_leaf import InnerLeaf
from ..results.grades import Grade
from .abstract_energy import AbstractEnergy
from .claims import Claim
from .decide import decide_equations, refuted_sibling


class FreeDiscreteGradient(DiscreteGradientRule):
    """A discrete gradient of which nothing is known.

    Args:
        gradient: what stands for ∇̄E.
    """

    gradient: Any

    def __call__(self, energy: Any, x: Any, y: Any) -> Any:
        """∇̄E."""
        return self.gradient

    def solve_traced(self, energy: Any, x: Any, tau: Any, shift: Any) -> Any:
        """x + s − τ∇̄E."""
        return x - tau * self.gradient + (0 * x if shift is None else shift)


def energy_law_claim(flow: Flow, scheme: DiscreteGradient) -> Claim:
    """V(z') − V(z), read from the flow's own step with ∇̄E·(x' − x) = E(x') − E(x), is minus what it is said to be."""
    name = f"what a step of {scheme.name} takes of the energy, for every h"
    if type(flow) not in (GradientFlow, HeavyBallFlow, NesterovFlow):
        why = f"how {flow.name} steps by a discrete gradient is not read on an abstract energy"
        return Claim(name, r"E(x') \le E(x)", Grade.UNKNOWN, why)
    names = symbols_of_flow(flow)
    field = rational_functions(("h", "t", "b", "r", "s", *names))
    h, t, along, rise, square, *values = (Exact(generator) for generator in field.gens)
    ring = polynomials(("x", "v", "g", "E"), field)
    x, v, g, gap = map(InnerLeaf, ring.gens)
    symbols = dict(zip(names, values, strict=True))

    def on(energy: AbstractEnergy) -> Flow:
        return flow_converted(flow, energy, lambda name, value: symbols.get(name, Exact(value)))

    with blaming(flow):
        asked = on(AbstractEnergy(x, gap, g))
        structure = jax.tree.structure(asked.init(x))
        z = jax.tree.unflatten(structure, [x, v][: structure.num_leaves])
        after = asked.discrete_gradient_step(t, z, h, FreeDiscreteGradient("free", g))
        position = jax.tree.leaves(after)[0]
        reached = on(AbstractEnergy(position, gap + g * (position - x), g))
        change = reached.lyapunov(t + h, after) - asked.lyapunov(t, z)
    if structure.num_leaves == 1:
        rate, law = g * g, r"E(x') - E(x) = -{}h\|\bar\nabla E\|^2"
    else:
        friction = symbols["r"] / (t + h / 2) if "r" in symbols else symbols.get("gamma", Exact(QQ(0)))
        mean = (v + jax.tree.leaves(after)[1]) / 2
        rate = friction * (mean * mean)
        shown = r"\tfrac{r}{t + h/2}" if "r" in symbols else r"\gamma"
        law = r"V(z') - V(z) = -{}h" + shown.replace("{", "{{").replace("}", "}}") + r"\|\bar v\|^2"
    # The rule's own projection: g + c·d, put into the product with d.
    identity = {"∇̄E·(x' − x) and E(x') − E(x)": (along + correction_of(rise - along, square) * square, rise)}
    label = "the change of the energy and what is said of it"
    false = decide_equations(name, law.format("2"), {label: (change, -(2 * h * rate))}, "")
    reason = (
        "the flow's own step on a free vector whose product with x' − x is the change of E, identically; "
        "where its equation is solved, on every differentiable E"
    )
    return decide_equations(
        name, law.format(""), {**identity, label: (change, -(h * rate))}, reason, refuted_sibling(false)
    )
