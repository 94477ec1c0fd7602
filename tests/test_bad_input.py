"""Bad input from Python: an error that names the argument, what it got and the remedy."""

import inspect
import json
import math
import pathlib
import subprocess
import sys

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gradientflow as gf

from .thorough import THOROUGH

E = gf.landscapes.bowl()
FLOW = gf.GradientFlow(E)
NOISY = gf.Langevin(E)
SUM = gf.Composite(E, gf.penalties.L1(0.1))
X0 = [3.0, 1.0]


class Halving(gf.StepRule):
    def __call__(self, flow, discretizer, t, z, rule_state):
        return jnp.where(jnp.sum(z) > 0, 0.1, 0.05), rule_state


def numpys(x):
    return float(np.sum(x) ** 2)


BAD = {
    "x0 a boolean": (lambda: gf.integrate(FLOW, True, 1.0), TypeError, "`x0` must hold real numbers only, got True"),
    "a batch of keys": (lambda: gf.iterate(NOISY, gf.EulerMaruyama(), X0, step=0.1, steps=1,
                                           key=jax.random.split(jax.random.key(0), 3)), ValueError,
                        "must be one key, got an array of them, of shape (3,)"),
    "no time": (lambda: gf.integrate(FLOW, X0, 1.0)([]), ValueError, "`t` must hold at least one time"),
    "too many rows": (lambda: gf.iterate(FLOW, gf.ForwardEuler(), X0, step=0.1, steps=10**12), ValueError,
                      "GiB, and this machine has"),
    "two steps": (lambda: gf.iterate(FLOW, gf.ForwardEuler(), X0, step=np.array([0.1, 0.2]), steps=1), TypeError,
                  "must be one number, got an array of shape (2,)"),
    "an energy by NumPy": (lambda: gf.iterate(gf.GradientFlow(gf.energy(numpys)), gf.ForwardEuler(), X0, step=0.1,
                                              steps=1), TypeError, "can't be traced, test_bad_input.py:"),
    "an energy inside NumPy": (lambda: gf.iterate(gf.GradientFlow(np.linalg.norm), gf.ForwardEuler(), X0, step=0.1,
                                                  steps=1), TypeError, "can't be traced, _linalg.py:"),
    "an energy through NumPy": (lambda: gf.iterate(gf.GradientFlow(lambda x: np.linalg.norm(x)), gf.ForwardEuler(), X0,
                                                   step=0.1, steps=1), TypeError, "traced, test_bad_input.py:"),
    "a start too short": (lambda: gf.integrate(gf.GradientFlow(lambda x: x[0] ** 2 + 10 * x[1] ** 2), [3.0], 1.0),
                          ValueError, "`x0` of shape (1,) does not fit the energy: it reads entry 1 of 1 along"),
    "an axis too short": (lambda: gf.iterate(gf.GradientFlow(jax.jit(lambda x: jnp.sum(x[:, -3] ** 2))),
                                             gf.ForwardEuler(), np.ones((2, 2)), step=0.1, steps=1), ValueError,
                          "it reads entry -3 of 2 along an axis"),
    "an energy without return": (lambda: gf.integrate(gf.GradientFlow(lambda x: None), X0, 1.0), ValueError,
                                 "must return one real scalar, got None; is its `return` missing?"),
    "an energy by if": (lambda: gf.integrate(gf.GradientFlow(gf.energy(lambda x: x[0] if x[0] > 0 else x[1])), X0, 1.0),
                        TypeError, "jnp.where(condition, a, b) in place of `if`"),
    "many starts as one": (lambda: gf.integrate(gf.GradientFlow(gf.landscapes.rosenbrock()), np.ones((2, 2)), 1.0),
                           ValueError, "whose positions have shape (2,); it takes one start, many at once by jax.vmap"),
    "a state as x0": (lambda: gf.integrate(gf.HeavyBall(E), gf.Phase(jnp.ones(2), jnp.ones(2)), 1.0), TypeError,
                      "`x0` is a position, and Phase a full state; give it as `state=`"),
    "leaves of two precisions": (lambda: gf.integrate(gf.GradientFlow(gf.energy(lambda p: p["a"] ** 2 + p["b"] ** 2)),
                                                      {"a": jnp.float32(1), "b": jnp.float64(1)}, 1.0), TypeError,
                                 "must have one precision"),
    "a clock too coarse": (lambda: gf.integrate(gf.GradientFlow(gf.energy(lambda x: x**2)), jnp.float32(1.0),
                                                1.7e9 + 10, t0=1.7e9), ValueError, "start the clock nearer to 0"),
    "t0 NaN": (lambda: gf.iterate(FLOW, gf.ForwardEuler(), X0, step=0.1, steps=1, t0=math.nan), ValueError,
               "`t0` must be finite, got nan"),
    "a schedule that turns": (lambda: gf.iterate(FLOW, gf.ForwardEuler(), X0, step=lambda k: 0.1 - 0.05 * k, steps=5),
                              ValueError, "the schedule is -0.05 at k = 3"),
    "a rate that turns": (lambda: gf.optimizers.adam(E, lr=lambda k: 0.1 - 0.05 * k).iterate(X0, 5), ValueError,
                          "the schedule is -0.05 at k = 3"),
    "a formula's variables": (lambda: gf.integrate(gf.GradientFlow(gf.from_expression("x^3 + q*y")), [1.0], 1.0),
                              ValueError, "does not fit the energy: the formula has 3 variables, q, x, y"),
    "an adjoint for nothing": (lambda: gf.integrate(FLOW, X0, 1.0, adjoint=diffrax.ForwardMode()), ValueError,
                               "outside of grad, jvp, … leave it out"),
    "a prox of no step": (lambda: gf.prox(E, X0, 0.0), ValueError, "`h` must be finite and positive, got 0.0"),
    "H not symmetric": (lambda: gf.Quadratic([[1.0, 2.0], [0.0, 1.0]]), ValueError, "H[0,1] = 2.0 and H[1,0] = 0.0"),
    "H not square": (lambda: gf.Quadratic([[1.0, 2.0]]), ValueError, "`H` must be a square matrix, got shape (1, 2)"),
    "H not finite": (lambda: gf.Quadratic([[math.nan]]), ValueError, "`H` must be finite, got nan at (0, 0)"),
    "b does not fit": (lambda: gf.Quadratic(np.eye(2), [1.0]), ValueError, "`b` must have shape (2,) to fit H"),
    "v does not fit": (lambda: gf.LeastSquares(np.eye(2), [1.0]), ValueError, "`v` must have shape (2,) to fit M"),
    "no mass": (lambda: gf.HeavyBall(E, mass=0.0), ValueError, "`mass` must be finite and positive, got 0.0"),
    "friction < 0": (lambda: gf.HeavyBall(E, friction=-1), ValueError, "`friction` must be finite and not negative"),
    "temperature < 0": (lambda: gf.Langevin(E, temperature=-1), ValueError, "`temperature` must be finite and not"),
    "no function": (lambda: gf.energy(3.0), TypeError, "`fn` must be a function"),
    "no energy": (lambda: gf.HeavyBall(3.0), TypeError, "`fn` must be a function of the position, got 3.0"),
    "text as H": (lambda: gf.Quadratic("H"), TypeError, "`H` must hold real numbers only, got 'H'"),
    "nothing as v": (lambda: gf.LeastSquares(np.eye(2), None), TypeError, "`v` must hold real numbers only, got None"),
    "text as X": (lambda: gf.LinearRegression("X", [1.0]), TypeError, "`X` must hold real numbers only"),
    "no loss": (lambda: gf.FiniteSum("loss", [1.0]), TypeError, "`loss` must be a function of the position and an"),
    "text as data": (lambda: gf.FiniteSum(jnp.dot, ["a"]), TypeError, "`data` must hold real numbers only"),
    "no bound": (lambda: gf.constraints.Box(None, 1.0), TypeError, "Box: `lower` must be a real number, or an array"),
    "bounds crossed": (lambda: gf.potentials.BoxEntropy([0.0, 2.0], 1.0), ValueError, "`upper` must be above `lower`"),
    "a method of no flow": (lambda: gf.Method(E, gf.ForwardEuler(), 0.1), TypeError, "`flow` must be a flow such as"),
    "a method of no scheme": (lambda: gf.Method(FLOW, "euler", 0.1), TypeError, "`discretizer` must be one such as"),
    "methods in a list": (lambda: gf.compare(FLOW, [gf.ForwardEuler()], X0, 1.0), TypeError, "labels with methods"),
    "text as ts": (lambda: gf.integrate(FLOW, X0, 1.0, ts="ts"), TypeError, "`ts` must hold real numbers only"),
    "text as gtol": (lambda: gf.iterate(FLOW, gf.ForwardEuler(), X0, step=0.1, steps=1, gtol="small"), TypeError,
                     "`gtol` must be a real number"),
    "methods without labels": (
        lambda: gf.compare(FLOW, [gf.optimizers.gradient_descent(FLOW.energy, lr=0.1)], [1.0, 1.0], 1.0),
        TypeError, "got list",
    ),
    "a tableau as a pair": (lambda: gf.RungeKutta(([[]], [1])), TypeError, "must be a Tableau(name, a, b, order)"),
    "no such tableau": (lambda: gf.RungeKutta("rk44"), ValueError, "did you mean 'rk4'?"),
    "no flow": (lambda: gf.integrate(E, X0, 1.0), TypeError, "`flow` must be a flow such as GradientFlow(energy)"),
    "no start": (lambda: gf.integrate(FLOW, None, 1.0), TypeError, "`x0` must be an array or a pytree"),
    "text as x0": (lambda: gf.integrate(FLOW, ["a", "b"], 1.0), TypeError, "`x0` must hold real numbers only"),
    "complex x0": (lambda: gf.integrate(FLOW, [1j, 0.0], 1.0), TypeError, "`x0` must hold real numbers only"),
    "x0 too long": (lambda: gf.integrate(FLOW, [1.0, 2.0, 3.0], 1.0), ValueError, "`x0` of shape (3,) does not fit"),
    "x0 infinite": (lambda: gf.iterate(FLOW, gf.ForwardEuler(), [math.inf, 0.0], step=0.1, steps=1), ValueError,
                    "`x0` must be finite"),
    "no scalar": (lambda: gf.integrate(gf.GradientFlow(gf.energy(lambda x: x)), X0, 1.0), ValueError,
                  "must return one real scalar, got float64[2]; sum or average"),
    "NaN at x0": (lambda: gf.integrate(gf.GradientFlow(gf.energy(lambda x: jnp.log(-x[0]))), X0, 1.0), ValueError,
                  "the energy is nan at `x0`"),
    "t1 before t0": (lambda: gf.integrate(FLOW, X0, -1.0), ValueError, "`t1` must lie after t0 = 0, got -1"),
    "t1 NaN": (lambda: gf.integrate(FLOW, X0, math.nan), ValueError, "`t1` must be a real number"),
    "two ends": (lambda: gf.integrate(FLOW, X0, jnp.ones(2)), ValueError, "`t1` must be a real number, got Array("),
    "rtol too tight": (lambda: gf.integrate(FLOW, X0, 1.0, rtol=1e-17), ValueError, "tighter than float64 holds"),
    "rtol negative": (lambda: gf.integrate(FLOW, X0, 1.0, rtol=-1e-3), ValueError, "`rtol` must be finite and"),
    "ts unordered": (lambda: gf.integrate(FLOW, X0, 1.0, ts=[0.5, 0.2]), ValueError, "`ts` must be increasing times"),
    "ts outside": (lambda: gf.integrate(FLOW, X0, 1.0, ts=[0.5, 2.0]), ValueError, "within [0, 1]"),
    "unknown solver": (lambda: gf.integrate(FLOW, X0, 1.0, solver="tsit"), ValueError, "did you mean 'tsit5'?"),
    "fixed-step solver": (lambda: gf.integrate(FLOW, X0, 1.0, solver=diffrax.Euler()), ValueError,
                          "iterate(flow, FromDiffrax(Euler()), ...)"),
    "noise without key": (lambda: gf.integrate(NOISY, X0, 1.0), TypeError, "give `key=jax.random.key(0)`"),
    "a seed as key": (lambda: gf.integrate(NOISY, X0, 1.0, key=3), TypeError, "made by jax.random.key(seed), got 3"),
    "noise for ever": (lambda: gf.integrate(NOISY, X0, math.inf, key=jax.random.key(0)), ValueError,
                       "no equilibrium to reach; give a finite `t1`"),
    "key without noise": (lambda: gf.integrate(FLOW, X0, 1.0, key=jax.random.key(0)), TypeError, "leave `key` out"),
    "no discretizer": (lambda: gf.iterate(FLOW, "euler", X0, step=0.1, steps=1), TypeError, "such as ForwardEuler()"),
    "step 0": (lambda: gf.iterate(FLOW, gf.ForwardEuler(), X0, step=0.0, steps=1), ValueError,
               "`step` must be finite and positive, got 0.0"),
    "step as text": (lambda: gf.iterate(FLOW, gf.ForwardEuler(), X0, step="0.1", steps=1), TypeError, "k -> h"),
    "half a step": (lambda: gf.iterate(FLOW, gf.ForwardEuler(), X0, step=0.1, steps=1.5), TypeError,
                    "`steps` must be an integer, got 1.5"),
    "no steps": (lambda: gf.iterate(FLOW, gf.ForwardEuler(), X0, step=0.1, steps=0), ValueError, "`steps` must be at"),
    "no answer": (lambda: gf.iterate(FLOW, gf.MomentumEuler(), X0, step=0.1, steps=1), gf.UnansweredQuestionError,
                  "does not answer `parts`: its field has parts only where its energy is a Composite(f, g), which no "
                  "exact reading stands for; a scheme of momentum is one of HeavyBallFlow(energy). MomentumEuler "
                  "needs it; schemes that fit: BackwardEuler, "
                  "ConjugateGradients, DiscreteGradient, ExponentialEuler, ForwardEuler, ImplicitMidpoint"),
    "nothing to compare": (lambda: gf.compare(FLOW, {}, X0, 1.0), ValueError, "`methods` is empty"),
    "no method": (lambda: gf.compare(FLOW, {"a": 0.1}, X0, 1.0), TypeError, "method 'a' must be a Method or"),
    "compare for ever": (lambda: gf.compare(FLOW, {"a": (gf.ForwardEuler(), 0.1)}, X0, math.inf), ValueError, "`t1`"),
    "momentum schedule": (lambda: gf.optimizers.momentum(E, lr=lambda k: 0.1), TypeError, "`lr` must be a number"),
    "not stationary": (lambda: gf.stability(gf.GradientFlow(gf.landscapes.rosenbrock()), gf.ForwardEuler(), [0.0, 0.0]),
                       ValueError, "`at` is not stationary: ‖∇E‖∞ = 2 there; follow the flow to its end"),
    "a saddle": (lambda: gf.stability(gf.GradientFlow(gf.energy(lambda x: x[0] ** 2 - x[1] ** 2)), gf.ForwardEuler(),
                                      at=[0.0, 0.0]), ValueError, "the least curvature is -2 < 0"),
    "H indefinite": (lambda: gf.stability(gf.GradientFlow(gf.Quadratic([[1.0, 2.0], [2.0, 1.0]])), gf.ForwardEuler()),
                     ValueError, "not a minimizer: the least curvature is -1 < 0"),
    "no minimizer known": (lambda: gf.stability(gf.GradientFlow(gf.energy(lambda x: x @ x)), gf.ForwardEuler()),
                           ValueError, "give `at`, integrate(flow, x0, math.inf).x[-1] say"),
    "no scheme": (lambda: gf.stability(FLOW), TypeError, "`discretizer` must be one such as ForwardEuler(), got None"),
    "two schemes": (lambda: gf.stability(gf.optimizers.gradient_descent(E, 0.1), gf.ForwardEuler()), TypeError,
                    "a Method has its own scheme; leave `discretizer` out"),
    "a step from the state": (lambda: gf.stability(gf.Method(FLOW, gf.ForwardEuler(), Halving())), TypeError,
                              "Halving chooses the step from the state"),
    "parts of the gradient flow": (lambda: gf.stability_function(gf.MomentumEuler()), gf.UnansweredQuestionError,
                                   "stability_function(method), or with `flow=HeavyBallFlow` say; stability_map draws"),
    "parts of a sum": (lambda: gf.order(gf.ForwardBackward(), flow=gf.GradientFlow(SUM)), gf.UnansweredQuestionError,
                       "its energy is a Composite(f, g), which no exact reading stands for"),
    "a class as a scheme": (lambda: gf.iterate(FLOW, gf.ForwardEuler, X0, step=0.1, steps=1), TypeError,
                            "got the class; make one, ForwardEuler(…)"),
    "a class as a flow": (lambda: gf.iterate(gf.GradientFlow, gf.ForwardEuler(), X0, step=0.1, steps=1), TypeError,
                          "got the class; make one, GradientFlow(…)"),
    "optax as a scheme": (lambda: gf.iterate(FLOW, optax.sgd(0.1), X0, step=0.1, steps=1), TypeError,
                          "its scheme is FromOptax(transformation)"),
    "optax to compare": (lambda: gf.compare(FLOW, {"a": optax.sgd(0.1)}, X0, 1.0), TypeError,
                         "give (FromOptax(transformation), step)"),
    "examples of another size": (lambda: gf.gradient_noise(gf.LinearRegression(np.eye(2), [1.0, 2.0]), [1.0]),
                                 ValueError, "gradient_noise: `x` of shape (1,) does not fit the energy"),
    "no class of flows": (lambda: gf.stability_function(gf.ForwardEuler(), flow="heavy ball"), TypeError,
                          "must be a flow or a class of flows such as HeavyBallFlow, got 'heavy ball'"),
    "an empty region": (lambda: gf.stability_region(gf.ForwardEuler(), real=(1.0, -1.0)), ValueError,
                        "a range low < high"),
    "one parameter": (lambda: gf.stability_map(gf.optimizers.momentum, (1.0,), lr=[0.1, 0.2]), ValueError,
                      "give two parameters, lr=… and beta=… say, got ['lr']"),
    "negative curvature": (lambda: gf.stability_map(gf.optimizers.momentum, (-1.0,), lr=[0.1, 0.2], beta=[0.1, 0.2]),
                           ValueError, "`curvatures` must be finite and not negative"),
    "multiples unordered": (lambda: gf.step_sweep(FLOW, gf.ForwardEuler(), X0, multiples=(1.0, 0.5)), ValueError,
                            "`multiples` must be increasing numbers"),
    "steps unordered": (lambda: gf.bifurcation(FLOW, gf.ForwardEuler(), X0, [0.2, 0.1]), ValueError,
                        "positive increasing"),
    "a noisy cascade": (lambda: gf.bifurcation(NOISY, gf.EulerMaruyama(), X0, [0.1]), TypeError,
                        "has noise; what it settles"),
    "no run": (lambda: gf.edge_of_stability(FLOW, gf.integrate(FLOW, X0, 1.0), gf.ForwardEuler()), TypeError,
               "`run` must be made by iterate"),
    "nothing to verify": (lambda: gf.verify(E), TypeError, "`subject` must be a flow or a Method, got Landscape"),
    "a path of no method": (lambda: gf.verify(gf.optimizers.gradient_descent(E, 0.1), gf.integrate(FLOW, X0, 1.0)),
                            TypeError, "`run` must be made by method.iterate"),
    "no file": (lambda: gf.load("nowhere.nc"), FileNotFoundError, "nowhere.nc"),
    "Brownian path of none": (lambda: gf.BrownianPath(FLOW, X0, 0.0, 1.0, jax.random.key(0)), TypeError, "no noise"),
}  # fmt: skip


