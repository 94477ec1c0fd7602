"""Energies and flows around others answer what those answer, but for what they say they change: all questions, all."""

import inspect
import math
import pkgutil
from importlib import import_module

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradientflow as gf
from gradientflow.analysis.stochastic.one_number import OneCoordinate
from gradientflow.discretizers.oracle import ClippedEnergy
from gradientflow.discretizers.oracles.noisy import PerturbedEnergy, TiltedEnergy
from gradientflow.experiments.laboratory.programs import TracedOnce
from gradientflow.flows import Energy, Flow, Noise, WrappedEnergy, WrappedFlow
from gradientflow.flows.energies.energy import Curvature, Modes
from gradientflow.flows.energies.mean import MeanEnergy

from .thorough import part

KEY = jax.random.key(0)


class KnownEnergy(Energy):
    """Every answer is one that no general rule would give."""

    def value(self, x):
        return jnp.sum(x**2) + 1

    def grad(self, x):
        return 2 * x + 3

    def hvp(self, x, v):
        return 5 * v

    def inverse_hvp(self, x, v, shift=0.0):
        return 7 * v

    minimizer = property(lambda self: jnp.full(2, 11.0))
    minimum = property(lambda self: 13.0)
    curvature = property(lambda self: Curvature(17.0, 19.0))
    smooth = property(lambda self: gf.Quadratic([[1.0]]))
    nonsmooth = property(lambda self: gf.penalties.L1(2.0))
    kinks = property(lambda self: gf.penalties.L1(3.0))
    is_quadratic = property(lambda self: True)
    modes = property(lambda self: Modes(23.0, jnp.sin, jnp.cos))

    def with_smooth(self, smooth):
        return gf.Composite(smooth, gf.penalties.L1(4.0))


class KnownFlow(Flow):
    """Likewise."""

    energy: Energy = KnownEnergy()
    has_energy = property(lambda self: False)
    is_gradient_flow = property(lambda self: True)

    def init(self, x):
        return 2 * x

    def position(self, z):
        return z / 2

    def drift(self, t, z):
        return -z

    def resolvent(self, t, z, h):
        return 3 * z

    def discrete_gradient_step(self, t, z, h, rule):
        return 5 * z

    parts = property(lambda self: {"all": self})

    noise = property(lambda self: Noise(jnp.sin, lambda t, z: jnp.cos, False, 2, lambda t, z, h, noise: 11 * z))

    def solution(self, t, z, h):
        return 7 * z

    def check_start(self, t, z):
        raise ValueError("not here")

    def velocity(self, z):
        return 13 * z

    def residual(self, z):
        return 17 * z

    def lyapunov(self, t, z):
        return 19.0

    def gradient(self, x):
        return 23 * x


