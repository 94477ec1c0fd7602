"""No reading proves what it did not read: recipes that are another thing in one dimension than in many."""

import dataclasses
import inspect
import itertools
import random
import types
import typing

import jax.numpy as jnp
import numpy as np
import pytest

import gradientflow as gf
from gradientflow.flows import inner

E = gf.Quadratic(np.diag([1.0, 10.0, 100.0]))
FLOW = gf.GradientFlow(E)
EULER = gf.ForwardEuler()


class FirstOrder(gf.Flow):
    energy: gf.Energy

    def init(self, x):
        return x

    def position(self, z):
        return z


class OnSphere(FirstOrder):
    """Descent along the sphere: in one dimension there is nowhere to go."""

    def drift(self, t, z):
        f = -self.energy.grad(z)
        return f - inner(f, z) / inner(z, z) * z


class OnSphereInAnotherOrder(FirstOrder):
    def drift(self, t, z):
        f = -self.energy.grad(z)
        return f - inner(f, z) * z / inner(z, z)


class Aligned(gf.ForwardEuler):
    """In one dimension cos² is 1, and the scheme is forward Euler, which it is made from."""

    def step(self, flow, t, z, h, **_):
        f = flow.drift(t, z)
        return z + h * f * (2 - inner(z, f) * inner(z, f) / (inner(z, z) * inner(f, f)))


class GramDeterminant(gf.Discretizer):
    """Without a quotient: ⟨z, z⟩⟨f, f⟩ − ⟨z, f⟩² is 0 in one dimension, and degrees would tell it from nothing."""

    def step(self, flow, t, z, h, **_):
        f = flow.drift(t, z)
        return z + h * f + h * (inner(z, z) * inner(f, f) - inner(z, f) * inner(z, f)) * f


