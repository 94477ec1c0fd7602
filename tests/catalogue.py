"""What the contract tests run on: every exported flow and scheme, found by inspection."""

import inspect
from fractions import Fraction

import diffrax
import jax
import jax.numpy as jnp

import gradientflow as gf
from gradientflow.discretizers import TABLEAUS

# Classes that need to be told something, and what they are told here.
ARGUMENTS = {
    gf.RungeKutta: [(name,) for name in TABLEAUS],
    gf.AdamsBashforth: [(steps,) for steps in range(1, 6)],
    gf.RungeKuttaChebyshev: [(1,), (5,)],
    gf.SecondOrderChebyshev: [(2,), (5,)],
    gf.FromDiffrax: [(diffrax.Bosh3(),)],
}
# Not rational: the exact flow, and friction's, are transcendental; diffrax's steps want arrays.
NOT_RATIONAL = (gf.ExactFlow, gf.FromDiffrax, gf.LieSplitting, gf.StrangSplitting)
# What a scheme is read on, with rational parameters: the first that it fits.
READ_ON = {
    gf.GradientFlow: {},
    gf.HeavyBall: {"mass": Fraction(1, 2), "friction": Fraction(3)},
    gf.Langevin: {"temperature": Fraction(1, 2)},
}


def _final(base):
    exported = (getattr(gf, name) for name in gf.__all__)
    return [c for c in exported if inspect.isclass(c) and issubclass(c, base) and not inspect.isabstract(c)]


def modified(energy):
    """The modified flow of gradient descent: a flow of a flow."""
    return gf.ModifiedFlow(gf.GradientFlow(energy), gf.ForwardEuler(), step=0.01, order=3)


FLOWS = [modified if cls is gf.ModifiedFlow else cls for cls in _final(gf.Flow)]
SCHEMES = [cls(*arguments) for cls in _final(gf.Discretizer) for arguments in ARGUMENTS.get(cls, [()])]


def name_of(scheme):
    return scheme.tableau.name if isinstance(scheme, gf.RungeKutta) else type(scheme).__name__


def quartic_bowl(x):
    """Convex, not quadratic, coupled: on it an order can't be better than it is."""
    return jnp.sum(x**4) / 4 + x[0] ** 2 / 2 + x[1] ** 2 + x[0] * x[1] / 2


def fits(flow, scheme, x0):
    from gradientflow.discretizers import check_answers

    try:
        check_answers(flow, scheme, flow.init(jax.tree.map(jnp.asarray, x0)))
    except gf.UnansweredQuestionError:
        return False
    return True


def is_rational(scheme):
    return not (scheme.clock_only or isinstance(scheme, NOT_RATIONAL))


def flow_to_read_on(scheme):
    return next((cls for cls in READ_ON if fits(cls(gf.Mode(1.0)), scheme, 1.0)), gf.GradientFlow)


def one_step(scheme, flow, t, z, h):
    """From the memory that a scheme starts with: the next state, with the next memory where there is one."""
    memory = scheme.init(flow, t, z, h)
    return scheme.step(flow, t, z, h, **({} if memory is None else {"memory": memory}))
