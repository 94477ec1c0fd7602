r"""The slow manifold of a scheme with momentum or memory: the first-order flow that its iterates settle on.

A scheme of one gradient a step is a recursion in the points $y_k$ where it is asked: with the matrices that reading its
code gives, $\chi(T)\,y = N(T)\,\nabla E(y)$, T being the shift and $N/\chi = C(w - A)^{-1}B + D$. All roots of χ but 1
lie inside the unit circle, so that after a few steps $y_k$ is the solution of one first-order equation
$\dot{\tilde y} = \sum_\tau h^{|\tau|-1}c_\tau F(\tau)(\tilde y)$ at times kh: what it forgets are the other solutions.
Its coefficients follow tree by tree.

References:
    U. Kirchgraber, Multi-step methods are essentially one-step methods, Numer. Math. 48, 1986.
    N. B. Kovachki, A. M. Stuart, Continuous time analysis of momentum methods, JMLR 22, 2021, for momentum to order 2.
"""

import math
from fractions import Fraction
from typing import Any

import sympy

from gradientflow.flows import check_integer, looks_at_numbers

from ..exact.leaf import NotExactError
from ..exact.state_space import StateSpace, transfer
from ..exact.subject import constant_step, read_subject
from ..exact.unit_disk import is_schur
from .modified_equation import ModifiedEquation
from .trees import Tree, forest, splits


@looks_at_numbers
def slow_equation(method: Any, order: int) -> ModifiedEquation:
    r"""The first-order equation that a method's iterates follow once its memory has settled, exact, from its own code.

    In the method's own clock and step h: of momentum with (lr, β), h = lr/(1 − β), in which the leading term is the
    gradient flow's. f is −∇E. Of gradient descent it is the modified equation. Where gradients are asked elsewhere than
    at the iterates (Nesterov's, implicit midpoint), it is that of the points where they are asked, and says so.

    Args:
        method: a method with a constant step that asks one gradient a step.
        order: terms through $h^{p-1}$, p being this.

    Raises:
        NotExactError: if it can't be read, asks several gradients a step, or does not forget its past.
        TypeError: if the step is not a constant.

    References:
        U. Kirchgraber, Multi-step methods are essentially one-step methods, Numer. Math. 48, 1986.
        N. B. Kovachki, A. M. Stuart, Continuous time analysis of momentum methods, JMLR 22, 2021, for momentum to order
        2.

    Example:
        >>> import gradientflow as gf
        >>> momentum = gf.optimizers.momentum(gf.landscapes.bowl(), lr=0.25, beta=0.5)
        >>> print(gf.slow_equation(momentum, 2))
        modified equation of MomentumEuler of HeavyBallFlow, slow manifold, proved; f is the flow's field
          h^0: f
          h^1: −3/2 f'f
    """
    check_integer("slow_equation", 1, order=order)
    space = read_subject("slow_equation", method, flows=False).with_position_in_state("slow_equation").minimal()
    recursion = _recursion(space, constant_step("slow_equation", method), method.name)
    weights = _weights(*recursion, order)
    coefficients = {tree: b / tree.symmetry for tree, b in weights.items() if b}
    at_the_iterate = bool((space.position == space.C).all() and not space.D.any())
    elsewhere = not (at_the_iterate or _ends_where_asked(space))
    of_what = "slow manifold of the points where gradients are asked" if elsewhere else "slow manifold"
    return ModifiedEquation(f"{method.name}, {of_what}", order, coefficients)


