"""Proofs: every claim of every flow, each beside a false sibling that is refuted; and what broken code is told."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import sympy

import gradientflow as gf
from gradientflow.analysis.exact.leaf import Exact
from gradientflow.analysis.exact.motion import REGIMES, Motion
from gradientflow.analysis.verification.abstract_energy import setting
from gradientflow.analysis.verification.closed_forms import closed_form
from gradientflow.analysis.verification.decrease import decide_decrease, decide_fact
from gradientflow.flows.linear.bessel import propagator

from .catalogue import FLOWS
from .thorough import THOROUGH, part

E = gf.LeastSquares([[4, 1], [1, 3]], [1, 2])
CENTERED = gf.Quadratic([[17, 7], [7, 10]])


# Of these everything that is claimed is proved; of the others at least the energy's part, and the rest says why not.
PROVED = {
    "GradientFlow", "HeavyBallFlow", "HessianDampedFlow", "KineticLangevin", "Langevin", "NesterovFlow", "NewtonFlow",
}  # fmt: skip


@pytest.mark.parametrize("flow_class", [make for make in FLOWS if make.__name__ not in PROVED])
def test_what_is_not_proved_of_a_flow_is_unknown_with_its_reason(flow_class):
    flow = flow_class(E)
    found = gf.verify(flow)
    grades = [claim.grade for claim in found.claims]
    # An energy that is no quadratic (a mean over data) has no part here, and a closed form on a mode is not its own.
    known = isinstance(flow.energy, gf.flows.AbstractQuadratic)
    assert set(grades) == ({"proved", "unknown"} if known else {"unknown"})
    assert all(claim.reason for claim in found.claims)


@pytest.mark.parametrize("flow_class", [make for make in FLOWS if make.__name__ in PROVED])
def test_everything_claimed_of_a_flow_is_proved_and_its_siblings_refuted(flow_class):
    found = gf.verify(flow_class(E))
    assert found.all_proved
    assert len(found.claims) >= 4
    for claim in found.claims:
        assert claim.grade == "proved"
        assert claim.sibling is not None
        assert claim.sibling.grade == "refuted"
        assert claim.sibling.counterexample
        assert claim.statement != claim.sibling.statement


METHODS = {
    "gradient descent": gf.optimizers.gradient_descent(E, lr=0.01),
    "proximal point": gf.optimizers.proximal_point(E, lr=0.1),
    "momentum": gf.optimizers.momentum(E, lr=0.01, beta=0.9),
    "rk4": gf.Method(gf.GradientFlow(E), gf.RungeKutta("rk4"), 0.01),
    "ralston": gf.Method(gf.GradientFlow(E), gf.RungeKutta("ralston"), 0.01),
    "unadjusted Langevin": gf.Method(gf.Langevin(E), gf.EulerMaruyama(), 0.01),
    "midpoint of the heavy ball": gf.Method(gf.HeavyBall(E), gf.ImplicitMidpoint(), 0.1),
}


@pytest.mark.parametrize("name", METHODS)
def test_everything_claimed_of_a_method_is_proved(name):
    found = gf.verify(METHODS[name])
    assert found.all_proved
    assert any("step limit" in claim.name for claim in found.claims)
    assert any("iterates" in claim.name or "powers" in claim.name for claim in found.claims)


def test_the_running_examples_numbers():
    statements = {claim.name: claim.statement for claim in gf.verify(METHODS["gradient descent"]).claims}
    assert statements["the minimizer"] == r"x^* = \left(\tfrac{1}{11}, \tfrac{7}{11}\right),\quad E^* = 0"
    assert rf"h < \frac{{2}}{{\lambda}} = {4 / (27 + 245**0.5):.12g}" in statements["step limit of ForwardEuler"]
    assert statements["iterates of ForwardEuler on every mode"] == r"x_k = \left(- h \lambda + 1\right)^k x_0"


def test_the_proved_formulas_are_the_matrix_exponential():
    """Independently: SciPy's expm of the system's matrix against each regime's formula."""
    form = closed_form(gf.HeavyBall(E))
    for regime, lam in zip(REGIMES, (5.0, 1.0, 0.3), strict=True):
        m, friction = 1.0, 2.0
        root = abs(lam / m - (friction / (2 * m)) ** 2) ** 0.5
        values = {"lambda": lam, "m": m, "gamma": friction, "x0": 0.7, "v0": -1.3, "c0": 0.0, "t": 0.8}
        values |= {sympy.Symbol(regime.symbol or "none", positive=True): root}
        expm = scipy.linalg.expm(0.8 * np.array([[0, 1], [-lam / m, -friction / m]])) @ [0.7, -1.3]
        for leaf, expected in zip((form.state.x, form.state.v), expm, strict=True):
            assert float(form.motion.expression(leaf, regime).subs(values)) == pytest.approx(expected, rel=1e-12)


