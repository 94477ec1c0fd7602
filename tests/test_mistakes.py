"""Mistakes from Python: one line that names the argument, the user's own line, and the remedy."""

import inspect
import re
from fractions import Fraction

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import sympy

import gradientflow as gf
from gradientflow import _meant
from gradientflow.analysis.comparison.compare import _Reference
from gradientflow.analysis.linear_stability.jacobian import time_scale
from gradientflow.discretizers import as_method

from .thorough import THOROUGH, of_any_type, part

Q = gf.Quadratic([[1.0, 0.0], [0.0, 2.0]])
FLOW = gf.GradientFlow(Q)
METHOD = gf.optimizers.gradient_descent(Q, 0.35)
BOTH = gf.Composite(Q, gf.penalties.L1(0.1))


class Tenth(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + h * Fraction(1, 10) * flow.drift(t, z)


class Branching(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + (h if h < 1 else 1) * flow.drift(t, z)


class Converting(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + h * np.asarray(flow.drift(t, z))


@pytest.mark.parametrize(
    ("scheme", "line", "remedy"),
    [
        (Tenth(), "`return z + h * Fraction(1, 10) * flow.drift(t, z)`", "an array takes no Fraction; write h*1/10"),
        (Branching(), "`return z + (h if h < 1 else 1) * flow.drift(t, z)`", "write jnp.where(condition, a, b)"),
        (Converting(), "`return z + h * np.asarray(flow.drift(t, z))`", "use jax.numpy in its place"),
    ],
)
def test_what_arrays_do_not_take_in_a_step_is_told_by_its_line(scheme, line, remedy):
    for ask in (
        lambda: gf.iterate(FLOW, scheme, [1.0, 1.0], step=0.1, steps=2),
        lambda: gf.stability(FLOW, scheme),
    ):
        with pytest.raises(TypeError) as caught:
            ask()
        said = str(caught.value)
        assert said.startswith(f"{type(scheme).__name__}.step, test_mistakes.py:")
        assert line in said
        assert remedy in said
        assert len(said.splitlines()) == 1


class Silent(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        z + h * flow.drift(t, z)


class Summed(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return jnp.sum(z)


class WithoutInit(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + h * flow.drift(t, z), z


class Remembering(gf.Discretizer):
    def init(self, flow, t, z, h):
        return z


class Forgetful(Remembering):
    def step(self, flow, t, z, h, memory=None, **_):
        return z + h * flow.drift(t, z)


class Growing(Remembering):
    def step(self, flow, t, z, h, memory=None, **_):
        return z + h * flow.drift(t, z), (memory, z)


@pytest.mark.parametrize(
    ("scheme", "said"),
    [
        (Silent(), "it must return the next state, shaped like z, (2,), got nothing (is its `return` missing?)"),
        (Summed(), "it must return the next state, shaped like z, (2,), got ()"),
        (WithoutInit(), "it returns the next state and a memory, which no `init` has given; define init(self, "),
        (Forgetful(), "`init` gives a memory, so it must return two things, (next state, next memory), got (2,)"),
        (Growing(), "it must return a memory shaped like the one of `init`, (2,), got ((2,), (2,))"),
    ],
)
def test_a_step_that_returns_something_else_is_told_what_it_should(scheme, said):
    with pytest.raises(TypeError) as caught:
        gf.iterate(FLOW, scheme, [1.0, 1.0], step=0.1, steps=2)
    assert str(caught.value).startswith(f"{type(scheme).__name__}.step: {said}")


@pytest.mark.parametrize(
    ("where", "asked"),
    [
        ("stability", lambda method: gf.stability(method).limit),
        ("order", lambda method: gf.order(method).order),
        ("verify", lambda method: gf.verify(method)),
        ("plot", lambda method: method.iterate([1.0, 1.0], steps=2).plot()),
        ("worst_case_rate", lambda method: gf.worst_case_rate(method, 1, 2)),
        ("worst_case_bound", lambda method: gf.worst_case_bound(method, 2, 1, 2)),
        ("settle", lambda method: gf.settle(lambda run: run.E[0] - run.E[1], method, 1, 2)),
        ("find_cycle", lambda method: gf.find_cycle(method, 1, 2)),
        ("stability_function", gf.stability_function),
        ("stability_map", lambda method: gf.stability_map(type(method), (1.0,), lr=[0.1, 0.2], beta=[0.1, 0.5])),
        ("bifurcation", lambda method: gf.bifurcation(method, [1.0, 1.0], [0.1, 0.2])),
        ("modified_equation", lambda method: gf.modified_equation(method, 2)),
        ("slow_rate", gf.slow_rate),
        ("compare", lambda method: gf.compare(method.flow, {"momentum": method}, [1.0, 1.0], 1.0)),
        ("exit_time", lambda method: gf.exit_time(Q, temperature=method.step, start=-1.0, end=1.0, wall=-4.0)),
        ("stationary_law", lambda method: gf.stationary_law(gf.Langevin(Q, method.step), [1.0, 1.0])),
    ],
)
def test_what_looks_at_numbers_is_asked_where_they_are_known(where, asked):
    with pytest.raises(TypeError, match=rf"^{where}: it looks at the numbers .*; ask outside, once for each$"):
        jax.grad(lambda beta: asked(gf.optimizers.momentum(Q, lr=0.1, beta=beta)))(0.5)


def test_a_field_is_a_function_of_the_position_alone():
    with pytest.raises(TypeError, match=r"^field: `fn` must be a function of the position alone, got one of \(t, z\)"):
        gf.field(lambda t, z: -z)
    assert gf.iterate(gf.field(lambda z, a=2.0: -a * z), gf.ForwardEuler(), [1.0], step=0.5, steps=1).x[-1] == 0


LENGTHS = jnp.array([0.1, 0.2, 0.3])


def test_a_schedule_that_reads_beyond_its_array_is_told_unless_it_says_so():
    short = gf.optimizers.gradient_descent(FLOW.energy, lr=lambda k: LENGTHS[k])
    assert short.iterate([1.0, 1.0], steps=3).t[-1] == pytest.approx(0.6)
    for ask in (lambda: short.iterate([1.0, 1.0], steps=4), lambda: gf.worst_case_bound(short, 4, 0, 1)):
        with pytest.raises(ValueError, match=r"reads step 3 from an array of 3.*jnp\.minimum\(k, 2\)"):
            ask()
    for held in (lambda k: LENGTHS[jnp.minimum(k, 2)], lambda k: LENGTHS[k % 3], lambda k: 0.1 / (k + 1)):
        assert gf.optimizers.gradient_descent(FLOW.energy, lr=held).iterate([1.0, 1.0], steps=5).steps[-1] == 5


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (
            {"init": lambda self, flow, z: z},
            r"S\.init is called with \(flow, t, z, h\); define init\(self, flow, t, z, h",
        ),
        ({"step": lambda self, z, h: z}, r"define .*\(self, flow, t, z, h, \*\*_\)"),
        ({"position": lambda self, z: z}, r"S\.position is called with \(flow, z, h\)"),
    ],
)
def test_a_scheme_with_other_arguments_is_told_where_it_is_defined(question, words):
    ((name, own),) = question.items()
    own.__name__ = name
    with pytest.raises(TypeError, match=words):
        type("S", (gf.Discretizer,), question)


def test_a_list_of_steps_is_told_how_it_becomes_a_schedule():
    with pytest.raises(TypeError, match=r"got a list of 100; for a schedule .* lambda k: steps\[k\]$"):
        gf.iterate(FLOW, gf.ForwardEuler(), [1.0, 1.0], step=[0.1] * 100, steps=100)


def test_a_rounded_float_in_a_step_is_advised_as_what_runs_too():
    class Rounded(gf.Discretizer):
        def step(self, flow, t, z, h, **_):
            return z + h * 0.1 * flow.drift(t, z)

    with pytest.raises(gf.NotExactError, match=r"in a step, whose arrays take no Fraction, h\*1/10"):
        gf.order(Rounded())


def test_every_question_about_a_scheme_takes_the_method_that_stability_takes():
    assert gf.order(METHOD).order == 1
    assert gf.modified_equation(METHOD, 2).order == gf.modified_equation(gf.ForwardEuler(), 2).order
    assert str(gf.stability_function(METHOD)) == "z + 1"
    assert gf.stability_intervals(METHOD).real == 2
    assert gf.stability_region(METHOD, (-2.0, 0.0), (-1.0, 1.0), points=3).radius[1].tolist() == [1, 0, 1]
    momentum = gf.optimizers.momentum(Q, 0.1, 0.5)
    assert gf.order(momentum).order == 1
    assert gf.stability_function(momentum).shape == (2, 2)
    given = {"x0": [1.0, 1.0], "h": [0.1, 0.2], "settle": 10, "keep": 4}
    alone = gf.bifurcation(FLOW, gf.ForwardEuler(), **given)
    np.testing.assert_array_equal(gf.bifurcation(METHOD, **given).values, alone.values)
    swept = gf.step_sweep(METHOD, x0=[1.0, 1.0], multiples=(0.5, 2.5), steps=20)
    assert list(swept.table()["behaviour"]) == ["monotone", "growing"]


def test_what_is_neither_a_scheme_nor_a_method_is_refused_in_one_line():
    alone = (gf.order, lambda x: gf.modified_equation(x, 2), gf.stability_function, gf.stability_intervals,
             gf.stability_region)  # fmt: skip
    for ask in alone:
        for what in ("euler", FLOW):
            # Tests check types at run time: what a user is told stands below.
            with pytest.raises(Exception, match=r"TypeCheck|Type-check|or a Method"):
                ask(what)
    with pytest.raises(
        TypeError, match="`discretizer` must be one such as ForwardEuler\\(\\), or a Method, got GradientF"
    ):
        as_method("order", FLOW, alone=True)
    with pytest.raises(TypeError, match=r"order: a Method has its own scheme; leave `discretizer` out, .* x0="):
        as_method("order", METHOD, [1.0, 1.0])
    with pytest.raises(TypeError, match="`flow` must be a flow such as GradientFlow\\(energy\\), or a Method, got 3"):
        as_method("order", 3)


@pytest.mark.parametrize("make", part([gf.optimizers.douglas_rachford, gf.optimizers.fista, gf.optimizers.ista], 3))
def test_a_method_for_sums_is_asked_at_its_solution(make):
    found = gf.stability(make(BOTH, 0.1), at=[0.0, 0.0])
    assert found.lr_limit is None
    assert found.grade == "measured"


def test_a_method_on_a_set_is_asked_at_its_solution():
    """½(x₀ − 2)² + 5(x₁ − ½)² on the unit square rests at (1, ½), where x₁ alone is free: h < 2/10."""
    free = gf.Quadratic(np.diag([1.0, 10.0]), [2.0, 5.0])
    method = gf.optimizers.projected_gradient(free, 0.1, gf.constraints.Box(0.0, 1.0))
    found = gf.stability(method, at=[1.0, 0.5])
    assert found.limit == pytest.approx(0.2, rel=1e-6)
    assert found.lr_limit == pytest.approx(0.2, rel=1e-6)
    assert found.grade == "measured"
    with pytest.raises(ValueError, match=r"^stability: `at` is not stationary: ‖∇E‖∞ = 1.5 there; "):
        gf.stability(method, at=[0.5, 0.6])
    with pytest.raises(ValueError, match=r"own minimizer is no position of ProjectedFlow, .*; give `at`"):
        gf.stability(method)
    claim = next(claim for claim in gf.verify(method.flow).claims if claim.name == "the minimizer")
    assert claim.applies is False
    inside = gf.ProjectedFlow(gf.Quadratic(np.eye(2), [0.5, 0.5]), gf.constraints.Box(0.0, 1.0))
    assert next(claim for claim in gf.verify(inside).claims if claim.name == "the minimizer").grade == "proved"


def test_a_rate_beyond_one_is_not_said_to_fall():
    found = gf.worst_case_rate(gf.optimizers.gradient_descent(Q, 0.35), 0.1, 6.0)
    assert found.rate == pytest.approx(1.1)
    assert "falls" not in repr(found)
    assert "may grow, and by no more than that" in repr(found)
    assert "itself falls" in repr(gf.worst_case_rate(gf.optimizers.gradient_descent(Q, 0.1), 0.1, 6.0))


def test_the_edge_of_a_run_that_left_its_floats_is_read_where_it_was_still_there(capfd):
    E = gf.energy(lambda x: jnp.sum(x**4))
    method = gf.optimizers.gradient_descent(E, 1.0)
    found = gf.edge_of_stability(method, method.iterate(jnp.ones(1101), 1000), points=3)
    assert len(found.sharpness) == 3
    assert np.isfinite(found.sharpness).all()
    assert capfd.readouterr() == ("", "")


def test_free_motion_has_no_time_scale_and_any_will_do():
    free = gf.HessianDamped(gf.Quadratic([[0.0]]), friction=0.0, damping=0.0)
    assert time_scale(free, gf.Phase(jnp.zeros(1), jnp.zeros(1))) == 1.0


def test_diffusions_over_data_of_different_length_have_their_own_brownian_paths():
    flows = [gf.SGDDiffusion(gf.FiniteSum(lambda x, d: jnp.sum((x - d) ** 2), jnp.ones((n, 1))), 0.1) for n in (2, 3)]
    reference = _Reference([0.0], 0.0, jax.random.key(0), None, None, None)
    for flow in flows:
        reference.cover(flow, 0.2)
    for flow, n in zip(flows, (2, 3), strict=True):
        noise = reference._brownian(flow)
        if THOROUGH or n == 3:
            run = gf.iterate(flow, gf.EulerMaruyama(), [0.0], step=0.1, steps=2, key=noise)
            assert np.isfinite(run.x).all()
        assert reference._noise(flow) == ("SGDDiffusion", f"[({n},)]")


def test_sets_and_geometries_take_lists_as_arrays():
    """A list of numbers is one array, whoever is asked."""
    phi, simplex = gf.potentials.Entropy(), gf.constraints.Simplex()
    np.testing.assert_allclose(phi.inverse(phi.gradient([0.25, 0.75])), [0.25, 0.75], rtol=1e-12)
    assert phi.divergence([0.25, 0.75], [0.25, 0.75]) == 0
    np.testing.assert_allclose(simplex.project([0.4, 1.0]), [0.2, 0.8], rtol=1e-12)
    np.testing.assert_allclose(simplex.project_tangent([0.5, 0.5], v=[1.0, 2.0]), [-0.5, 0.5], rtol=1e-12)
    assert simplex.contains([0.25, 0.75])
    assert gf.constraints.Box().project([[-1.0, 2.0]]).tolist() == [[0.0, 1.0]]


def test_a_start_that_does_not_fit_is_told_what_would_or_where_it_failed():
    A = jnp.ones((5, 3))
    own = gf.energy(lambda x: jnp.sum((A @ x) ** 2))
    with pytest.raises(ValueError, match=r"^iterate: `x0` of shape \(2,\) .* whose positions have shape \(3,\)$"):
        gf.optimizers.gradient_descent(gf.Quadratic(jnp.eye(3)), lr=0.1).iterate([1.0, 2.0], 1)
    with pytest.raises(ValueError, match=r"does not fit the energy, test_mistakes.py:\d+, `own = .*`: dot_general"):
        gf.optimizers.gradient_descent(own, lr=0.1).iterate([1.0, 2.0], 1)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("Heun", 'RungeKutta("heun")'), ("SGD", "optimizers.gradient_descent"), ("adam", "optimizers.adam"),
     ("Rosenbrock", "landscapes.rosenbrock"), ("Qadratic", "Quadratic"), ("phase_portrait", "plots.phase_portrait")],
)  # fmt: skip
def test_a_name_that_is_elsewhere_is_told_where(name, remedy):
    with pytest.raises(AttributeError, match=rf"did you mean gradientflow\.{re.escape(remedy)}\?$"):
        getattr(gf, name)


def test_what_the_field_says_for_a_class_stands_for_something():
    for said in _meant._SPOKEN.values():
        eval(f"gf.{said}", {"gf": gf})
    assert not hasattr(gf, "xyz")


def test_parameters_of_another_type_are_told_by_it():
    with pytest.raises(TypeError, match=r"got arrays of int\d+; make them floating"):
        gf.why(lambda p: jnp.sum(p["w"] ** 2.0), {"w": jnp.array([1, 2])}, optax.sgd(3.0))


def kinds_of(function):
    return {one.kind for one in inspect.signature(function).parameters.values()}


ROOMS = ("optimizers", "plots", "schedules", "landscapes", "potentials")
PUBLIC = {
    f"{room}.{name}": function
    for room in ("", *ROOMS)
    for name, function in inspect.getmembers(getattr(gf, room) if room else gf, inspect.isfunction)
    # In a room stand what it imports too, and at the front door the door itself.
    if not name.startswith("_") and name != "face" and room in inspect.unwrap(function).__module__
    # What takes any name has parameters of the user's own.
    and kinds_of(function) and inspect.Parameter.VAR_KEYWORD not in kinds_of(function)
}  # fmt: skip


@pytest.mark.parametrize("where", PUBLIC)
def test_an_argument_that_a_function_does_not_have_is_told_with_those_that_it_has(where):
    parameters = inspect.signature(PUBLIC[where]).parameters.values()
    takes = [one.name for one in parameters if one.kind is not one.VAR_POSITIONAL]
    with pytest.raises(TypeError, match="there is no argument `no_such`") as told:
        PUBLIC[where](no_such=1)
    assert str(told.value).endswith(f" It takes {', '.join(takes)}")


CLASSES = {
    f"{room}.{name}": cls
    for room in ("", "constraints", "flows", "norms", "penalties", "potentials")
    for name, cls in inspect.getmembers(getattr(gf, room) if room else gf, inspect.isclass)
    if issubclass(cls, gf.flows.Told) and not inspect.isabstract(cls) and cls is not gf.flows.Told
    and inspect.Parameter.VAR_KEYWORD not in kinds_of(cls)
}  # fmt: skip


@pytest.mark.parametrize("where", CLASSES)
def test_an_argument_that_a_class_does_not_have_is_told_with_those_that_it_has(where):
    cls = CLASSES[where]
    with pytest.raises(TypeError, match=f"{cls.__name__}: there is no argument `no_such`") as told:
        cls(no_such=1)
    assert str(told.value).endswith(f" It takes {', '.join(inspect.signature(cls).parameters)}")


def test_whoever_is_made_from_parts_tells_its_arguments():
    """But for states and what a run hands out, which nobody makes by names."""
    made = {
        name
        for name, cls in inspect.getmembers(gf, inspect.isclass)
        if issubclass(cls, eqx.Module) and not inspect.isabstract(cls)
    }
    assert made - {where[1:] for where in CLASSES} <= {
        "Chains",
        "Iteration",
        "Phase",
        "PytreeState",
        "Status",
        "Trajectory",
        "Vector",
    }


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: gf.HeavyBallFlow(Q, gamma=1.0),
            "HeavyBallFlow: there is no argument `gamma`; did you mean `friction`?",
        ),
        (lambda: gf.Langevin(Q, T=1.0), "Langevin: there is no argument `T`; did you mean `temperature`?"),
        (lambda: gf.Minibatch(size=3), "Minibatch: there is no argument `size`; did you mean `batch_size`?"),
        (lambda: gf.penalties.L1(lam=1.0), "L1: there is no argument `lam`; did you mean `weight`?"),
        (lambda: gf.Method(FLOW, gf.ForwardEuler(), lr=0.1), "Method: there is no argument `lr`; did you mean `step`?"),
        (lambda: gf.iterate(FLOW, gf.ForwardEuler(), [1.0, 1.0], lr=0.1, steps=3), "`lr`; did you mean `step`?"),
        (lambda: gf.iterate(FLOW, gf.ForwardEuler(), [1.0, 1.0], h=0.1, steps=3), "`h`; did you mean `step`?"),
        (lambda: gf.iterate(FLOW, gf.ForwardEuler(), [1.0, 1.0], step=0.1, n_steps=3), "did you mean `steps`?"),
        (lambda: gf.integrate(FLOW, [1.0, 1.0], T=1.0), "integrate: there is no argument `T`; did you mean `t1`?"),
        (lambda: gf.optimizers.momentum(Q, learning_rate=0.1), "did you mean `lr`?"),
        (lambda: gf.optimizers.momentum(Q, lr=0.1, momentum=0.9), "did you mean `beta`?"),
        (lambda: gf.optimizers.adam(Q, lr=0.1, betas=(0.9, 0.99)), "adam: there is no argument `betas`; did you mean"),
        (
            lambda: METHOD.iterate([1.0, 1.0], steps=3, seed=3),
            "iterate: there is no argument `seed`; did you mean `key`?",
        ),
    ],
)
def test_an_argument_by_another_name_of_the_fields_is_understood(call, words):
    with pytest.raises(TypeError, match=re.escape(words)):
        call()


