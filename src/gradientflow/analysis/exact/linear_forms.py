"""States and memories made of a ring's generators, and what a step that is linear in them answers."""

from collections.abc import Sequence
from typing import Any

import jax
from sympy.polys.fields import FracElement
from sympy.polys.rings import PolyElement

from .algebra import polynomials
from .leaf import Exact, NotExactError
from .state_leaf import StateLeaf


def generic_state(field: Any, states: int, memory: Any, others: Sequence[str] = ()) -> tuple[list[Exact], Any]:
    """A generator for each leaf of the state and each exact leaf of the memory, and a memory that holds the latter.

    Args:
        field: what the coefficients of forms in the generators are.
        states: how many leaves the state has.
        memory: a memory, for its structure.
        others: names of further generators of the same ring, which come last.
    """
    leaves, structure = jax.tree.flatten(memory)
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Exact)]
    ring = polynomials([*(f"z{i}" for i in range(states + len(places))), *others], field)
    forms: list[Exact] = [StateLeaf(generator) for generator in ring.gens]
    for place, form in zip(places, forms[states:], strict=False):
        leaves[place] = form
    return forms, jax.tree.unflatten(structure, leaves)


def exact_leaves(before: Any, after: Any) -> list[Any]:
    """The exact leaves of the memory that a step hands on; the others must not have changed."""
    old, new = jax.tree.leaves(before), jax.tree.leaves(after)
    if jax.tree.structure(before) != jax.tree.structure(after):
        raise NotExactError("the memory changes its structure from one step to the next")
    for a, b in zip(old, new, strict=True):
        if not isinstance(a, Exact) and (isinstance(b, Exact) or a != b):
            hint = "; start a memory of slopes with 0 * z" if isinstance(a, float) else ""
            raise NotExactError(f"the memory counts steps ({a!r}, then {b!r}): no step is like another{hint}")
    return [b for a, b in zip(old, new, strict=True) if isinstance(a, Exact)]


def linear_form(leaf: Any, count: int, zero: Any) -> list[Any]:
    """The coefficients of a form that is linear in all of a ring's generators.

    Raises:
        NotExactError: if it isn't.
    """
    value = leaf.value if isinstance(leaf, Exact) else leaf
    if isinstance(value, FracElement) and not value:
        return [zero] * count
    units = [tuple(int(i == j) for j in range(count)) for i in range(count)]
    if not isinstance(value, PolyElement) or any(monomial not in units for monomial in value.monoms()):
        raise NotExactError(f"the step is not linear in the state and its gradients: it forms {value}")
    return [value.coeff(generator) for generator in value.ring.gens]
