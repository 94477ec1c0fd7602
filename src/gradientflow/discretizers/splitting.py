"""Splittings: the exact solutions of a flow's parts, one after the other."""

from typing import Any, ClassVar

import equinox as eqx

from gradientflow.flows import Flow, unknown_name

from .discretizer import Discretizer


class LieSplitting(Discretizer):
    r"""Lie splitting: $\Phi_h = \varphi^{c}_h \circ \varphi^{b}_h \circ \varphi^{a}_h$, each part solved exactly.

    Order 1. A part has a clock of its own, which shows t at the start of the step and moves while the part does: each
    part is solved from t to t + h. A part that isn't named does not act: name all whose field doesn't vanish. A flow's
    noise belongs to none of its parts, and is left out.

    Args:
        names: the parts' names in the order in which they act; the flow's own parts in their order unless given.

    Raises:
        ValueError: if a name is given twice; from a step, if the flow has no part of a name.

    References:
        H. F. Trotter, On the product of semi-groups of operators, Proc. AMS 10, 1959.
        R. I. McLachlan, G. R. W. Quispel, Splitting methods, Acta Numerica 11, 2002.

    Example:
        >>> import gradientflow as gf
        >>> ball = gf.HeavyBall(gf.Mode(1.0), mass=1.0, friction=0.0)
        >>> gf.LieSplitting("force", "transport").step(ball, 0.0, gf.Phase(1.0, 0.0), 0.5)
        Phase(x=0.75, v=-0.5)
    """

    equation: ClassVar[str] = "z' = φ⁽ᵏ⁾_h ∘ … ∘ φ⁽¹⁾_h (z), the parts' exact flows"
    order: ClassVar[int | None] = 1
    names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, *names: str) -> None:
        _check_distinct("LieSplitting", names)
        self.names = names

    def step(self, flow: Flow, t: Any, z: Any, h: Any, **_: Any) -> Any:
        """Every part's solution over h."""
        for part in _parts(self, flow, self.names):
            z = part.solution(t, z, h)
        return z


class StrangSplitting(Discretizer):
    r"""Strang splitting: $\Phi_h = \varphi^a_{h/2}\circ\varphi^b_h\circ\varphi^a_{h/2}$, each part solved exactly.

    Of more than two parts the innermost takes the whole step, each other half of it on the way in and half on the way
    out. Order 2, and symmetric: a step of −h goes back. Of an inertial flow without friction, its force outside and its
    transport inside, it is velocity Verlet, also called leapfrog: symplectic, with an energy error that stays bounded,
    on a mode of frequency ω stable iff hω < 2. A part has a clock of its own, which shows t at the start of the step
    and moves while the part does: each is solved from t to t + h/2 and from there to t + h, the innermost in one go.
    A part that isn't named does not act: name all whose field doesn't vanish. A flow's noise belongs to none of its
    parts, and is left out.

    Args:
        names: the parts' names from the outermost to the innermost; the flow's own parts in their order unless given.

    Raises:
        ValueError: if a name is given twice; from a step, if the flow has no part of a name.

    References:
        G. Strang, On the construction and comparison of difference schemes, SIAM J. Numer. Anal. 5, 1968.
        E. Hairer, C. Lubich, G. Wanner, Geometric numerical integration illustrated by the Störmer–Verlet method,
        Acta Numerica 12, 2003.

    Example:
        >>> import gradientflow as gf
        >>> ball = gf.HeavyBall(gf.Mode(1.0), mass=1.0, friction=0.0)
        >>> gf.StrangSplitting("force", "transport").step(ball, 0.0, gf.Phase(1.0, 0.0), 1.0)
        Phase(x=0.5, v=-0.75)
    """

    equation: ClassVar[str] = "z' = φ⁽¹⁾_{h/2} ∘ … φ⁽ᵏ⁾_h … ∘ φ⁽¹⁾_{h/2} (z)"
    order: ClassVar[int | None] = 2
    names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, *names: str) -> None:
        _check_distinct("StrangSplitting", names)
        self.names = names

    def step(self, flow: Flow, t: Any, z: Any, h: Any, **_: Any) -> Any:
        """Half steps inwards, the innermost part's whole step, half steps outwards."""
        *outer, innermost = _parts(self, flow, self.names)
        for part in outer:
            z = part.solution(t, z, h / 2)
        z = innermost.solution(t, z, h)
        for part in reversed(outer):
            z = part.solution(t + h / 2, z, h / 2)
        return z


def _check_distinct(where: str, names: tuple[str, ...]) -> None:
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise ValueError(f"{where}: the part {twice[0]!r} is named twice, and would act twice as long; name it once")


def _parts(splitting: Discretizer, flow: Flow, names: tuple[str, ...]) -> list[Flow]:
    parts = flow.parts
    for name in names:
        if name not in parts:
            raise ValueError(f"{type(splitting).__name__}: {unknown_name('part', name, parts)}")
    return [parts[name] for name in names or parts]