@pytest.mark.parametrize(
    ("look", "words"),
    [
        (lambda: gf.optimizers.momentun, "module 'gradientflow.optimizers' has no attribute 'momentun'; did you mean "
                                         "gradientflow.optimizers.momentum?"),
        (lambda: gf.optimizers.sgd, "did you mean gradientflow.optimizers.gradient_descent?"),
        (lambda: gf.plots.fild, "did you mean gradientflow.plots.field?"),
        (lambda: gf.penalties.l1, "did you mean gradientflow.penalties.L1?"),
        (lambda: gf.schedules.cosin, "did you mean gradientflow.schedules.cosine?"),
        (lambda: gf.L1, "did you mean gradientflow.penalties.L1?"),
        (lambda: gf.Entropy, "did you mean gradientflow.potentials.Entropy?"),
        (lambda: gf.Box, "did you mean gradientflow.constraints.Box?"),
        (lambda: gf.minimize, "did you mean gradientflow.iterate?"),
        (lambda: gf.solve, "did you mean gradientflow.integrate?"),
    ],
)  # fmt: skip
def test_a_name_that_is_not_where_one_looks_for_it_is_told_by_where_it_is(look, words):
    with pytest.raises(AttributeError, match=re.escape(words)):
        look()


@pytest.mark.parametrize(
    ("look", "words"),
    [
        (lambda run: run.loss, "'Trajectory' object has no attribute 'loss'; did you mean .energy?"),
        (lambda run: run.ys, "did you mean .x?"),
        (lambda run: run.velocity, "did you mean .state?"),
        (lambda run: run.times, "did you mean .t?"),
        (lambda run: run.to_pandas(), "did you mean .table?"),
        (lambda run: run.grad_nrom, "did you mean .grad_norm?"),
        (
            lambda run: gf.stability(FLOW, gf.ForwardEuler()).limt,
            "'Stability' object has no attribute 'limt'; did you mean .lim",
        ),
        (lambda run: gf.order(gf.ForwardEuler()).to_dataframe(), "has no attribute 'to_dataframe'"),
    ],
)
def test_what_a_result_does_not_have_is_told_with_what_it_has(look, words):
    run = METHOD.iterate([1.0, 1.0], steps=2)
    with pytest.raises(AttributeError, match=re.escape(words)):
        look(run)
    assert not hasattr(run, "__array__")


