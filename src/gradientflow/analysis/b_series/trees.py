"""Rooted trees, plain and coloured: the terms of a B-series."""

import dataclasses
import functools
import itertools
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True, order=True)
class Tree:
    r"""A rooted tree: an elementary differential of a vector field, or of a sum of named ones.

    Its root has a colour, the name of a field (empty for the field itself), and its children stand for the arguments of
    that field's derivative: $f''(f, f)$ is the root with two children.

    Attributes:
        colour: the name of the field at the root; empty if there is only one.
        children: the subtrees, sorted.

    Example:
        >>> from gradientflow.analysis import Tree
        >>> leaf = Tree()
        >>> cherry = Tree("", (leaf, leaf))
        >>> str(cherry), cherry.order, cherry.density, cherry.symmetry
        ("f''(f,f)", 3, 3, 2)
    """

    colour: str = ""
    children: tuple["Tree", ...] = ()

    @functools.cached_property
    def order(self) -> int:
        """The number of nodes."""
        return 1 + sum(child.order for child in self.children)

    @functools.cached_property
    def density(self) -> int:
        """γ: the order times the densities of the children. The exact flow's coefficient is 1/γ."""
        return self.order * math.prod(child.density for child in self.children)

    @functools.cached_property
    def symmetry(self) -> int:
        """σ: the number of automorphisms."""
        return math.prod(
            math.factorial(count) * child.symmetry**count for child, count in Counter(self.children).items()
        )

    def with_child(self, child: "Tree") -> "Tree":
        """The tree with one child more: Butcher's product."""
        return Tree(self.colour, tuple(sorted((*self.children, child))))

    def latex(self) -> str:
        r"""The elementary differential in LaTeX, such as $f''(f, f'f)$."""
        return self._spelled(lambda colour: rf"f_{{\mathrm{{{colour}}}}}" if colour else "f", ", ")

    def __str__(self) -> str:
        """The elementary differential as text, such as f''(f,f'f)."""
        return self._spelled(lambda colour: f"f[{colour}]" if colour else "f", ",")

    def _spelled(self, name, comma: str) -> str:
        field, n = name(self.colour), len(self.children)
        if n == 0:
            return field
        primes = "'" * n if n <= 3 else rf"^{{({n})}}"
        arguments = comma.join(child._spelled(name, comma) for child in self.children)
        return f"{field}{primes}{arguments}" if n == 1 else f"{field}{primes}({arguments})"


class Forest:
    """All trees up to an order, in order, each with the two trees that it is the product of.

    Args:
        up_to: the order.
        colours: the colours that a node may have.
        leaf: a further colour that only leaves may have; empty for none.
        acts_on: the pairs (parent's colour, child's colour) that may be; all unless given.

    Attributes:
        trees: the trees.
        index: where each is.
        trunk: for each tree the place of the tree without its last child; −1 for a single node.
        branch: for each tree the place of its last child; −1 for a single node.
    """

    def __init__(
        self,
        up_to: int,
        colours: Sequence[str] = ("",),
        leaf: str = "",
        acts_on: frozenset[tuple[str, str]] | None = None,
    ) -> None:
        by_order: list[list[Tree]] = [[], [Tree(colour) for colour in (*colours, *([leaf] if leaf else []))]]
        for n in range(2, up_to + 1):
            found: dict[Tree, None] = {}
            for k in range(1, n):
                for trunk, child in itertools.product(by_order[n - k], by_order[k]):
                    if acts_on is not None and (trunk.colour, child.colour) not in acts_on:
                        continue
                    # The child is put last only: each tree is made once.
                    if trunk.colour in colours and (not trunk.children or trunk.children[-1] <= child):
                        found[Tree(trunk.colour, (*trunk.children, child))] = None
            by_order.append(list(found))
        self.trees = [tree for level in by_order for tree in level]
        self.index = {tree: i for i, tree in enumerate(self.trees)}
        self.trunk = np.full(len(self.trees), -1)
        self.branch = np.full(len(self.trees), -1)
        for i, tree in enumerate(self.trees):
            if tree.children:
                self.trunk[i] = self.index[Tree(tree.colour, tree.children[:-1])]
                self.branch[i] = self.index[tree.children[-1]]


@functools.lru_cache(maxsize=16)
def forest(
    up_to: int, colours: tuple[str, ...] = ("",), leaf: str = "", acts_on: frozenset[tuple[str, str]] | None = None
) -> Forest:
    """The forest, made once."""
    return Forest(up_to, colours, leaf, acts_on)


@functools.lru_cache(maxsize=100_000)
def splits(tree: Tree) -> tuple[tuple[Tree, Tree], ...]:
    """The pairs (what stays with the root, what is cut off) that cutting one edge leaves, edge by edge."""
    found = []
    for i, child in enumerate(tree.children):
        others = tree.children[:i] + tree.children[i + 1 :]
        found.append((Tree(tree.colour, others), child))
        for rest, cut in splits(child):
            found.append((Tree(tree.colour, tuple(sorted((*others, rest)))), cut))
    return tuple(found)


def rootings(tree: Tree) -> set[Tree]:
    """The rooted trees that are the same free tree."""
    seen, waiting = {tree}, [tree]
    while waiting:
        here = waiting.pop()
        for i, child in enumerate(here.children):
            others = Tree(here.colour, here.children[:i] + here.children[i + 1 :])
            moved = child.with_child(others)
            if moved not in seen:
                seen.add(moved)
                waiting.append(moved)
    return seen
