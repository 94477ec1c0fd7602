"""What the contract tests run on: every exported flow and scheme, found by inspection."""

import inspect
from fractions import Fraction

import diffrax
import jax
import jax.numpy as jnp
import lineax
import optax

import gradientflow as gf
from gradientflow._names import MOVED
from gradientflow.discretizers import TABLEAUS

# Classes that need to be told something, and what they are told here.
ARGUMENTS = {
    gf.RungeKutta: [(name,) for name in TABLEAUS],
    gf.AdamsBashforth: [(2,), (5,)],
    gf.discretizers.BackwardDifferentiation: [(2,)],
    gf.RungeKuttaChebyshev: [(5,)],
    gf.SecondOrderChebyshev: [(5,)],
    gf.AveragesAhead: [(2.0,)],
    gf.FromDiffrax: [(diffrax.Bosh3(),)],
    gf.FromOptax: [(optax.sgd(0.1),)],
}
# Not rational: the exact flow, friction's and an average's are transcendental, a projection is no arithmetic; diffrax's
# steps want arrays.
NOT_RATIONAL = (
    gf.ExactFlow, gf.FromDiffrax, gf.LieSplitting, gf.StrangSplitting, gf.AdaptiveStep, gf.AdaDeltaStep,
    gf.ADMM, gf.ScalarAuxiliaryVariable, gf.RelaxedAuxiliaryVariable, gf.VectorAuxiliaryVariable, gf.AveragesAhead,
    gf.ForwardBackward, gf.StochasticExponential, gf.DouglasRachford, gf.RestartedNesterov,
)  # fmt: skip
# What a scheme is read on, with rational parameters: the first that it fits.
READ_ON = {
    gf.GradientFlow: {},
    gf.HeavyBall: {"mass": Fraction(1, 2), "friction": Fraction(3)},
    gf.Langevin: {"temperature": Fraction(1, 2)},
    gf.AdamFlow: {},
    gf.AdaDeltaFlow: {},
    gf.ProjectedFlow: {"constraint": gf.constraints.Box(-5.0, 5.0)},
}


def metric(x):
    """A metric that changes from point to point, on any pytree."""
    return lineax.DiagonalLinearOperator(jax.tree.map(lambda leaf: 1 + leaf**2, x))


def examples(E):
    """An energy as the mean over three examples that weigh it differently."""
    return gf.FiniteSum(lambda x, d: d * E.value(x), [0.5, 1.0, 1.5])


MAKERS = {
    gf.ModifiedFlow: lambda E: gf.ModifiedFlow(gf.GradientFlow(E), gf.ForwardEuler(), step=0.01, order=3),
    gf.CentralFlow: lambda E: gf.CentralFlow(gf.optimizers.gradient_descent(E, lr=0.01), modes=1),
    gf.PreconditionedFlow: lambda E: gf.PreconditionedFlow(E, [2.0, 0.5]),
    gf.RiemannianFlow: lambda E: gf.RiemannianFlow(E, metric),
    gf.MirrorFlow: lambda E: gf.MirrorFlow(E, gf.potentials.HyperbolicEntropy(0.5)),
    gf.MirrorLangevin: lambda E: gf.MirrorLangevin(E, gf.potentials.HyperbolicEntropy(0.5)),
    gf.SGDDiffusion: lambda E: gf.SGDDiffusion(examples(E), step=0.1, batch_size=2),
    gf.ProjectedFlow: lambda E: gf.ProjectedFlow(E, gf.constraints.Box(-5.0, 5.0)),
    gf.RMSpropFlow: lambda E: gf.RMSpropFlow(E, tau=1.0),
    gf.SteepestDescentFlow: lambda E: gf.SteepestDescentFlow(E, gf.norms.Spectral()),
    gf.SteepestMomentumFlow: lambda E: gf.SteepestMomentumFlow(E, gf.norms.Spectral()),
    gf.TimeChanged: lambda E: gf.TimeChanged(gf.HeavyBall(E), lambda t: t**2 / 4 + t),
}


def _final(base):
    named = [*gf.__all__, *(name for name, now in MOVED.items() if now.endswith(f".{name}"))]
    exported = (getattr(gf, name) for name in named)
    return [c for c in exported if inspect.isclass(c) and issubclass(c, base) and not inspect.isabstract(c)]


def named(cls):
    """The class as a function of the energy alone, under its own name."""

    def make(energy):
        return MAKERS.get(cls, cls)(energy)

    make.__name__ = cls.__name__
    return make


# A particle alone has no flow of its own: ensembles have tests of their own.
FLOWS = [named(cls) for cls in _final(gf.Flow) if not issubclass(cls, gf.flows.Ensemble)]
SCHEMES = [cls(*arguments) for cls in _final(gf.Discretizer) for arguments in ARGUMENTS.get(cls, [()])]


def name_of(scheme):
    return scheme.tableau.name if isinstance(scheme, gf.RungeKutta) else type(scheme).__name__


def quartic_bowl(x):
    """Convex, not quadratic, coupled: on it an order can't be better than it is."""
    return jnp.sum(x**4) / 4 + x[0] ** 2 / 2 + x[1] ** 2 + x[0] * x[1] / 2


def fits(flow, scheme, x0):
    return gf.discretizers.fits(flow, scheme, flow.init(jax.tree.map(jnp.asarray, x0)))


def is_rational(scheme):
    return not (scheme.clock_only or isinstance(scheme, NOT_RATIONAL))


def flow_to_read_on(scheme):
    def on_floats(cls):
        given = {name: float(v) if isinstance(v, Fraction) else v for name, v in READ_ON[cls].items()}
        return cls(gf.Mode(1.0), **given)

    return next((cls for cls in READ_ON if fits(on_floats(cls), scheme, 1.0)), gf.GradientFlow)


def flow_to_run_on(scheme, E, x0):
    """The first flow that a scheme fits, without noise; of any energy."""
    flows = (
        gf.GradientFlow(E), gf.HeavyBall(E), gf.Langevin(E, temperature=0.0), gf.AdamFlow(E, tau1=0.5, tau2=0.7),
        gf.AdaDeltaFlow(E, epsilon=1.0), gf.ProjectedFlow(E, gf.constraints.Box(-5.0, 5.0)),
        gf.SteepestMomentumFlow(E, gf.norms.Euclidean(), smoothing=1.0),
    )  # fmt: skip
    return next((flow for flow in flows if fits(flow, scheme, x0)), None)


def one_step(scheme, flow, t, z, h):
    """From the memory that a scheme starts with: the next state, with the next memory where there is one."""
    memory = scheme.init(flow, t, z, h)
    return scheme.step(flow, t, z, h, **({} if memory is None else {"memory": memory}))
