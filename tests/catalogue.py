"""What the contract tests run on: every exported flow and scheme, found by inspection."""

import inspect

import diffrax
import jax
import jax.numpy as jnp
import lineax
import optax

import gradientflow as gf
from gradientflow.discretizers import TABLEAUS

# Classes that need to be told something, and what they are told here.
ARGUMENTS = {
    gf.RungeKutta: [(name,) for name in TABLEAUS],
    gf.FromDiffrax: [(diffrax.Bosh3(),)],
    gf.FromOptax: [(optax.sgd(0.1),)],
}


def metric(x):
    """A metric that changes from point to point, on any pytree."""
    return lineax.DiagonalLinearOperator(jax.tree.map(lambda leaf: 1 + leaf**2, x))


MAKERS = {
    gf.ModifiedFlow: lambda E: gf.ModifiedFlow(gf.GradientFlow(E), gf.ForwardEuler(), step=0.01, order=3),
    gf.PreconditionedFlow: lambda E: gf.PreconditionedFlow(E, [2.0, 0.5]),
    gf.RiemannianFlow: lambda E: gf.RiemannianFlow(E, metric),
    gf.MirrorFlow: lambda E: gf.MirrorFlow(E, gf.potentials.HyperbolicEntropy(0.5)),
    gf.ProjectedFlow: lambda E: gf.ProjectedFlow(E, gf.constraints.Box(-5.0, 5.0)),
    gf.TimeChanged: lambda E: gf.TimeChanged(gf.HeavyBall(E), lambda t: t**2 / 4 + t),
}


def _final(base):
    exported = (getattr(gf, name) for name in gf.__all__)
    return [c for c in exported if inspect.isclass(c) and issubclass(c, base) and not inspect.isabstract(c)]


def named(cls):
    """The class as a function of the energy alone, under its own name."""

    def make(energy):
        return MAKERS.get(cls, cls)(energy)

    make.__name__ = cls.__name__
    return make


FLOWS = [named(cls) for cls in _final(gf.Flow)]
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