@of_any_type
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: gf.stability(FLOW, "euler"),
            "got the name 'euler'; did you mean gradientflow.ForwardEuler?",
        ),
        (
            lambda: gf.stability(FLOW, "rk4"),
            'did you mean gradientflow.RungeKutta("rk4")?',
        ),
        (
            lambda: gf.iterate(Q, gf.ForwardEuler(), [1.0, 1.0], step=0.1, steps=1),
            "got an energy; give GradientFlow(energy)",
        ),
        (lambda: gf.stability(lambda x: x @ x, gf.ForwardEuler()), "got a function; give GradientFlow(function)"),
        (lambda: gf.integrate(Q, [1.0, 1.0], 1.0), "got Quadratic; of an energy give GradientFlow(energy)"),
        (lambda: gf.energy("x^2 + y^2"), "pass lambda x: ..., or from_expression(text) for a formula"),
        (lambda: gf.energy(sympy.Symbol("x") ** 2), "pass from_sympy(expression)"),
        (lambda: gf.optimizers.momentum(FLOW, lr=0.1), "pass its .energy"),
        (lambda: METHOD.iterate([1.0, 1.0], 2).plot("run.png"), "plot().savefig('run.png') writes a file"),
    ],
)
def test_what_was_given_for_something_else_is_told_with_what_to_give(call, words):
    with pytest.raises(TypeError, match=re.escape(words)):
        call()