def test_what_proofs_take_the_functions_of_time_to_be_is_what_runs_compute():
    """Their meaning in numbers, and by SymPy the derivatives that proofs give them."""
    t, w, lam = sympy.Symbol("t"), sympy.Symbol("omega", positive=True), sympy.Symbol("lambda")
    motion = Motion("lambda", "r")
    a, k = Exact(1) / 2, motion.generators["lambda"]
    told = motion.damped_oscillation(a, k)
    for regime, at in zip(REGIMES, (2.25, 0.25, 0.125), strict=True):
        root = sympy.Symbol(regime.symbol or "none", positive=True)
        computed = gf.flows.damped_oscillation(0.5, at, 0.75)
        values = {lam: at, root: abs(at - 0.25) ** 0.5, t: 0.75}
        for exact, number in zip(told, computed, strict=True):
            assert float(motion.expression(exact, regime).subs(values)) == pytest.approx(float(number), rel=1e-12)
        cosine, sine = regime.cosine(w, t), regime.sine(w, t)
        assert sympy.simplify(sympy.diff(sine, t) - cosine) == 0
        assert sympy.simplify(sympy.diff(cosine, t) + regime.sign * w**2 * sine) == 0
    relaxed = motion.expression(motion.relaxed(k)).subs({lam: 1.5, t: 0.75})
    assert float(relaxed) == pytest.approx(float(gf.flows.relaxed(1.5, 0.75)), rel=1e-12)
    told = motion.propagated_from_rest(k, motion.generators["r"])
    computed = np.ravel(propagator(jnp.asarray(1.5), 3.5, 0.0, 0.75))
    for exact, number in zip(told, computed, strict=True):
        value = motion.expression(exact).subs({lam: 1.5, sympy.Symbol("r"): 3.5})
        assert float(value.subs(t, 0.75)) == pytest.approx(float(number), rel=1e-10)
        slope = motion.expression(motion.derivative(exact)).subs({lam: 1.5, sympy.Symbol("r"): 3.5})
        assert float(slope.subs(t, 0.75)) == pytest.approx(float(sympy.diff(value, t).subs(t, 0.75)), rel=1e-10)


# --- Runs' own numbers -----------------------------------------------------------------------------------------------


def test_a_paths_numbers_are_measured_against_the_closed_form():
    oscillating, overdamped = gf.HeavyBall(E, mass=2.0, friction=1.0), gf.HeavyBall(E, mass=1.0, friction=9.0)
    for flow in part((oscillating, gf.GradientFlow(E), overdamped), 3):
        found = gf.verify(flow, gf.integrate(flow, [4.0, -1.0], 1.0))
        assert found.claims[-1].grade == "measured"
        assert found.all_proved


@pytest.mark.parametrize("name", part(["momentum", "gradient descent", "rk4", "midpoint of the heavy ball"]))
def test_a_runs_numbers_are_measured_against_matrix_powers(name):
    method = METHODS[name]
    run = method.iterate([4.0, -1.0], steps=100, save_every=7)
    assert gf.verify(method, run).claims[-1].grade == "measured"


def test_a_run_of_something_else_is_refuted():
    method, other = METHODS["momentum"], gf.optimizers.momentum(E, lr=0.0101, beta=0.9)
    claim = gf.verify(method, other.iterate([4.0, -1.0], steps=50)).claims[-1]
    assert claim.grade == "refuted"
    assert "it is off by" in claim.counterexample
    path = gf.integrate(gf.GradientFlow(gf.LeastSquares([[4, 1], [1, 3]], [1, 2.001])), [4.0, -1.0], 1.0)
    assert gf.verify(gf.GradientFlow(E), path).claims[-1].grade == "refuted"


def test_flat_directions_and_larger_systems():
    flat = gf.LeastSquares([[1.0, 0, 0], [0, 1, 1]], [1, 1])
    flow = gf.GradientFlow(flat)
    found = gf.verify(flow, gf.integrate(flow, [1.0, 2.0, 3.0], 1.0))
    assert found.claims[-1].grade == "measured"
    assert found.claims[0].grade == "proved"
    if not THOROUGH:
        return
    large = gf.LeastSquares(np.random.default_rng(0).normal(size=(50, 40)), np.ones(50))
    found = gf.verify(gf.GradientFlow(large))
    assert found.claims[0].grade == "certified"
    assert not found.all_proved


def test_an_indefinite_matrix_is_refuted_with_its_eigenvalue():
    found = gf.verify(gf.GradientFlow(gf.Quadratic([[1.0, 2.0], [2.0, 1.0]])))
    assert found.claims[0].grade == "refuted"
    assert "-1" in found.claims[0].counterexample
    assert not found.all_proved


# --- Users' own flows, right and wrong -------------------------------------------------------------------------------