X, T, H = jnp.asarray([3.0, 4.0]), 0.5, 0.25
ENERGY_QUESTIONS = {
    "value": lambda E: E.value(X),
    "grad": lambda E: E.grad(X),
    "hvp": lambda E: E.hvp(X, X),
    "inverse_hvp": lambda E: E.inverse_hvp(X, X),
    "minimizer": lambda E: E.minimizer,
    "minimum": lambda E: E.minimum,
    "curvature": lambda E: E.curvature,
    "smooth": lambda E: E.smooth,
    "nonsmooth": lambda E: E.nonsmooth,
    "with_smooth": lambda E: E.with_smooth(gf.Mode(5.0)),
    "kinks": lambda E: E.kinks,
    "is_quadratic": lambda E: E.is_quadratic,
    "modes": lambda E: E.modes,
}
# What follows from other answers, and has the general one where one of those is changed.
FOLLOWS = {
    **{name: {"value", "grad"} for name in ("smooth", "nonsmooth", "with_smooth", "is_quadratic", "modes")},
    "is_gradient_flow": {"drift"},
}
# What says no more than another question.
PARTS_OF = {"transition": "noise", "brownian": "noise", "diffusion": "noise"}
FLOW_QUESTIONS = {
    "energy": lambda f: f.energy,
    "has_energy": lambda f: f.has_energy,
    "is_gradient_flow": lambda f: f.is_gradient_flow,
    "init": lambda f: f.init(X),
    "position": lambda f: f.position(X),
    "drift": lambda f: f.drift(T, X),
    "resolvent": lambda f: f.resolvent(T, X, H),
    "discrete_gradient_step": lambda f: f.discrete_gradient_step(T, X, H, None),
    "parts": lambda f: dict(f.parts),
    "diffusion": lambda f: f.diffusion(T, X)(X),
    "noise": lambda f: (f.noise.shape(X), f.noise.sigma(T, X)(X), f.noise.additive, f.noise.parts),
    "transition": lambda f: f.noise.transition(T, X, H, (X, X)),
    "brownian": lambda f: f.brownian(X),
    "solution": lambda f: f.solution(T, X, H),
    "check_start": lambda f: f.check_start(T, X),
    "velocity": lambda f: f.velocity(X),
    "residual": lambda f: f.residual(X),
    "lyapunov": lambda f: f.lyapunov(T, X),
    "gradient": lambda f: f.gradient(X),
}
MAKERS = {
    ClippedEnergy: lambda E: ClippedEnergy(E, 0.1),
    TiltedEnergy: lambda E: TiltedEnergy(E, KEY, 0.5),
    PerturbedEnergy: lambda E: PerturbedEnergy(E, KEY, 0.5),
    MeanEnergy: MeanEnergy,
    OneCoordinate: OneCoordinate,
    gf.TimeChanged: lambda flow: gf.TimeChanged(flow, lambda t: t**2),
    gf.ModifiedFlow: lambda flow: gf.ModifiedFlow(flow, gf.ForwardEuler(), step=0.1, order=2),
    TracedOnce: TracedOnce,
}


def answer(ask, subject):
    """An answer, or why there is none."""
    try:
        return ask(subject)
    except (ValueError, TypeError) as error:
        return str(error)


def every_subclass(base):
    for module in pkgutil.walk_packages(gf.__path__, "gradientflow."):
        if not module.name.endswith("__main__"):
            import_module(module.name)

    def below(cls):
        return {cls}.union(*map(below, cls.__subclasses__()))

    return sorted((c for c in below(base) if c.__module__.startswith("gradientflow")), key=lambda c: c.__name__)


def test_the_questions_are_all():
    for base, asked in ((Energy, set(ENERGY_QUESTIONS)), (Flow, set(FLOW_QUESTIONS) - {"energy", "transition"})):
        assert {name for name in vars(base) if not name.startswith("_")} - {
            "equation",
            "name",
            "facts",
            "plot",
        } == asked


@pytest.mark.parametrize(
    ("base", "known", "questions"),
    [(WrappedEnergy, KnownEnergy(), ENERGY_QUESTIONS), (WrappedFlow, KnownFlow(), FLOW_QUESTIONS)],
    ids=["energies", "flows"],
)
def test_wrappers_answer_what_the_wrapped_one_answers(base, known, questions):
    for cls in every_subclass(base):
        if inspect.isabstract(cls) or cls is base:
            continue
        assert cls.changes <= set(questions)
        # What a wrapper defines it says it changes; a refusal of its own, such as of noise, is a change too.
        assert {name for name in vars(cls) if name in questions} <= cls.changes
        wrapper = MAKERS[cls](known)
        for name, ask in questions.items():
            if FOLLOWS.get(name, set()) & cls.changes:
                general = vars(base.__base__)[name]
                general = general.fget(wrapper) if isinstance(general, property) else ask(gf.Mode(1.0))
                assert eqx.tree_equal(answer(ask, wrapper), general), (cls.__name__, name)
            elif PARTS_OF.get(name, name) not in cls.changes:
                expected, found = answer(ask, known), answer(ask, wrapper)
                assert jax.tree.structure(found) == jax.tree.structure(expected), (cls.__name__, name)
                jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_what_holds_an_energy_is_a_wrapper_or_has_another_meaning():
    """A class with one energy inside that answers nothing of it would lose its minimum, its wall, its curvature."""
    made_of_it = {"Composite", "MoreauEnvelope", "Preconditioned", "SharedBatch", "WrappedEnergy"}
    for cls in every_subclass(Energy):
        inside = {name: hint for name, hint in cls.__annotations__.items() if hint in (Energy, "Energy")}
        assert not inside or issubclass(cls, WrappedEnergy) or cls.__name__ in made_of_it, cls


