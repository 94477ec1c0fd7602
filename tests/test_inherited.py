"""Who overrides one method inherits nothing that was said of the old one, and nothing false is called proved."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradientflow as gf

E = gf.LeastSquares([[4.0, 1.0], [1.0, 3.0]], [1.0, 2.0])
FLOW = gf.GradientFlow(E)


def proved(subject):
    return {claim.name for claim in gf.verify(subject) if claim.grade is gf.Grade.PROVED}


# --- energies ---


@pytest.mark.parametrize(
    ("base", "question", "needed"),
    [
        (gf.Quadratic, "value", "hessian"), (gf.LeastSquares, "grad", "hessian"), (gf.penalties.L1, "value", "prox"),
        (gf.LinearRegression, "value", "hessian"),
    ],
)  # fmt: skip
def test_a_quadratic_with_another_value_has_another_hessian(base, question, needed):
    with pytest.raises(TypeError, match=f"Other: its `{question}` is not that of .*, whose `{needed}` it can't have"):
        type("Other", (base,), {question: lambda self, x: 4 * getattr(base, question)(self, x)})


def test_another_value_has_its_own_gradient_and_no_bounds():
    class Ridged(gf.LogisticRegression):
        def value(self, x):
            return super().value(x) + 5 * jnp.sum(x**2)

    ridged, w = Ridged([[1.0], [2.0], [-1.0]], [0, 1, 0]), jnp.array([1.0, 2.0])
    np.testing.assert_allclose(ridged.grad(w), jax.grad(ridged.value)(w))
    assert ridged.curvature is None
    assert gf.LogisticRegression([[1.0], [2.0], [-1.0]], [0, 1, 0]).curvature is not None
    # The batches are its own.
    np.testing.assert_allclose(ridged.subset(jnp.arange(3)).value(w), ridged.value(w))


def test_another_value_has_other_losses():
    class Doubled(gf.FiniteSum):
        def value(self, x):
            return 2 * super().value(x)

    E = Doubled(lambda x, example: (x - example) ** 2, jnp.arange(3.0))
    np.testing.assert_allclose(E.losses(jnp.array(1.0)), [2, 0, 2])


def test_a_sum_with_another_value_has_no_parts():
    class Shifted(gf.Composite):
        def value(self, x):
            return super().value(x) + jnp.sum(x)

    shifted = Shifted(E, gf.penalties.SquaredL2(0.5))
    assert shifted.smooth is shifted
    assert shifted.nonsmooth is None


def test_a_subclass_that_changes_nothing_knows_all():
    class Named(gf.Quadratic):
        pass

    assert gf.stability(gf.GradientFlow(Named([[2.0]])), gf.ForwardEuler()).grade is gf.Grade.PROVED


def test_bounds_that_the_hessian_breaks_carry_no_theorem():
    class Lying(gf.Energy):
        def value(self, x):
            return jnp.sum(x**4) - jnp.sum(x**2)  # of curvature 4 at its minimizers

        @property
        def minimizer(self):
            return jnp.full(2, 0.5**0.5)

        @property
        def curvature(self):
            return gf.flows.Curvature(1.0, 2.0)

    found = gf.stability(gf.GradientFlow(Lying()), gf.ForwardEuler())
    assert found.global_limit is None
    assert "bounds are wrong" in found.global_reason


def test_what_only_an_energy_says_of_itself_is_no_condition_of_a_proof():
    class Quartic(gf.Energy):
        is_quadratic = True

        def value(self, x):
            return jnp.sum(x**4)

    closed = gf.verify(gf.GradientFlow(Quartic())).claims[0]
    assert (closed.grade, closed.applies) == (gf.Grade.UNKNOWN, None)
    assert "nobody says but its own class" in closed.reason


# --- flows ---


def test_another_gradient_is_another_motion():
    class Twice(gf.GradientFlow):
        def gradient(self, x):
            return 2 * super().gradient(x)

    flow = Twice(gf.Quadratic([[1.0, 0.0], [0.0, 9.0]]))
    assert not flow.is_gradient_flow
    after = gf.iterate(flow, gf.BackwardEuler(), [1.0, 1.0], step=1.0, steps=1).x[-1]
    np.testing.assert_allclose(after, [1 / 3, 1 / 19], rtol=1e-5)
    with pytest.raises(gf.UnansweredQuestionError):
        gf.iterate(flow, gf.ExactSolution(), [1.0, 1.0], step=1.0, steps=1)


def test_noise_is_told_once():
    with pytest.raises(TypeError, match="Loud: its `diffusion` is not in the `noise` of Langevin"):

        class Loud(gf.Langevin):
            def diffusion(self, t, z):
                return lambda increment: 3 * increment


def test_another_drift_has_another_density():
    class Faster(gf.Langevin):
        def drift(self, t, z):
            return -2 * self.gradient(z)

    with pytest.raises(TypeError, match="must be Langevin"):
        gf.stationary_density(Faster(gf.energy(lambda x: x**2 / 2)), gf.EulerMaruyama(), step=0.05, low=-5.0, high=5.0)


class OnType(gf.Flow):
    """Descends on symbols, and climbs on arrays."""

    energy: gf.Energy

    def init(self, x):
        return x

    def position(self, z):
        return z

    def drift(self, t, z):
        return self.gradient(z) if isinstance(z, jax.Array) else -self.gradient(z)

    def lyapunov(self, t, z):
        return gf.flows.inner(z, z)


class Caught(OnType):
    def drift(self, t, z):
        try:
            late = bool(t > 1)
        except TypeError:
            late = False
        return self.gradient(z) if late else -self.gradient(z)

    def lyapunov(self, t, z):
        return gf.flows.inner(z, z)


@pytest.mark.parametrize("flow", [OnType, Caught])
def test_what_falls_on_symbols_falls_on_arrays(flow):
    assert not any("Lyapunov" in name or "closed form" in name for name in proved(flow(gf.Quadratic([[1.0]]))))


def test_what_solves_on_symbols_solves_on_arrays():
    class Elsewhere(gf.GradientFlow):
        def solution(self, t, z, h):
            return 5 * z if isinstance(z, jax.Array) else super().solution(t, z, h)

    assert not any("closed form" in name for name in proved(Elsewhere(gf.Quadratic([[1.0]]))))


# --- schemes ---


class Half(gf.RungeKutta):
    def step(self, flow, t, z, h, **_):
        return z + h * flow.drift(t, z) / 2


class Climbing(gf.DiscreteGradient):
    def step(self, flow, t, z, h, **_):
        return z + h * flow.drift(t, z) * 2


class Long(gf.ForwardEuler):
    def step(self, flow, t, z, h, **_):
        return z + h * flow.drift(t, z) * 2


def test_another_step_claims_nothing_of_its_parent():
    half = Half("rk4")
    assert (half.name, half.order, half.equation) == ("Half", None, "")
    assert gf.RungeKutta("rk4").order == 4
    assert "Climbing" in str(gf.stability(FLOW, Climbing()))
    found = gf.verify(gf.Method(FLOW, Climbing(), 0.1))
    assert not any("takes of the energy" in claim.name for claim in found)
    # Refuting what nobody says of it is no news.
    assert found.grade is not gf.Grade.REFUTED


def test_an_exact_search_goes_along_the_step_that_runs():
    one, two = (
        gf.iterate(FLOW, s, [4.0, -1.0], step=gf.ExactLineSearch(), steps=1) for s in (gf.ForwardEuler(), Long())
    )
    np.testing.assert_allclose(one.energy[-1], two.energy[-1], rtol=1e-5)


class OnSize(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + h * flow.drift(t, z) * (2 if getattr(z, "size", 1) == 2 else 1)


class OnEnergy(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + h * flow.drift(t, z) * (1 if isinstance(flow.energy, gf.LeastSquares) else 3)


class OnShortSteps(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        try:
            short = float(h) < 1e-3
        except TypeError:
            short = False
        return z + h * flow.drift(t, z) * (2 if short else 1)


@pytest.mark.parametrize(("scheme", "limit"), [(OnSize(), 1), (OnEnergy(), 2), (OnShortSteps(), 2)])
def test_a_step_that_looks_at_more_than_a_mode_has_is_measured(scheme, limit):
    found = gf.stability(FLOW, scheme)
    assert found.grade is gf.Grade.MEASURED
    assert found.global_limit is None
    np.testing.assert_allclose(found.limit * float(E.curvature.L), limit, rtol=1e-3)
    assert not any("step" in name for name in proved(gf.Method(FLOW, scheme, 0.01)))
    with pytest.raises(gf.analysis.NotExactError):
        gf.worst_case_rate(gf.Method(FLOW, scheme, 0.01), mu=1, L=10)


def test_a_refusal_that_is_caught_is_told_with_its_line():
    with pytest.raises(gf.analysis.NotExactError, match=r"float\(h\) < 1e-3"):
        gf.order(OnShortSteps())


class Far(gf.Discretizer):
    """Another step far away, of which JAX can't be asked with exact numbers."""

    def step(self, flow, t, z, h, **_):
        try:
            factor = jnp.where(jnp.max(jnp.abs(z)) > 50, 3.0, 1.0)
        except Exception:
            factor = 1
        return z + h * flow.drift(t, z) * factor