class Rotating(gf.Flow):
    """Two numbers a mode, with a skew part: ẋ = −∇E + Ωv, v̇ = −Ωx − cv."""

    energy: gf.Energy
    spin: float = 0.7
    damping: float = 0.25

    def init(self, x):
        return gf.Phase(x, 0 * x)

    def position(self, z):
        return z.x

    def drift(self, t, z):
        return gf.Phase(self.spin * z.v - self.gradient(z.x), -(self.spin * z.x) - self.damping * z.v)

    def lyapunov(self, t, z):
        return gf.flows.inner(z.x, z.x) / 2 + gf.flows.inner(z.v, z.v) / 2


class Growing(Rotating.__base__):
    """Gradient ascent that claims to descend."""

    energy: gf.Energy

    def init(self, x):
        return x

    def position(self, z):
        return z

    def drift(self, t, z):
        return self.gradient(z)

    def lyapunov(self, t, z):
        return self.energy.value(z)


def test_a_users_flow_is_proved_from_its_own_code():
    found = gf.verify(Rotating(CENTERED))
    assert [str(claim.grade) for claim in found.claims[-2:]] == ["proved", "proved"]
    assert "on every convex E" in found.claims[-1].reason
    assert found.all_proved


def test_a_wrong_lyapunov_function_is_refuted_on_a_quadratic():
    found = gf.verify(Growing(CENTERED))
    assert found.claims[-1].grade == "refuted"
    assert "V̇ exceeds its bound" in found.claims[-1].counterexample


class HalfSpeed(Growing.__base__):
    """A gradient flow whose drift has lost a factor: the textbook's closed form doesn't solve it."""

    energy: gf.Energy

    def init(self, x):
        return x

    def position(self, z):
        return z

    def drift(self, t, z):
        return -self.gradient(z) / 2

    def lyapunov(self, t, z):
        return self.energy.value(z)


class HalfDescent(gf.GradientFlow):
    """The same as a subclass, with the gradient flow's closed form."""

    def drift(self, t, z):
        return -self.gradient(z) / 2

    def solution(self, t, z, h):
        return gf.GradientFlow(self.energy).solution(t, z, h)


def test_a_closed_form_is_refuted_on_a_drift_that_lost_a_factor():
    claim = next(claim for claim in gf.verify(HalfDescent(E)).claims if "closed form" in claim.name)
    assert claim.grade == "refuted"
    assert "dx/dt and the drift are" in claim.counterexample


@pytest.mark.parametrize("name", sorted(PROVED))
def test_who_moves_otherwise_inherits_no_closed_form(name):
    class Other(getattr(gf, name)):
        def drift(self, t, z):
            return 2 * super().drift(t, z)

    flow = Other(CENTERED)
    with pytest.raises(gf.UnansweredQuestionError):
        flow.solution(0.0, flow.init(jnp.ones(2)), 0.5)


@pytest.mark.parametrize("name", ["GradientFlow", "HeavyBallFlow", "NesterovFlow", "PreconditionedFlow"])
def test_who_moves_otherwise_steps_implicitly_on_its_own_drift(name):
    class Twice(getattr(gf, name)):
        def drift(self, t, z):
            return 2 * super().drift(t, z)

    flow = Twice(CENTERED, jnp.eye(2)) if name == "PreconditionedFlow" else Twice(CENTERED)
    z, t, h = flow.init(jnp.array([1.0, -2.0])), 1.0, 0.25
    after = gf.BackwardEuler().step(flow, t, z, h)
    residual = jax.tree.map(lambda y, x, f: y - x - h * f, after, z, flow.drift(t + h, after))
    assert all(np.abs(leaf).max() < 1e-9 for leaf in jax.tree.leaves(residual))
    with pytest.raises(gf.UnansweredQuestionError, match="parts"):
        flow.parts  # noqa: B018 - the question is asked of a property
    with pytest.raises(gf.UnansweredQuestionError):
        flow.discrete_gradient_step(t, z, h, None)


class Pulled(gf.GradientFlow):
    """A gradient flow that is drawn to the origin too, and its closed form where E has its minimum there."""

    def drift(self, t, z):
        return -self.gradient(z) - z

    def solution(self, t, z, h):
        lam, into, back = gf.flows.modes_of(self, "solution")
        return z - back(into(z) * (1 + lam) * gf.flows.relaxed(1 + lam, h))


def test_a_closed_form_that_hangs_on_where_the_minimum_is_is_no_proof_for_all_quadratics():
    centered, elsewhere = (
        next(claim for claim in gf.verify(Pulled(energy)).claims if "closed form" in claim.name)
        for energy in (CENTERED, E)
    )
    assert (centered.grade, elsewhere.grade) == ("proved", "unknown")
    assert "where the minimizer is" in elsewhere.reason