@pytest.fixture(scope="module")
def answers():
    """What a user is told: where tests install type checks, asked in a process of its own without them."""
    if not THOROUGH:
        return _answers()
    root = pathlib.Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "tests.test_bad_input"], capture_output=True, text=True, check=True, cwd=root
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case, answers):
    _, kind, message = BAD[case]
    assert answers[case]["kind"] == kind.__name__
    assert message in answers[case]["message"]
    assert len(answers[case]["message"].splitlines()) == 1


def test_integers_are_promoted():
    run = gf.iterate(FLOW, gf.ForwardEuler(), [3, 1], step=0.1, steps=1)
    np.testing.assert_allclose(run.x[-1], [2.7, 0.1], rtol=1e-14)
    assert gf.integrate(FLOW, [3, 1], 1).x.dtype == jnp.float64


def with_a_text():
    """Every constructor of a flow, a rule, a scheme or an optimizer with one of its numbers as text."""
    classes = [thing for name in gf.__all__ if inspect.isclass(thing := getattr(gf, name))]
    makers = [cls for cls in classes if issubclass(cls, (gf.Flow, gf.Discretizer, gf.StepRule))]
    makers += [thing for name in dir(gf.optimizers) if hasattr(thing := getattr(gf.optimizers, name), "made_of")]
    both = gf.Composite(E, gf.penalties.L1(0.1))
    good = {"energy": E, "E": E, "lr": 0.1, "radius": 1.0, "initial": 0.1, "stages": 4, "rule": 0.1, "temperature": 1.0}
    for make in makers:
        parameters = inspect.signature(make).parameters.values()
        required = {p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD}
        if inspect.isabstract(make) or not required <= good.keys():
            continue
        given = {name: good[name] for name in required}
        if "fista" in make.__name__:
            given["E"] = both
        numbers = {p.name for p in parameters if isinstance(p.default, (int, float)) and p.default is not False}
        for name in numbers | (required & {"lr", "radius", "initial"}):
            yield f"{make.__name__}: {name}", lambda make=make, given=given, name=name: make(**given | {name: "0.1"})


def test_every_number_given_as_text_is_named(answers):
    cases = dict(with_a_text())
    assert len(cases) > 60
    for case in cases:
        name = case.split(": ")[1]
        assert answers[case]["kind"] == "TypeError", case
        assert f"`{name}`" in answers[case]["message"], (case, answers[case]["message"])


def _answer(attempt):
    try:
        attempt()
    except Exception as error:
        return {"kind": type(error).__name__, "message": str(error)}
    return {"kind": "none", "message": "accepted"}


def _answers():
    attempts = {case: attempt for case, (attempt, _, _) in BAD.items()} | dict(with_a_text())
    return {case: _answer(attempt) for case, attempt in attempts.items()}


if __name__ == "__main__":
    print(json.dumps(_answers()))