def test_a_wrapper_without_changes_is_transparent():
    class Mine(WrappedEnergy):
        energy: Energy

    E = Mine(KnownEnergy())
    for ask in ENERGY_QUESTIONS.values():
        jax.tree.map(np.testing.assert_array_equal, ask(E), ask(KnownEnergy()))

    class Unknown(WrappedEnergy):
        changes = frozenset(ENERGY_QUESTIONS)
        energy: Energy

        def value(self, x):
            return 3 * self.energy.value(x)

    E = Unknown(KnownEnergy())
    assert E.minimizer is E.minimum is E.curvature is E.nonsmooth is E.kinks is E.modes is None
    assert E.smooth is E
    assert not E.is_quadratic
    np.testing.assert_array_equal(E.grad(X), 6 * X)
    np.testing.assert_array_equal(E.hvp(X, X), 6 * X)
    np.testing.assert_allclose(E.inverse_hvp(X, X), X / 6)


def test_polyaks_step_knows_the_minimum_under_spsa():
    E = gf.Quadratic([[1.0, 0.0], [0.0, 2.0]], c=3.0)
    method = gf.optimizers.gradient_descent(E, gf.PolyakStep())
    assert float(method.iterate([1.0, 1.0], 20, oracle=gf.SPSA(0.1), key=KEY).energy[-1]) < 3.1


def test_a_modified_mirror_flow_rests_where_the_mirror_flow_does():
    """On a linear energy over the simplex: at a vertex, where ∇E is not 0."""
    flow = gf.MirrorFlow(gf.energy(lambda x: x[0] + 2 * x[1]), gf.potentials.Entropy())
    path = gf.integrate(gf.ModifiedFlow(flow, gf.ForwardEuler(), 0.1, 2), [0.5, 0.5], math.inf)
    assert path.status == "converged"
    np.testing.assert_allclose(path.x[-1], [1, 0], atol=1e-6)


@pytest.mark.parametrize("flow", [gf.InteractingLangevin, gf.SteinFlow])
def test_particles_do_not_pass_walls(flow):
    walled = gf.Composite(gf.energy(lambda x: jnp.sum(x**2)), gf.penalties.Indicator(gf.constraints.Box(1.0, 2.0)))
    with pytest.raises(ValueError, match=rf"^{flow.__name__}: .* through the wall of Box; .*MoreauEnvelope"):
        flow(walled)
    kinked = gf.Composite(gf.energy(lambda x: jnp.sum(x**2)), gf.penalties.L1())
    with pytest.raises(ValueError, match="L1 has a kink"):
        gf.integrate(flow(kinked), [1.0, 2.0, 3.0], 1.0)


def test_the_mean_energy_is_asked_of_the_energy_itself():
    """Its gradient where it has a kink is the least element, not what differentiation makes of |x| at 0."""
    each = gf.Composite(gf.Quadratic([[1.0]], [0.5]), gf.penalties.L1(1.0))
    mean, x = MeanEnergy(each), jnp.asarray([[0.0], [2.0]])
    np.testing.assert_allclose(mean.grad(x), [[0.0], [1.25]])
    smooth = MeanEnergy(gf.Quadratic([[4.0]], c=1.0))
    assert float(smooth.minimum) == 1.0
    np.testing.assert_allclose(smooth.hvp(x, x), 2 * x)
    assert eqx.tree_equal(smooth.grad(x), jax.grad(smooth.value)(x))