STEPS = [0.1, 0.2, 0.3]


def a_list(k):
    return STEPS[k]


def of_numpy(k):
    return np.asarray(STEPS)[k]


def branching(k):
    return 0.1 if k < 2 else 0.05


@pytest.mark.parametrize("schedule", [a_list, of_numpy, branching])
@pytest.mark.parametrize("optimizer", [gf.optimizers.gradient_descent, gf.optimizers.adam])
def test_a_schedule_that_cannot_be_traced_is_told_by_its_line(schedule, optimizer):
    with pytest.raises(TypeError, match=r"can't be traced, test_mistakes.py:\d+, `return .*jnp.asarray\(steps\)\[k\]"):
        optimizer(Q, lr=schedule).iterate([1.0, 1.0], steps=3)


@of_any_type
@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: gf.iterate(FLOW, gf.ForwardEuler(), [1.0, 1.0], step=lambda: 0.1, steps=2), "lambda k: …"),
        (lambda: gf.iterate(FLOW, gf.ForwardEuler(), [1.0, 1.0], step=lambda k: None, steps=2), "`return` missing"),
        (lambda: gf.iterate(FLOW, gf.ForwardEuler(), [1.0, 1.0], step=gf.ArmijoSearch, steps=2), "ArmijoSearch(…)"),
        (lambda: gf.ScheduledStep(0.1), "ScheduledStep: must be a number, a schedule k -> h or a step rule, got 0.1"),
        (lambda: gf.optimizers.adam(Q, lr=gf.ArmijoSearch), "make one, ArmijoSearch(…)"),
        (lambda: gf.Composite(Q, gf.penalties.L1), "make one, L1(…)"),
        (lambda: gf.MirrorFlow(Q, gf.potentials.Entropy), "make one, Entropy(…)"),
        (lambda: gf.ProjectedFlow(Q, gf.constraints.Box), "make one, Box(…)"),
        (lambda: gf.smoothness(Q, gf.norms.Maximum), "make one, Maximum(…)"),
        (lambda: gf.Method(gf.GradientFlow, gf.ForwardEuler(), 0.1), "make one, GradientFlow(…)"),
        (lambda: gf.Method(FLOW, gf.ForwardEuler, 0.1), "make one, ForwardEuler(…)"),
    ],
)
def test_a_class_in_the_place_of_an_instance_and_no_schedule_are_told(ask, words):
    with pytest.raises(TypeError, match=re.escape(words)):
        ask()


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (
            lambda: gf.iterate(FLOW, gf.ForwardEuler(), [1.0, 1.0], 0.1, 50),
            "iterate(flow, discretizer=…, x0=…, *, steps",
        ),
        (
            lambda: gf.integrate(FLOW, [1.0, 1.0]),
            "missing a required argument: 't1'; it is called integrate(flow, ",
        ),
        (lambda: gf.exit_time(Q, -1.0, 0.0), "it is called exit_time(energy, *, temperature, start, end, wall)"),
        (lambda: gf.stability_map(gf.optimizers.momentum, lr=[0.1]), "stability_map(optimizer, curvatures, **"),
        (lambda: gf.BarzilaiBorweinShort(), "BarzilaiBorweinShort: missing a required argument: 'initial'"),
        (lambda: gf.HeavyBallFlow(Q, 1.0, 1.0, 1.0), "it is called HeavyBallFlow(energy, mass=…, friction=…)"),
    ],
)
def test_arguments_that_are_missing_or_too_many_are_told_with_the_call(ask, words):
    with pytest.raises(TypeError, match=re.escape(words)):
        ask()


def test_a_name_that_a_start_lacks_is_told_with_those_that_it_has():
    flow = gf.GradientFlow(lambda p: p["w"] ** 2 + p["b"] ** 2)
    with pytest.raises(ValueError, match=r"test_mistakes.py:\d+, `.*`: there is no 'b' in it, only 'c', 'w'"):
        gf.integrate(flow, {"w": 1.0, "c": 2.0}, 1.0)


def test_a_type_error_from_inside_stays_what_it_is():
    with pytest.raises(TypeError, match="unsupported operand"):
        gf.iterate(FLOW, gf.ForwardEuler(), [1.0, 1.0], step=lambda k: k + "a", steps=2)