def test_a_rate_that_the_drift_does_not_have_is_refuted():
    situation = setting(HalfSpeed(E), ("mu",))
    assert decide_decrease(gf.GradientFlow.facts[2], situation).grade == "refuted"


class Nonlinear(Growing.__base__):
    """A normalized flow: not linear on a mode, and no rational arithmetic."""

    energy: gf.Energy

    def init(self, x):
        return x

    def position(self, z):
        return z

    def drift(self, t, z):
        g = self.gradient(z)
        return -g / jnp.linalg.norm(g)


def test_what_cannot_be_read_is_unknown_and_says_why():
    found = gf.verify(Nonlinear(CENTERED))
    assert [str(claim.grade) for claim in found.claims[-2:]] == ["unknown", "unknown"]
    assert "jnp.linalg.norm(g)" in found.claims[-2].reason
    exact = gf.verify(gf.Method(gf.GradientFlow(E), gf.ExactFlow(), 0.1)).claims[-1]
    assert exact.grade == "unknown"


def test_a_report_has_every_claim(tmp_path):
    found = gf.verify(METHODS["momentum"])
    found.save(tmp_path / "proofs")
    page = (tmp_path / "proofs" / "report.html").read_text()
    # Momentum's own flow has a mass other than 1: two claims don't apply to it.
    assert page.count('class="proved"') == len(found.claims) - 2
    assert page.count(">does not apply<") == 2
    assert "<code>" not in page  # every statement is set as a formula
    assert repr(found).count("\n") == len(found.claims)


def test_nesterovs_bound_holds_on_a_run_and_its_function_never_rises():
    """The proof's function, evaluated on a path of ẍ + (3/t)ẋ + ∇E = 0 that SciPy integrates."""
    proved, falls = (decide_fact(fact, gf.Nesterov(gf.Mode(None))) for fact in gf.Nesterov.facts)
    assert proved.grade is falls.grade is gf.Grade.PROVED
    path = scipy.integrate.solve_ivp(
        lambda t, z: [z[1], -3 / t * z[1] - z[0] ** 3], (1.0, 30.0), [1.0, 0.3], rtol=1e-10, atol=1e-12, max_step=0.1
    )
    t, (x, v) = path.t, path.y
    value = t**2 * x**4 / 4 + 2 * (x + t * v / 2) ** 2
    assert (np.diff(value) <= 1e-9).all()


def test_the_tight_function_of_the_heavy_ball_decays_at_its_rate_where_the_other_would_not_show_it():
    proved = decide_fact(gf.HeavyBall.facts[2], gf.HeavyBall(gf.Mode(None)))
    assert proved.grade is gf.Grade.PROVED
    assert proved.sibling.grade is gf.Grade.REFUTED
    # The semidefinite program finds the same function.
    found = gf.worst_case_rate(gf.HeavyBall(gf.landscapes.bowl(), 1.0, 2.0), 1, math.inf)
    scale = found.lyapunov["E_1"]
    shown = [found.lyapunov[key] / scale for key in (("x", "x"), ("x", "v"), ("v", "v"))]
    np.testing.assert_allclose(shown, [4 / 9, 4 / 3, 1 / 2], atol=1e-5)
    assert 2 * found.rate == pytest.approx(4 / 3, abs=1e-6)


def test_what_a_flow_claims_stands_in_its_class_and_is_not_inherited():
    """Each fact is proved and its false sibling refuted by the flow's own code; without facts nothing is claimed."""
    declared = [cls for name in gf.__all__ if isinstance(cls := getattr(gf, name), type) and vars(cls).get("facts")]
    assert {cls.__name__ for cls in declared} >= {"GradientFlow", "HeavyBallFlow", "NesterovFlow", "HessianDampedFlow"}
    for cls in declared:
        for fact in cls.facts:
            if issubclass(cls, gf.Flow) and cls is not gf.Flow:
                claim = decide_fact(fact, cls(gf.Mode(None)))
                assert (claim.grade, claim.sibling.grade) == ("proved", "refuted"), fact.name
    names = {fact.name for fact in gf.GradientFlow.facts}
    assert names <= {claim.name for claim in gf.verify(gf.GradientFlow(E)).claims}
    assert names.isdisjoint(claim.name for claim in gf.verify(HalfSpeed(E)).claims)


def test_closed_forms_and_lyapunov_functions_are_written_to_be_read():
    """What decays stands behind one bracket, no fraction stands in another's numerator, and V is said."""
    for flow in (gf.HeavyBallFlow(CENTERED), gf.HessianDampedFlow(CENTERED), gf.NesterovFlow(CENTERED)):
        for claim in gf.verify(flow).claims:
            assert r"\frac{\left(" not in claim.statement
            if "closed form" in claim.name and "e^" in claim.statement:
                assert claim.statement.split(r",\quad")[0].count("e^") == 1
            if r"\dot V" in claim.statement:
                assert "V = " in claim.statement
