"""Splittings: the exact solutions of a flow's parts, one after the other."""

from typing import Any, ClassVar

import equinox as eqx

from gradientflow.flows import Flow, exact_transition, is_stochastic, unknown_name
from gradientflow.flows.aliases import Increment, State, StepLength, Time
from gradientflow.flows.checks import by_name

from ..discretizer import Discretizer


class LieSplitting(Discretizer):
    r"""Lie splitting: $\Phi_h = \varphi^{c}_h \circ \varphi^{b}_h \circ \varphi^{a}_h$, each part solved exactly.

    Order 1. A part has a clock of its own, which shows t at the start of the step and moves while the part does: each
    part is solved from t to t + h. A part that isn't named does not act: name all whose field doesn't vanish. Of
    kinetic Langevin the noise acts with the friction.

    Args:
        names: the parts' names in the order in which they act; the flow's own parts in their order unless given.

    Raises:
        ValueError: if a name is given twice; from a step, if the flow has no part of a name.

    References:
        H. F. Trotter, On the product of semi-groups of operators, Proc. AMS 10, 1959.
        R. I. McLachlan, G. R. W. Quispel, Splitting methods, Acta Numerica 11, 2002.

    Example:
        >>> import gradientflow as gf
        >>> ball = gf.HeavyBallFlow(gf.Mode(1.0), mass=1.0, friction=0.0)
        >>> gf.LieSplitting("force", "transport").step(ball, 0.0, gf.Phase(1.0, 0.0), 0.5)
        Phase(x=0.75, v=-0.5)
    """

    equation: ClassVar[str] = "z' = φ⁽ᵏ⁾_h ∘ … ∘ φ⁽¹⁾_h (z), the parts' exact flows"
    order: ClassVar[int | None] = 1
    names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, *names: str) -> None:
        _check_distinct("LieSplitting", names)
        self.names = names

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, *, noise: Increment = None, **_: Any) -> State:
        """Every part's solution over h."""
        for part in _parts(self, flow, self.names):
            z = _moved(part, t, z, h, noise)
        return z


class StrangSplitting(Discretizer):
    r"""Strang splitting: $\Phi_h = \varphi^a_{h/2}\circ\varphi^b_h\circ\varphi^a_{h/2}$, each part solved exactly.

    Of more than two parts the innermost takes the whole step, each other half of it on the way in and half on the way
    out. Order 2, and symmetric: a step of −h goes back. Of an inertial flow without friction, its force outside and its
    transport inside, it is velocity Verlet, also called leapfrog: symplectic, with an energy error that stays bounded,
    on a mode of frequency ω stable iff hω < 2. A part has a clock of its own, which shows t at the start of the step
    and moves while the part does: each is solved from t to t + h/2 and from there to t + h, the innermost in one go.
    A part that isn't named does not act: name all whose field doesn't vanish. Of kinetic Langevin the noise acts with
    the friction, and the orders of the parts are the schemes BAOAB, OBABO, ABOBA and so on.

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
        >>> ball = gf.HeavyBallFlow(gf.Mode(1.0), mass=1.0, friction=0.0)
        >>> gf.StrangSplitting("force", "transport").step(ball, 0.0, gf.Phase(1.0, 0.0), 1.0)
        Phase(x=0.5, v=-0.75)
    """

    equation: ClassVar[str] = "z' = φ⁽¹⁾_{h/2} ∘ … φ⁽ᵏ⁾_h … ∘ φ⁽¹⁾_{h/2} (z)"
    order: ClassVar[int | None] = 2
    names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, *names: str) -> None:
        _check_distinct("StrangSplitting", names)
        self.names = names

    def step(self, flow: Flow, t: Time, z: State, h: StepLength, *, noise: Increment = None, **_: Any) -> State:
        """Half steps inwards, the innermost part's whole step, half steps outwards."""
        *outer, innermost = _parts(self, flow, self.names)
        first, second = noise if isinstance(noise, tuple) else (None, None)
        for part in outer:
            z = _moved(part, t, z, h / 2, first)
        z = _moved(innermost, t, z, h, noise)
        for part in reversed(outer):
            z = _moved(part, t + h / 2, z, h / 2, second)
        return z

    def increments(self, flow: Flow, z: State) -> int:
        """One for each half step of the part with noise, unless it is the innermost."""
        *outer, _ = _parts(self, flow, self.names)
        return 2 if any(is_stochastic(part, z) for part in outer) else 1


@by_name
def BAOAB() -> StrangSplitting:
    r"""BAOAB for kinetic Langevin: half a kick, half a drift, friction and noise exactly, half a drift, half a kick.

    Strang splitting of `force` (B), `transport` (A) and `friction` (O), from the outermost. Positions are sampled with
    a bias of order h², on quadratics with none at all (velocities with $T/m\,(1 - h^2\lambda/4m)$). Two gradients a
    step, though the last kick's is the next one's first. Stable on a mode iff $h^2\lambda/m < 4$. Its relatives are the
    other orders: `StrangSplitting("friction", "force", "transport")` is OBABO, `("transport", "force", "friction")`
    ABOBA.

    References:
        B. Leimkuhler, C. Matthews, Rational construction of stochastic numerical methods for molecular sampling,
        Appl. Math. Res. Express 2013.

    Example:
        >>> import jax, gradientflow as gf
        >>> flow = gf.KineticLangevin(gf.landscapes.bowl(), temperature=0.5)
        >>> run = gf.iterate(flow, gf.BAOAB(), [1.0, 1.0], step=0.2, steps=10, key=jax.random.key(0))
        >>> run.x.shape
        (11, 2)
    """
    return StrangSplitting("force", "transport", "friction")


def _moved(part: Flow, t: Time, z: State, h: StepLength, noise: Increment) -> Any:
    """A part's exact solution over h; along the noise, if it is the part with noise."""
    still = noise is None or not is_stochastic(part, z)
    return part.solution(t, z, h) if still else exact_transition(part, t, z, h, noise)


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