class Elementwise(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + h * flow.drift(t, z) * z / z


class Rooted(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        f = flow.drift(t, z)
        return z + h * f * ((f * f) ** 0.5 / f)


OF_MANY_DIMENSIONS = [Aligned, GramDeterminant, Elementwise, Rooted]


@pytest.mark.parametrize("scheme", OF_MANY_DIMENSIONS)
def test_every_reading_refuses_products_quotients_and_roots_of_states(scheme):
    method = gf.Method(FLOW, scheme(), 0.01)
    readings = [
        lambda: gf.stability_function(scheme()),
        lambda: gf.order(scheme()),
        lambda: gf.modified_equation(scheme(), 2),
        lambda: gf.worst_case_rate(method, 1, 100),
        lambda: gf.worst_case_bound(method, 2, 1, 100),
    ]
    for reading in readings:
        with pytest.raises(gf.NotExactError, match=r"it multiplies|two states multiplied"):
            reading()
    found = gf.stability(method)
    assert found.global_limit is None
    assert found.grade in ("measured", "unknown")
    (iterates,) = (claim for claim in gf.verify(method) if "iterates" in claim.name)
    assert iterates.grade == "unknown"


@pytest.mark.parametrize("flow", [OnSphere, OnSphereInAnotherOrder])
def test_a_flow_whose_inner_products_cancel_on_one_mode_is_not_read(flow):
    """Its forward Euler run at h = 0.5 grows to 1e27, where one mode stands still."""
    with pytest.raises(gf.NotExactError, match="it multiplies"):
        gf.stability_function(EULER, flow=flow(E))
    with pytest.raises(gf.NotExactError, match="it multiplies"):
        gf.worst_case_rate(flow(E), 1, 100)
    found = gf.verify(flow(E))
    assert [str(claim.grade) for claim in found][-2:] == ["unknown", "unknown"]
    stability = gf.stability(flow(E), EULER)
    assert (stability.grade, stability.is_local) == ("unknown", True)
    assert "not finite" in stability.step_limit.cause


class Spoiled(FirstOrder):
    """A Lyapunov function that is constant in one dimension only."""

    def drift(self, t, z):
        return -self.energy.grad(z)

    def lyapunov(self, t, z):
        g = self.energy.grad(z)
        return self.energy.value(z) + inner(z, z) * inner(g, g) - inner(z, g) * inner(z, g)


def test_a_lyapunov_function_of_products_of_inner_products_is_not_read():
    claim = gf.verify(Spoiled(E)).claims[-1]
    assert claim.grade == "unknown"


def test_newtons_limit_is_still_certified_with_its_formula():
    """Solving with the Hessian is no quotient of states."""
    found = gf.stability(gf.NewtonFlow(E), EULER)
    assert (found.limit, str(found.formula)) == (2, "2 + 2*regularization/lambda")
    assert (found.grade, found.is_local) == ("certified", False)


# --- A step is a function of its arguments, and the same on vectors ---------------------------------------------------

_calls = itertools.count()


class Chancy(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + random.choice([1, 3]) * h * flow.drift(t, z)


class ChancyByNumPy(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + int(np.random.randint(1, 4)) * h * flow.drift(t, z)


class Counting(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + (1 if next(_calls) % 3 else 3) * h * flow.drift(t, z)


class ChancyAndNotExact(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + random.choice([0.1, 0.3]) * h * flow.drift(t, z)


@pytest.mark.parametrize("scheme", [Chancy, ChancyByNumPy, Counting])
def test_a_step_that_changes_from_call_to_call_is_refused_by_every_reading(scheme):
    before = random.getstate()
    for reading in (
        lambda: gf.stability(FLOW, scheme()),
        lambda: gf.stability_function(scheme()),
        lambda: gf.order(scheme()),
        lambda: gf.worst_case_rate(gf.Method(FLOW, scheme(), 0.01), 1, 100),
    ):
        with pytest.raises(gf.NotExactError, match="must be a function of its arguments"):
            reading()
    claims = gf.verify(gf.Method(FLOW, scheme(), 0.01))
    assert "must be a function of its arguments" in claims.claims[-1].reason
    # The type checker of the tests draws from it too, so that it is the readings' own seeds that must be gone.
    assert len(before) == len(random.getstate())


def test_a_measured_limit_is_refused_too_where_the_step_changes():
    with pytest.raises(gf.NotExactError, match="must be a function of its arguments"):
        gf.stability(FLOW, ChancyAndNotExact())


def test_a_reading_leaves_the_global_generators_where_they_stood():
    np.random.seed(7)
    expected = np.random.RandomState(7).rand()
    gf.stability_function(gf.RungeKutta("rk4"))
    gf.order(gf.RungeKutta("rk4"))
    assert np.random.rand() == expected


class ShapeDependent(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + (1 if hasattr(z, "shape") else 2) * h * flow.drift(t, z)


class Reversing(gf.Discretizer):
    """Reverses the order of coordinates, of which one coordinate knows nothing."""

    def step(self, flow, t, z, h, **_):
        return (z[::-1] if hasattr(z, "shape") else z) + h * flow.drift(t, z)


@pytest.mark.parametrize("scheme", [ShapeDependent, Reversing])
def test_what_is_read_on_one_coordinate_is_compared_with_the_step_on_vectors(scheme):
    for reading in (
        lambda: gf.stability_function(scheme()),
        lambda: gf.worst_case_rate(gf.Method(FLOW, scheme(), 0.01), 1, 100),
    ):
        with pytest.raises(gf.NotExactError, match="is another step on vectors"):
            reading()
    found = gf.stability(FLOW, scheme())
    assert (found.grade, found.global_limit) == ("measured", None)


# --- Exact arithmetic of the right numbers ---------------------------------------------------------------------------


class ImplicitExplicit(gf.Discretizer):
    """(z + hf)/(1 + 4h): multiplies by (1 − hλ)/(1 + 4h), so that h ≤ 2/(λ − 4) where λ > 4, and all h where λ ≤ 4."""

    def step(self, flow, t, z, h, **_):
        return (z + h * flow.drift(t, z)) / (1 + 4 * h)


def test_a_mode_counts_whose_limit_vanishes_at_one_end_of_what_is_known_of_it():
    lam = 4 * (1 + 2.0**-52)
    found = gf.stability(gf.GradientFlow(gf.Quadratic([[lam]])), ImplicitExplicit())
    assert (found.limit, found.grade) == (2.0**51, "proved")
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    hessian = turned @ np.diag([1.0, 2.0, lam]) @ turned.T
    found = gf.stability(gf.GradientFlow(gf.Quadratic((hessian + hessian.T) / 2)), ImplicitExplicit())
    assert found.step_limit.low == found.limit < 2.0**54
    assert found.step_limit.high > 2.0**50
    assert gf.stability(gf.GradientFlow(gf.Quadratic([[4.0]])), ImplicitExplicit()).limit == np.inf


class RootOfASquare(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + ((h - h * h) ** 2) ** 0.5 * flow.drift(t, z)


class RootOfAPositiveSquare(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + ((h + h * h) ** 2) ** 0.5 * flow.drift(t, z)


def test_the_root_of_a_square_is_read_only_where_it_has_one_sign():
    """|h − h²| is h − h² up to 1 and h² − h beyond: every step below 2 is stable, and no rational function says so."""
    found = gf.stability(gf.GradientFlow(gf.Quadratic([[1.0]])), RootOfASquare())
    assert "is not rational" in found.unread
    assert (found.grade, found.limit) == ("measured", pytest.approx(2, rel=1e-6))
    positive = gf.stability(gf.GradientFlow(gf.Quadratic([[1.0]])), RootOfAPositiveSquare())
    assert (positive.grade, positive.limit) == ("proved", pytest.approx(1, rel=1e-12))


class OddlyOfHigherOrder(gf.Discretizer):
    """Forward Euler at h = 1 and at h = 2/3 only."""

    def step(self, flow, t, z, h, **_):
        k = flow.drift(t, z)
        return z + h * k + (h - 1) * (3 * h - 2) * h * (flow.drift(t + h, z + h * k) - k)


def test_an_order_is_read_with_the_step_as_a_symbol():
    with pytest.raises(gf.NotExactError, match="h or t otherwise than by h times drifts"):
        gf.order(OddlyOfHigherOrder())


# --- Claims are about what was asked ---------------------------------------------------------------------------------

FIT = gf.LeastSquares([[4, 1], [1, 3]], [1, 2])
SADDLE = gf.Quadratic(np.diag([1.0, -1.0]))
HILLY = gf.landscapes.rosenbrock()


@pytest.mark.parametrize(
    ("subject", "name", "why"),
    [
        (gf.HeavyBall(FIT, 7.0, 0.01), "friction 2√μ", "the mass is 7"),
        (gf.HeavyBall(FIT, 1.0, 50.0), "friction 2√μ", "the least curvature of E"),
        (gf.HeavyBall(FIT, 1.0, 0.0), "friction 2√μ", "the friction is 0"),
        (gf.Nesterov(FIT, r=1.0), "r ≥ 3", "r is 1"),
        (gf.GradientFlow(SADDLE), "‖x − x*‖ decays", "the least curvature of E is -1"),
        (gf.GradientFlow(SADDLE), "the distance to the minimizer", "the least curvature of E is -1"),
        (gf.GradientFlow(gf.Quadratic(np.diag([1.0, 0.0]))), "E − E* decays", "the least curvature of E is 0"),
        (gf.GradientFlow(gf.Quadratic(np.diag([1.0, 0.0]), [0.0, 1.0])), "the distance", "E has no minimizer"),
        (gf.GradientFlow(HILLY), "on quadratics", "E is no quadratic"),
        (gf.NewtonFlow(FIT, regularization=0.5), "‖∇E‖² decays", "the regularization is 0.5"),
        (gf.Langevin(gf.Quadratic(np.diag([1.0, 0.0]))), "stationary covariance", "the least curvature of E is 0"),
        (gf.Method(gf.Langevin(FIT), gf.EulerMaruyama(), 1.0), "stationary variance", "hλ is 21.3"),
    ],
)
def test_a_claim_that_does_not_apply_says_so_and_does_not_count(subject, name, why):
    found = gf.verify(subject)
    claims = [claim for claim in found if name in claim.name]
    assert claims
    for claim in claims:
        assert (claim.grade, claim.applies) == ("unknown", False)
        assert why in claim.reason
        assert claim.sibling is None or claim.sibling.grade == "refuted"
    assert "does not apply" in repr(found)
    assert "does not apply" in set(found.table()["grade"])
    assert found.all_proved == all(claim.grade == "proved" for claim in found if claim.applies)


def test_a_claim_whose_condition_is_not_known_is_unknown_and_does_not_count():
    found = gf.verify(gf.GradientFlow(HILLY))
    (claim,) = (claim for claim in found if claim.name.startswith("E − E* decays"))
    assert (claim.grade, claim.applies) == ("unknown", None)
    assert "E is strongly convex; no bound says that of this E" in claim.reason


def test_flat_but_bounded_quadratics_have_a_minimizer_to_come_closer_to():
    found = gf.verify(gf.GradientFlow(gf.Quadratic(np.diag([1.0, 0.0]), [1.0, 0.0])))
    (claim,) = (claim for claim in found if "distance to the minimizer" in claim.name)
    assert (claim.grade, claim.applies) == ("proved", True)


def test_nesterovs_energy_falls_whatever_r_is():
    assert gf.verify(gf.Nesterov(FIT, r=1.0)).claims[-1].grade == "proved"


class OtherMomentum(gf.MomentumEuler):
    def step(self, flow, t, z, h, **_):
        return super().step(flow, t, z, h / 2)


def test_a_subclass_does_not_inherit_its_parents_words():
    found = gf.verify(gf.Method(gf.HeavyBall(FIT), OtherMomentum(), 0.01))
    assert not any("own words" in claim.name for claim in found)


def test_a_run_that_diverges_agrees_until_it_overflows():
    method = gf.optimizers.gradient_descent(FIT, lr=0.2)
    claim = gf.verify(method, method.iterate([1.0, 1.0], 2000)).claims[-1]
    assert claim.grade == "measured"
    assert "until it overflows" in claim.reason
    other = gf.optimizers.gradient_descent(FIT, lr=0.2001).iterate([1.0, 1.0], 2000)
    assert gf.verify(method, other).claims[-1].grade == "refuted"


# --- No number without its grade -------------------------------------------------------------------------------------


def _classes(annotation):
    """The package's own result classes that an annotation names, unions taken apart."""
    parts = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    classes = {part for part in parts if inspect.isclass(part) and dataclasses.is_dataclass(part)}
    return {
        cls for cls in classes if cls.__module__.startswith("gradientflow.analysis") and not issubclass(cls, gf.Flow)
    }


def _results():
    """What the public analyses return, and what those hand out by public properties and methods, by inspection."""
    public = [getattr(gf, name) for name in gf.__all__]
    waiting = {
        cls
        for function in public
        if inspect.isfunction(function) and function.__module__.startswith("gradientflow.analysis")
        for cls in _classes(typing.get_type_hints(function).get("return"))
    }
    # What is public by name counts, whoever makes it; but not the questions, nor the terms of a series.
    waiting |= {cls for cls in public if inspect.isclass(cls) and _classes(cls)} - {gf.Tree, gf.Experiment}
    found = set()
    while waiting:
        cls = waiting.pop()
        found.add(cls)
        for name, member in inspect.getmembers(cls):
            function = member.fget if isinstance(member, property) else member
            if not name.startswith("_") and inspect.isfunction(function) and function.__module__ == cls.__module__:
                handed_out = _classes(typing.get_type_hints(function, vars(inspect.getmodule(cls))).get("return"))
                waiting |= handed_out - found
    return sorted(found, key=lambda cls: cls.__name__)


@pytest.mark.parametrize("cls", _results(), ids=lambda cls: cls.__name__)
def test_every_result_says_why_it_has_its_grade(cls):
    """By a field, or by words that its kind forms; no field of that name has a default by accident."""
    assert "reason" in inspect.getattr_static(cls, "__annotations__", {}) or callable(cls.why_so)
    for field in dataclasses.fields(cls):
        assert field.name != "reason" or field.default is dataclasses.MISSING


@pytest.mark.parametrize("cls", _results(), ids=lambda cls: cls.__name__)
def test_every_result_has_a_grade(cls):
    assert hasattr(cls, "grade") or "grade" in {field.name for field in dataclasses.fields(cls)}
    if isinstance(getattr(cls, "grade", None), property):
        assert typing.get_type_hints(cls.grade.fget)["return"] is gf.Grade


BOWL = gf.Quadratic(np.diag([1.0, 4.0]))
MOMENTUM = gf.optimizers.momentum(BOWL, lr=0.1, beta=0.5)
POLYAK = gf.optimizers.momentum(BOWL, lr=4 / 36, beta=(4 / 6) ** 2)
GRADED = {
    "OrderProof": (lambda: gf.order(EULER), "proved"),
    "ModifiedEquation": (lambda: gf.modified_equation(EULER, 2), "proved"),
    "ModifiedEnergy": (lambda: gf.modified_equation(EULER, 2).modified_energy, "proved"),
    "ModifiedHamiltonian": (lambda: gf.modified_hamiltonian(gf.MomentumEuler(), 2), "proved"),
    "Stability": (lambda: gf.stability(gf.GradientFlow(BOWL), EULER), "proved"),
    "StabilityIntervals": (lambda: gf.stability_intervals(gf.RungeKutta("rk4")), "proved"),
    "StabilityRegion": (lambda: gf.stability_region(EULER, (-2.0, 0.0), (-1.0, 1.0), points=3), "measured"),
    "StabilityMap": (
        lambda: gf.stability_map(gf.optimizers.momentum, (1.0, 4.0), lr=[0.1, 0.2], beta=[0.5, 0.9]),
        "measured",
    ),
    "GaussianLaw": (lambda: gf.stationary_law(gf.Langevin(BOWL), [1.0, 1.0]), "measured"),
    "ExitTime": (
        lambda: gf.exit_time(
            gf.energy(lambda x: jnp.sum((x**2 - 1) ** 2) / 4), temperature=0.2, start=-1.0, end=1.0, wall=-5.0
        ),
        "measured",
    ),
    "Cycle": (lambda: gf.find_cycle(POLYAK, 1, 25), "refuted"),
    "Verification": (lambda: gf.verify(gf.GradientFlow(BOWL)), "proved"),
    "WorstCaseRate": (lambda: gf.worst_case_rate(gf.optimizers.gradient_descent(BOWL, lr=0.25), 1, 4), "proved"),
    "WorstCaseFormula": (
        lambda: gf.analysis.worst_case_formula(gf.optimizers.gradient_descent, 1, 4, lr=(0, 0.25)),
        "proved",
    ),
    "WorstCaseNoise": (
        lambda: gf.analysis.worst_case_noise(gf.optimizers.gradient_descent(BOWL, lr=0.25), 1, 4),
        "proved",
    ),
    "Certificate": (
        lambda: gf.worst_case_rate(gf.optimizers.gradient_descent(BOWL, lr=0.25), 1, 4).certificate,
        "proved",
    ),
}


@pytest.mark.parametrize("name", GRADED)
def test_a_result_shows_its_grade(name):
    make, grade = GRADED[name]
    found = make()
    assert type(found).__name__ == name
    assert isinstance(found.grade, gf.Grade)
    assert found.grade == grade
    assert grade in repr(found)
    assert len(found.reason.split()) >= 3


# --- Where the linearization says nothing ----------------------------------------------------------------------------


class Swinging(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + h * (1 + 0.9 * jnp.sin(t)) * flow.drift(t, z)


def _at_zero(function):
    return gf.stability(gf.GradientFlow(gf.energy(function)), EULER, at=jnp.zeros(1))


SILENT = {
    "a clock that runs ever faster": (
        lambda: gf.stability(gf.TimeChanged(gf.GradientFlow(gf.Quadratic([[4.0]])), lambda t: t**2), EULER),
        "never settles",
    ),
    "a coefficient that swings": (
        lambda: gf.stability(gf.GradientFlow(gf.Quadratic([[1.0]])), Swinging()),
        "never settles",
    ),
    "a maximizer": (lambda: _at_zero(lambda x: -jnp.sum(x**4)), "the Hessian vanishes"),
    "an inflection": (lambda: _at_zero(lambda x: jnp.sum(x**3)), "the Hessian vanishes"),
    "a kink": (lambda: _at_zero(lambda x: jnp.sum(jnp.where(x > 0, 50 * x**2, x**2 / 2))), "a kink"),
}


@pytest.mark.parametrize("name", SILENT)
def test_a_linearization_that_says_nothing_is_unknown_with_its_reason(name):
    ask, why = SILENT[name]
    found = ask()
    assert (found.grade, bool(np.isnan(found.limit))) == ("unknown", True)
    assert why in found.step_limit.cause


def test_a_smooth_minimum_is_still_linearized():
    found = _at_zero(lambda x: jnp.sum(jnp.cosh(x)))
    assert (found.grade, found.limit) == ("measured", pytest.approx(2, rel=1e-6))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_signs_have_no_stable_step(dtype):
    """However near the minimizer, the step is as long: 0.5, plain gradient descent's limit, is none."""
    E = gf.Quadratic(jnp.asarray(np.diag([1.0, 4.0]), dtype))
    found = gf.stability(gf.optimizers.sign_descent(E, lr=0.1))
    assert (found.limit, found.grade) == (0, "measured")
    assert "no step is stable" in found.step_limit.cause


class Saturating(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + jnp.tanh(h * flow.drift(t, z))


@pytest.mark.parametrize("lam", [1.0, 3.0, 7.0])
def test_a_measured_bracket_holds_the_truth_and_the_limit_is_its_safe_end(lam):
    found = gf.stability(gf.GradientFlow(gf.Quadratic([[lam]])), Saturating())
    limit = found.step_limit
    assert limit.low <= 2 / lam <= limit.high
    assert found.limit == limit.low
    assert found.limit == pytest.approx(2 / lam, rel=1e-8)


def test_the_edge_of_stability_of_an_optimizer_tells_its_learning_rate():
    """At fixed β the limit is 2(1 + β)/λ; at a fixed flow another one, which nobody tunes by."""
    method = gf.optimizers.momentum(gf.Quadratic([[13.07]]), lr=1.0, beta=0.9)
    found = gf.edge_of_stability(method, method.iterate([1e-3], 3))
    np.testing.assert_allclose(found.lr_limit, 2 * 1.9 / 13.07, rtol=1e-12)
    assert "lr limit" in found.table()


class NeverOnArrays(gf.Discretizer):
    """Rational arithmetic, but for arrays."""

    def step(self, flow, t, z, h, **_):
        if isinstance(z, jnp.ndarray):
            raise RuntimeError("no arrays today")
        return z + h * flow.drift(t, z)


def test_nothing_is_proved_of_a_step_that_runs_on_no_arrays():
    with pytest.raises(gf.NotExactError, match=r"NeverOnArrays was read on one coordinate.*beside it: no arrays today"):
        gf.stability_function(NeverOnArrays())
    with pytest.raises(gf.NotExactError, match=r"no arrays today"):
        gf.order(NeverOnArrays())


class AnotherOnArrays(gf.Discretizer):
    """Heun's on exact numbers, Euler's on arrays."""

    def step(self, flow, t, z, h, **_):
        slope = flow.drift(t, z)
        return z + h * slope if isinstance(z, jnp.ndarray) else z + h * (slope + flow.drift(t + h, z + h * slope)) / 2


def test_an_order_is_held_against_the_step_that_runs():
    with pytest.raises(gf.NotExactError, match=r"AnotherOnArrays is another step on vectors .* off by 0\.12"):
        gf.order(AnotherOnArrays())


class AnotherSplittingOnArrays(gf.Discretizer):
    """Symplectic Euler with friction on trees; on arrays it drifts once more by what no tree sees."""

    def step(self, flow, t, z, h, **_):
        for part in ("force", "transport", "friction"):
            z = z + h * flow.parts[part].drift(t, z)
        return z + h * h if isinstance(z, jnp.ndarray) else z


def test_a_splitting_that_is_another_on_arrays_has_no_order():
    with pytest.raises(gf.NotExactError, match=r"AnotherSplittingOnArrays is another step on vectors .* off by 0\.25"):
        gf.order(AnotherSplittingOnArrays(), up_to=3, flow=gf.HeavyBall)