def test_energies_say_what_they_are_made_of():
    f, g = gf.Quadratic([[2.0]]), gf.penalties.L1(1.0)
    E, soft = gf.Composite(f, g), gf.Composite(f, gf.MoreauEnvelope(g, 0.1))
    assert (E.smooth, E.nonsmooth, E.kinks) == (f, g, g)
    assert soft.kinks is f.kinks is f.nonsmooth is None
    assert f.smooth is f
    assert E.with_smooth(gf.Mode(3.0)) == gf.Composite(gf.Mode(3.0), g)
    assert f.with_smooth(gf.Mode(3.0)) == gf.Mode(3.0)
    assert [e.is_quadratic for e in (f, gf.LeastSquares([[1.0]], [2.0]), gf.Mode(1.0), E, g)] == [True] * 3 + [
        False
    ] * 2
    lam, into, back = gf.Quadratic([[2.0, 1.0], [1.0, 2.0]]).modes
    np.testing.assert_allclose(lam, [1, 3])
    np.testing.assert_allclose(back(lam * into(X)), [10, 11])
    with pytest.raises(TypeError, match="`f` must be differentiable, got MeanEnergy"):
        gf.Composite(MeanEnergy(E), g)


def test_a_flow_says_whether_it_is_a_gradient_flow():
    class Turned(gf.GradientFlow):
        def drift(self, t, z):
            return super().drift(t, z)[::-1]

    E, plain = gf.Quadratic(np.eye(2)), gf.GradientFlow(gf.Quadratic(np.eye(2)))
    asked = [plain, Turned(E), gf.TimeChanged(plain, lambda t: t**2), gf.HeavyBall(E), gf.field(lambda x: -x)]
    assert [flow.is_gradient_flow for flow in asked] == [True, False, False, False, False]


@pytest.mark.parametrize("flow", part([gf.Nesterov, gf.HessianDamped, gf.NewtonFlow]))
def test_closed_forms_on_a_mode_are_those_on_a_matrix_of_it(flow):
    one, many = flow(gf.Mode(jnp.asarray(2.0))), flow(gf.Quadratic([[2.0]]))
    x = jnp.asarray([3.0])
    for a, b in zip(*(jax.tree.leaves(f.solution(0.0, f.init(x), 0.7)) for f in (one, many)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_a_class_may_tell_of_its_noise_by_methods():
    class Shaken(gf.GradientFlow):
        def brownian(self, z):
            return z

        def diffusion(self, t, z):
            return lambda increment: 2 * increment

    old, new = Shaken(gf.Mode(1.0)), gf.Langevin(gf.Mode(1.0), temperature=2.0)
    assert (old.noise.additive, old.noise.parts, old.noise.transition) == (True, 1, None)
    runs = [gf.iterate(flow, gf.EulerMaruyama(), 1.0, step=0.1, steps=3, key=KEY).x for flow in (old, new)]
    np.testing.assert_allclose(*runs, rtol=1e-12)
    with pytest.raises(TypeError, match=r"Shaken does not answer `noise\.transition`: the law of its states"):
        gf.iterate(old, gf.ExactFlow(), 1.0, step=0.1, steps=3, key=KEY)
    changed = gf.TimeChanged(old, lambda t: 4 * t)
    assert float(changed.diffusion(0.0, 1.0)(1.0)) == 4.0
    assert gf.GradientFlow(gf.Mode(1.0)).noise is None
    with pytest.raises(TypeError, match="GradientFlow does not answer `diffusion`: it has no noise"):
        gf.GradientFlow(gf.Mode(1.0)).diffusion(0.0, 1.0)