@looks_at_numbers
def slow_rate(method: Any) -> sympy.Expr:
    r"""The rate at which settled iterates decay on a mode λ, all orders at once: $-\log(w)/h$, w the root near 1.

    On quadratics it is the slow equation exactly, $\dot{\tilde x} = -r\,\tilde x$, as long as w is real and positive.
    An expression has no grade: w is a root of the method's own recursion, read exactly: it is proved, or refused.

    Args:
        method: a method with a constant step that asks one gradient a step, and whose recursion has degree 1 or 2.

    Raises:
        NotExactError: as `slow_equation`, or if the degree is higher, so that there is no short formula.
        TypeError: if the step is not a constant.

    References:
        U. Kirchgraber, Multi-step methods are essentially one-step methods, Numer. Math. 48, 1986.

    Example:
        >>> import gradientflow as gf
        >>> gf.slow_rate(gf.optimizers.gradient_descent(gf.landscapes.bowl(), lr=0.25))
        -4*log(-(lambda - 4)/4)
    """
    space = read_subject("slow_rate", method, flows=False).with_position_in_state("slow_rate").minimal()
    h = constant_step("slow_rate", method)
    _recursion(space, h, method.name)
    chi, through = transfer(space)
    if len(chi) > 3:
        raise NotExactError(f"slow_rate: {method.name}'s recursion has degree {len(chi) - 1}: no short formula")
    w, lam = sympy.symbols("w lambda")
    # On the mode the gradient is λy, so that χ(w) = λN(w).
    terms = [sympy.Rational(a) - lam * sympy.Rational(b) for a, b in zip(chi, through, strict=True)]
    roots: Any = sympy.roots(sympy.Poly(terms, w), multiple=True)
    slow = next(root for root in roots if root.subs(lam, 0) == 1)
    return -sympy.log(slow) / sympy.Rational(h)


def _ends_where_asked(space: StateSpace) -> bool:
    """Whether the next position is the point where the gradient was asked, as for implicit steps."""
    after = space.position @ space.A, space.position @ space.B
    return bool((after[0] == space.C).all() and (after[1] == space.D).all())


def _recursion(space: StateSpace, h: Fraction, name: str) -> tuple[list[Fraction], list[Fraction]]:
    """αⱼ and βⱼ, j = 0 … n, of Σ αⱼy_{k+j} = h Σ βⱼf(y_{k+j})."""
    if space.gradients != 1:
        raise NotExactError(f"slow_equation: {name} asks {space.gradients} gradients a step; one is needed")
    chi, through = transfer(space)
    if sum(chi) != 0:
        raise NotExactError(f"slow_equation: {name} does not stay where the gradient vanishes")
    others, rest = [], Fraction(0)
    for coefficient in chi[:-1]:
        rest += coefficient
        others.append(rest)
    if len(others) > 1 and not is_schur(others):
        raise NotExactError(f"slow_equation: {name} does not forget its past: no slow manifold attracts it")
    return chi[::-1], [-coefficient / h for coefficient in through[::-1]]


def _weights(alpha: list[Fraction], beta: list[Fraction], order: int) -> dict[Tree, Fraction]:
    """b with Σ αⱼ exp(jb)(τ) = Σ βⱼ ∏ exp(jb)(children): each tree's own b enters linearly, times Σ jαⱼ."""
    slope = sum((j * a for j, a in enumerate(alpha)), Fraction(0))
    # derivatives[i][τ] is (∂_b^i b)(τ), as for the logarithm.
    derivatives: list[dict[Tree, Fraction]] = [{} for _ in range(order)]
    moved: list[dict[Tree, Fraction]] = [{} for _ in alpha]
    for tree in forest(order).trees:
        for i in range(1, tree.order):
            derivatives[i][tree] = sum(
                (derivatives[i - 1].get(rest, Fraction(0)) * derivatives[0][cut] for rest, cut in splits(tree)),
                Fraction(0),
            )
        known = [_moved(Fraction(j), derivatives, tree) for j in range(len(alpha))]
        products = [math.prod((after[child] for child in tree.children), start=Fraction(1)) for after in moved]
        given = sum((b * product for b, product in zip(beta, products, strict=True)), Fraction(0))
        own = (given - sum((a * k for a, k in zip(alpha, known, strict=True)), Fraction(0))) / slope
        derivatives[0][tree] = own
        for j, earlier in enumerate(known):
            moved[j][tree] = j * own + earlier
    return derivatives[0]


def _moved(j: Fraction, derivatives: list[dict[Tree, Fraction]], tree: Tree) -> Fraction:
    """exp(jb)(τ) without j times τ's own b."""
    terms = (j ** (i + 1) / math.factorial(i + 1) * derivatives[i][tree] for i in range(1, tree.order))
    return sum(terms, Fraction(0))