class OnMany(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + h * flow.drift(t, z) * (3 if getattr(z, "size", 1) > 3 else 1)


def test_what_is_asked_of_jax_and_caught_is_a_refusal_too():
    assert gf.stability(FLOW, Far()).grade is gf.Grade.MEASURED


def test_a_step_is_held_at_the_flow_s_own_size():
    flow = gf.GradientFlow(gf.Quadratic(np.diag(np.linspace(1, 10, 40))))
    found = gf.stability(flow, OnMany())
    assert found.grade is gf.Grade.MEASURED
    np.testing.assert_allclose(found.limit, 0.2 / 3, rtol=1e-3)


class OnFlow(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + h * flow.drift(t, z) / (2 if isinstance(flow, gf.GradientFlow) else 1)


def test_an_order_is_that_on_a_flow():
    with pytest.raises(gf.analysis.NotExactError, match="another step on a gradient flow"):
        gf.order(OnFlow())


def test_an_order_is_that_at_every_size():
    with pytest.raises(gf.analysis.NotExactError, match="another step on vectors"):
        gf.order(OnSize())


class Remembering(gf.Discretizer):
    """Two-step: with memory, away from 0."""

    def init(self, flow, t, z, h):
        return z

    def step(self, flow, t, z, h, memory=None, **_):
        return z + h * flow.drift(t, z) + (z - memory) / 2, z


def test_an_own_scheme_with_memory_is_proved_on_an_energy_whose_minimizer_is_elsewhere():
    assert gf.stability(FLOW, Remembering()).grade is gf.Grade.PROVED


# --- what else a class is made of ---


def test_a_wrapper_s_subclass_that_moves_otherwise_has_no_closed_form():
    class Backwards(gf.TimeChangedFlow):
        def drift(self, t, z):
            return -1 * super().drift(t, z)

    with pytest.raises(gf.UnansweredQuestionError):
        gf.iterate(Backwards(FLOW, lambda t: t**3), gf.ExactSolution(), [1.0, 1.0], step=0.1, steps=1)


@pytest.mark.parametrize(
    ("base", "question", "says"),
    [
        (gf.ConstantStep, "__call__", "its steps are not those of ConstantStep; derive from StepRule"),
        (gf.ScheduledStep, "__call__", "its steps are not those of ScheduledStep; derive from StepRule"),
        (gf.potentials.Entropy, "value", "its `value` is not that of Entropy, whose `gradient` it can't have"),
        (gf.constraints.Box, "project", "its `project` is not that of Box, whose `project_tangent` it can't have"),
    ],
)
def test_methods_that_belong_together_are_told_together(base, question, says):
    with pytest.raises(TypeError, match=says):
        type("Other", (base,), {question: lambda self, *_: None})


# Questions whose answers don't hang on `value`, `drift` or `step`; those that do are listed beside the class.
STAND_ALONE = {
    gf.Energy: "value count subset checked sparing_the_last proximal_point plot f g",
    gf.Flow: "drift gradient energy name init position velocity residual lyapunov check_start has_energy held settled "
    "is_gradient_flow noise diffusion brownian inverse_preconditioner frozen mechanics decay descent rows time_of "
    "plot along covariance spread leading",
    gf.Discretizer: "step init position increments check_start clock_only discrete_gradient weights",
}


@pytest.mark.parametrize("base", STAND_ALONE, ids=lambda base: base.__name__)
def test_every_question_either_stands_alone_or_goes_with_what_it_hangs_on(base):
    def below(cls):
        return [cls, *(other for child in cls.__subclasses__() for other in below(child))]

    home = importlib.import_module(base.__module__)
    (hanging,) = (questions for name, questions in vars(home).items() if name.startswith("_OF_A_"))
    asked = {
        name
        for cls in below(base)
        if cls.__module__.startswith("gradientflow.")
        for name, answer in vars(cls).items()
        if not name.startswith("_") and (callable(answer) or isinstance(answer, property))
    }
    alone = set(STAND_ALONE[base].split())
    assert not alone & set(hanging)
    assert asked <= alone | set(hanging)


def test_another_position_has_no_lyapunov_function():
    class Doubled(gf.GradientFlow):
        def position(self, z):
            return 2 * z

    assert not proved(Doubled(gf.energy(lambda x: jnp.sum(x**4) / 4 - jnp.sum(x**2) / 2)))
