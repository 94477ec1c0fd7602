"""Order and modified equations, proved from the running step on the rooted-tree system."""

import math
from fractions import Fraction

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy

import gradientflow as gf
from gradientflow.analysis.b_series.order import structure
from gradientflow.analysis.b_series.trees import Forest, Tree, rootings, splits

from .catalogue import NOT_RATIONAL, SCHEMES, flow_to_read_on, name_of, quartic_bowl
from .test_stability import AB2, Chebyshev
from .thorough import part, thorough

X, Y, H, LAM = sympy.symbols("x y h lambda")


# --- Trees ------------------------------------------------------------


def test_there_are_as_many_trees_as_there_should_be():
    """The counts of rooted trees, plain (OEIS A000081) and with two colours (A000151), and of free trees (A000055)."""
    trees = Forest(9).trees
    assert [sum(t.order == n for t in trees) for n in range(1, 10)] == [1, 1, 2, 4, 9, 20, 48, 115, 286]
    coloured = Forest(6, ("a", "b")).trees
    assert [sum(t.order == n for t in coloured) for n in range(1, 7)] == [2, 4, 14, 52, 214, 916]
    free = [len({min(rootings(t)) for t in trees if t.order == n}) for n in range(1, 9)]
    assert free == [1, 1, 1, 2, 3, 6, 11, 23]


def test_densities_and_symmetries():
    """Σ n!/(σγ) over trees of order n counts increasing labellings: (n − 1)!."""
    for n in range(1, 9):
        total = sum(Fraction(math.factorial(n), t.symmetry * t.density) for t in Forest(n).trees if t.order == n)
        assert total == math.factorial(n - 1)


def test_cutting_an_edge_leaves_two_trees():
    for tree in Forest(7).trees:
        pieces = splits(tree)
        assert len(pieces) == tree.order - 1
        assert all(rest.order + cut.order == tree.order for rest, cut in pieces)


# --- Order ------------------------------------------------------------


@pytest.mark.parametrize("scheme", [s for s in SCHEMES if s.order is not None], ids=name_of)
def test_the_proved_order_is_the_claimed_order(scheme):
    flow = flow_to_read_on(scheme)
    if isinstance(scheme, NOT_RATIONAL) and flow is not gf.HeavyBall:
        with pytest.raises((gf.NotExactError, TypeError)):
            gf.order(scheme, flow=flow)
        return
    found = gf.order(scheme, up_to=scheme.order + 1, flow=gf.HeavyBall)
    assert (found.order, found.grade) == (scheme.order, "proved")
    assert found.remark == ""
    assert found.against


class TwoParts(gf.Flow):
    """ẍ + ∇E(x) = 0 with its kick and its drift under names of a test's choice."""

    energy: gf.Energy
    names: tuple[str, str] = eqx.field(static=True)

    def init(self, x):
        return gf.Phase(x, 0 * x)

    def position(self, z):
        return z.x

    def drift(self, t, z):
        return gf.Phase(z.v, -self.energy.grad(z.x))

    @property
    def parts(self):
        mechanics = gf.HeavyBall(self.energy, 1, 1).parts
        return dict(zip(self.names, (mechanics["force"], mechanics["transport"]), strict=True))


@pytest.mark.parametrize(
    ("scheme", "names"),
    [(gf.AdaptiveStep(), ("averages", "transport")), (gf.ForwardBackward(), ("smooth", "nonsmooth"))],
    ids=lambda value: name_of(value) if isinstance(value, gf.Discretizer) else value[0],
)
def test_splittings_by_name_have_their_order_whatever_the_parts_are(scheme, names):
    found = gf.order(scheme, up_to=2, flow=TwoParts(gf.Mode(1.0), names))
    assert (found.order, found.grade) == (1, "proved")


def test_a_users_scheme_with_a_loop():
    assert gf.order(Chebyshev(3)).order == 1


class WrongTime(gf.Discretizer):
    """Heun's scheme, which asks its second slope at the time of the first."""

    def step(self, flow, t, z, h, **_):
        k = flow.drift(t, z)
        return z + h * (k + flow.drift(t, z + h * k)) / 2


def test_a_scheme_with_a_wrong_stage_time_has_a_lower_order_and_is_told_why():
    found = gf.order(WrongTime())
    assert found.order == 1
    assert list(found.against) == [Tree("", (Tree("∂t"),))]
    assert found.remark == "a drift is asked at t + 0h where the state has reached t + 1h"


class Backward2(gf.Discretizer):
    """BDF2, begun as if it had stood still."""

    def init(self, flow, t, z, h):
        return z

    def step(self, flow, t, z, h, memory=None, **_):
        return flow.resolvent(t + h, (4 * z - memory) / 3, h * 2 / 3), z


class Backward2FromBehind(Backward2):
    """BDF2, begun by a step backwards."""

    def init(self, flow, t, z, h):
        return z - h * flow.drift(t, z)


class Adams3(gf.Discretizer):
    """The third-order Adams–Bashforth scheme, begun as if the slope had always been the same."""

    def init(self, flow, t, z, h):
        return (flow.drift(t, z),) * 2

    def step(self, flow, t, z, h, memory=None, **_):
        f = flow.drift(t, z)
        return z + h * (23 * f - 16 * memory[0] + 5 * memory[1]) / 12, (f, memory[0])


@pytest.mark.parametrize(("scheme", "order"), [(Backward2(), 1), (Backward2FromBehind(), 2), (Adams3(), 2)])
def test_what_the_first_steps_get_wrong_stays_in_a_run(scheme, order):
    found = gf.order(scheme, up_to=4)
    assert found.order == order
    assert ("its first steps" in found.remark) == (type(scheme) is not Backward2FromBehind)
    assert "asked at" not in found.remark
    flow, errors = gf.GradientFlow(gf.Quadratic([[1.0]])), []
    for n in (64, 128):
        run = gf.iterate(flow, scheme, [1.0], step=1 / n, steps=n, save_every=n)
        errors.append(abs(float(run.x[-1][0]) - math.exp(-1)))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


class Verlet(gf.Discretizer):
    """Velocity Verlet of an undamped flow, written with drifts: each part's field is constant along itself."""

    def step(self, flow, t, z, h, **_):
        parts = flow.parts
        z = z + h / 2 * parts["force"].drift(t, z)
        z = z + h * parts["transport"].drift(t, z)
        z = z + h * parts["friction"].drift(t, z)
        return z + h / 2 * parts["force"].drift(t, z)


def test_splittings_on_coloured_trees():
    assert gf.order(gf.StrangSplitting("force", "transport", "friction"), up_to=4, flow=gf.HeavyBall).order == 2
    assert gf.order(gf.StrangSplitting("force", "transport", "friction"), up_to=3, flow=gf.KineticLangevin).order == 2
    assert gf.order(Verlet(), up_to=3, flow=gf.HeavyBall).order == 1
    assert gf.order(gf.RungeKutta("rk4"), up_to=5, flow=gf.HeavyBall).order == 4


def test_which_part_acts_on_which_is_read_from_the_code():
    assert structure(gf.HeavyBall(gf.Mode(1.0))) == {
        ("transport", "force"), ("transport", "friction"), ("friction", "force"), ("friction", "friction"),
        ("force", "transport"),
    }  # fmt: skip


class Squaring(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        slope = flow.drift(t, z)
        return z + h * slope * slope


def test_what_is_no_b_series_is_told_by_its_line():
    with pytest.raises(gf.NotExactError, match=r"`return z \+ h \* slope \* slope`: two states multiplied"):
        gf.order(Squaring())
    with pytest.raises(gf.UnansweredQuestionError, match="give the flow's class"):
        gf.order(gf.MomentumEuler())
    with pytest.raises(gf.UnansweredQuestionError, match="solution"):
        gf.order(gf.ExactFlow())


# --- Modified equations ------------------------------------------------------------

TABLE = {
    "explicit Euler": (gf.ForwardEuler(), {"f'f": "-1/2", "f''(f,f)": "1/12", "f'f'f": "1/3", "f''(f,f'f)": "-1/12",
                                           "f'f''(f,f)": "-1/12", "f'f'f'f": "-1/4"}),
    "implicit Euler": (gf.BackwardEuler(), {"f'f": "1/2", "f''(f,f)": "1/12", "f'f'f": "1/3", "f''(f,f'f)": "1/12",
                                            "f'f''(f,f)": "1/12", "f'f'f'f": "1/4"}),
    "implicit midpoint": (gf.ImplicitMidpoint(), {"f''(f,f)": "-1/24", "f'f'f": "1/12"}),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_published_modified_equations(name):
    scheme, expected = TABLE[name]
    found = gf.modified_equation(scheme, 4)
    assert found.grade == "proved"
    assert {str(t): c for t, c in found.coefficients.items()} == {"f": 1} | {
        k: Fraction(v) for k, v in expected.items()
    }


def test_explicit_euler_on_a_square():
    """Hairer, Lubich & Wanner, IX.1."""
    field = gf.modified_equation(gf.ForwardEuler(), 6).field_of(sympy.Matrix([Y**2]), [Y])[0]
    expected = (
        Y**2 - H * Y**3 + sympy.Rational(3, 2) * H**2 * Y**4 - sympy.Rational(8, 3) * H**3 * Y**5
        + sympy.Rational(31, 6) * H**4 * Y**6 - sympy.Rational(157, 15) * H**5 * Y**7
    )  # fmt: skip
    assert sympy.expand(field - expected) == 0


def test_implicit_gradient_regularization():
    E = X**4 / 4 + X * Y**2
    squared = sympy.diff(E, X) ** 2 + sympy.diff(E, Y) ** 2
    for scheme, sign in ((gf.ForwardEuler(), 1), (gf.BackwardEuler(), -1)):
        found = gf.modified_equation(scheme, 2)
        assert found.is_gradient
        energy = found.modified_energy.expression(E, [X, Y])
        assert sympy.expand(energy - (E + sign * H * squared / 4)) == 0


class GradientTwice(gf.Discretizer):
    """Second order, c = 1/3: its h² terms have Σ bᵢaᵢⱼcⱼ + 1/6 = Σ bᵢcᵢ², so that they are a gradient's."""

    def step(self, flow, t, z, h, **_):
        k = flow.drift(t, z)
        return z - h / 2 * k + h * 3 / 2 * flow.drift(t + h / 3, z + h / 3 * k)


def test_the_modified_field_is_minus_the_gradient_of_the_modified_energy_where_there_is_one():
    E = X**4 / 4 + X * Y**2 + Y**3
    for scheme, p in (
        (gf.ForwardEuler(), 2),
        (gf.BackwardEuler(), 2),
        (gf.RungeKutta("heun"), 2),
        (GradientTwice(), 3),
    ):
        found = gf.modified_equation(scheme, p)
        energy = found.modified_energy.expression(E, [X, Y])
        gradient = sympy.Matrix([sympy.diff(energy, X), sympy.diff(energy, Y)])
        assert (found.field(E, [X, Y]) + gradient).expand() == sympy.zeros(2, 1)
    assert found.field(E, [X, Y]).has(H)


@pytest.mark.parametrize("scheme", [gf.ForwardEuler(), gf.BackwardEuler(), gf.ImplicitMidpoint()], ids=name_of)
def test_whether_it_is_a_gradient_agrees_with_the_curl(scheme):
    found = gf.modified_equation(scheme, 3)
    assert not found.is_gradient
    assert found.modified_energy is None
    field = found.field(X**4 / 4 + X**2 * Y**2 + Y**3, [X, Y])
    assert sympy.expand(sympy.diff(field[0], Y) - sympy.diff(field[1], X)) != 0
    quadratic = found.field(X**2 + X * Y + 3 * Y**2, [X, Y])
    assert sympy.expand(sympy.diff(quadratic[0], Y) - sympy.diff(quadratic[1], X)) == 0


def test_modified_rates_on_quadratics():
    z = H * LAM
    assert sympy.simplify(sympy.exp(H * gf.modified_rate(gf.ForwardEuler())) - 1 / (1 - z)) == 0
    assert sympy.simplify(gf.modified_rate(gf.BackwardEuler()) - sympy.log(1 + z) / H) == 0
    midpoint = gf.modified_rate(gf.ImplicitMidpoint())
    assert float(midpoint.subs({H: 0.3, LAM: 2.0})) == pytest.approx(2 / 0.3 * math.atanh(0.3), rel=1e-14)
    # The tree series on a mode is the rate's Taylor series.
    series = gf.modified_equation(gf.ImplicitMidpoint(), 5).field(LAM * X**2 / 2, [X])[0]
    taylor = sympy.series(midpoint, H, 0, 5).removeO()
    assert sympy.expand(series + taylor * X) == 0
    with pytest.raises(TypeError, match="several rates"):
        gf.modified_rate(AB2)


# --- The modified flow ------------------------------------------------------------

CASES = {
    "forward Euler": (gf.GradientFlow, gf.ForwardEuler(), {1: 1, 2: 2, 3: 3}),
    "implicit midpoint": (gf.GradientFlow, gf.ImplicitMidpoint(), {1: 2, 3: 4}),
    "heun": (gf.GradientFlow, gf.RungeKutta("heun"), {1: 2, 3: 3}),
    "momentum": (gf.HeavyBall, gf.MomentumEuler(), {1: 1, 2: 2, 3: 3}),
}


@pytest.mark.parametrize("name", part(CASES, 6))
def test_iterates_follow_the_modified_flow_more_closely(name):
    """Measured slopes of the distance between iterates and the modified flow, as the step is halved."""
    flow_class, scheme, slopes = CASES[name]
    flow, start, t1 = flow_class(gf.energy(quartic_bowl)), jnp.array([1.0, -0.5]), 0.8
    for p, slope in part(slopes.items()):
        errors = []
        for n in (20, 40):
            run = gf.iterate(flow, scheme, start, step=t1 / n, steps=n, save_every=n)
            path = gf.integrate(gf.ModifiedFlow(flow, scheme, t1 / n, p), start, t1, rtol=1e-11, atol=1e-13)
            errors.append(np.linalg.norm(np.asarray(run.x)[-1] - np.asarray(path.x)[-1]))
        assert math.log2(errors[0] / errors[1]) == pytest.approx(slope, abs=0.2)


def test_of_a_network_and_its_pytree():
    X, Y = jnp.linspace(-1, 1, 8)[:, None], jnp.linspace(-1, 1, 8) ** 2

    def loss(p):
        return jnp.mean((jnp.tanh(X @ p["a"] + p["b"]) @ p["c"] - Y) ** 2)

    keys = jax.random.split(jax.random.key(0), 2)
    p = {"a": jax.random.normal(keys[0], (1, 4)), "b": jnp.zeros(4), "c": jax.random.normal(keys[1], (4,))}
    flow = gf.GradientFlow(gf.energy(loss))
    z = flow.init(p)
    modified = gf.ModifiedFlow(flow, gf.ForwardEuler(), step=0.1, order=2)
    regularized = gf.energy(
        lambda q: loss(q) + 0.1 / 4 * sum(jnp.sum(g**2) for g in jax.tree.leaves(jax.grad(loss)(q)))
    )
    found, expected = jax.jit(lambda z: (modified.drift(0.0, z), gf.GradientFlow(regularized).drift(0.0, z)))(z)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14), found, expected)


def test_bad_input():
    flow = gf.GradientFlow(gf.landscapes.bowl())
    with pytest.raises(ValueError, match="`up_to` must be at least 1, got 0"):
        gf.order(gf.ForwardEuler(), up_to=0)
    with pytest.raises(ValueError, match="`step` must be finite and positive, got -1"):
        gf.ModifiedFlow(flow, gf.ForwardEuler(), -1, 2)
    with pytest.raises(ValueError, match="`order` must be at least 1"):
        gf.modified_equation(gf.ForwardEuler(), 0)


# --- What is not an order ------------------------------------------------------------


def step_of(function):
    """A scheme from a function (flow, t, z, h) ↦ z."""

    class Scheme(gf.Discretizer):
        def step(self, flow, t, z, h, **_):
            return function(flow, t, z, h)

    return Scheme()


REFUSED = {
    "h squared": (
        lambda flow, t, z, h: z + h * h * flow.drift(t, z),
        "depends on h or t otherwise than by h times drifts",
    ),
    "no h": (lambda flow, t, z, h: z + flow.drift(t, z), "depends on h or t"),
    "a root of h": (lambda flow, t, z, h: z + h**0.5 * flow.drift(t, z), "is not rational"),
    "a rational step": (lambda flow, t, z, h: z + 2 * h / (1 + h) * flow.drift(t, z), "depends on h or t"),
    "the time": (lambda flow, t, z, h: z + h * (1 + t) * flow.drift(t, z), "depends on h or t"),
    "a branch": (lambda flow, t, z, h: z + h * flow.drift(t, z) if z else z, "branches on values"),
    "the kind of flow": (lambda flow, t, z, h: z if flow.velocity(z) is None else 2 * z, "the kind of its flow"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_b_series_is_refused(name):
    function, why = REFUSED[name]
    with pytest.raises(gf.NotExactError, match=why):
        gf.order(step_of(function))


class Average(gf.Discretizer):
    """An exponential average of slopes: it never forgets."""

    def init(self, flow, t, z, h):
        return 0 * z

    def step(self, flow, t, z, h, *, memory, **_):
        memory = memory / 2 + flow.drift(t, z) / 2
        return z + h * memory, memory


class Unstable(gf.Discretizer):
    """Third order by its coefficients, and useless: a root of −5."""

    def init(self, flow, t, z, h):
        return z, flow.drift(t, z)

    def step(self, flow, t, z, h, *, memory, **_):
        before, slope = memory
        now = flow.drift(t, z)
        return -4 * z + 5 * before + h * (4 * now + 2 * slope), (z, now)


def test_memories_that_are_no_history():
    with pytest.raises(gf.NotExactError, match="it never forgets"):
        gf.order(Average())
    found = gf.order(Unstable())
    assert found.order == 0
    assert "does not converge" in found.remark
    with pytest.raises(gf.NotExactError, match="has memory"):
        gf.modified_equation(AB2, 2)


class Damped(gf.Flow):
    """Hessian damping, v̇ = −∇²E(x)v: its field reads the position through the Hessian only."""

    energy: gf.Energy

    def init(self, x):
        return gf.Phase(x, 0 * x)

    def position(self, z):
        return z.x

    def drift(self, t, z):
        return sum((part.drift(t, z) for part in self.parts.values()), start=0 * z)

    @property
    def parts(self):
        ball = gf.HeavyBall(self.energy).parts
        return {"T": ball["transport"], "F": ball["force"], "H": HessianDamping(self.energy)}


class HessianDamping(gf.Flow):
    energy: gf.Energy

    def init(self, x):
        return gf.Phase(x, 0 * x)

    def position(self, z):
        return z.x

    def drift(self, t, z):
        return gf.Phase(0 * z.v, -self.energy.hvp(z.x, z.v))


class Partial(gf.HeavyBall):
    """Parts that have lost the friction."""

    @property
    def parts(self):
        parts = dict(gf.HeavyBall(self.energy, self.mass, self.friction).parts)
        return {"transport": parts["transport"], "force": parts["force"]}


def test_what_a_part_depends_on_is_seen_through_the_hessian():
    assert ("H", "T") in structure(Damped(gf.Mode(1.0)))
    assert ("T", "T") not in structure(Damped(gf.Mode(1.0)))


def test_parts_that_do_not_sum_to_the_drift_are_refused():
    with pytest.raises(gf.NotExactError, match="don't sum to its drift"):
        gf.order(gf.StrangSplitting("force", "transport", "friction"), up_to=2, flow=Partial)


def test_the_modified_flow_of_a_flow_that_depends_on_time():
    """ẋ = cos(t) − x by forward Euler: the time moves with the field, and each term still gains one order."""

    class Driven(gf.GradientFlow):
        def drift(self, t, z):
            return jnp.cos(t) - self.gradient(z)

    flow, t1 = Driven(gf.energy(lambda x: jnp.sum(x**2) / 2 + jnp.sum(x**4) / 4)), 1.0
    for p in part((1, 2, 3)):
        errors = []
        for n in (40, 80):
            run = gf.iterate(flow, gf.ForwardEuler(), [0.5], step=t1 / n, steps=n, save_every=n)
            path = gf.integrate(gf.ModifiedFlow(flow, gf.ForwardEuler(), t1 / n, p), [0.5], t1, rtol=1e-11, atol=1e-13)
            errors.append(float(abs(run.x[-1] - path.x[-1])[0]))
        assert math.log2(errors[0] / errors[1]) == pytest.approx(p, abs=0.2)


# ---- the slow manifold of momentum


@pytest.mark.parametrize("beta", [Fraction(1, 4), Fraction(1, 2), Fraction(9, 10)])
def test_momentum_follows_an_energy_with_a_larger_penalty_than_gradient_descents(beta):
    """Kovachki and Stuart's, and Ghosh et al.'s: −(1+β)/(2(1−β)) on f'f, in the flow's own clock."""
    momentum = gf.optimizers.momentum(gf.landscapes.bowl(), lr=Fraction(1, 7), beta=beta)
    found = gf.slow_equation(momentum, 2)
    leaf = Tree()
    assert found.coefficients == {leaf: 1, Tree("", (leaf,)): -(1 + beta) / (2 * (1 - beta))}
    assert found.modified_energy.coefficients[Tree("", (leaf,))] == (1 + beta) / (4 * (1 - beta))


def test_without_memory_the_slow_equation_is_the_modified_equation():
    energy = gf.landscapes.bowl()
    for method in (gf.optimizers.gradient_descent(energy, Fraction(1, 3)), gf.optimizers.proximal_point(energy, 0.25)):
        slow = gf.slow_equation(method, 5)
        assert dict(slow.coefficients) == dict(gf.modified_equation(method.discretizer, 5).coefficients)


def test_on_a_quadratic_the_slow_rate_is_that_of_the_root_near_one():
    """All orders at once: −log w/h, w the greater root of w² − (1 + β − ηλ)w + β."""
    h, beta, lam, order = Fraction(1, 40), Fraction(1, 4), 0.7, 7
    slow = gf.slow_equation(gf.optimizers.momentum(gf.landscapes.bowl(), lr=h * (1 - beta), beta=beta), order)
    tall = [Tree()]
    for _ in range(order - 1):
        tall.append(Tree("", (tall[-1],)))
    rate = -sum(float(h) ** k * float(slow.coefficients[tree]) * (-lam) ** (k + 1) for k, tree in enumerate(tall))
    roots = np.roots([1, -(1 + float(beta) - float(h * (1 - beta)) * lam), float(beta)])
    assert rate == pytest.approx(-math.log(max(roots)) / float(h), abs=1e-9)


def test_the_slow_rate_is_the_root_near_one_in_closed_form():
    h, beta = Fraction(1, 10), Fraction(1, 4)
    momentum = gf.optimizers.momentum(gf.landscapes.bowl(), lr=h * (1 - beta), beta=beta)
    found = gf.slow_rate(momentum)
    for lam in (0.1, 0.7, 2.0):
        roots = np.roots([1, -(1 + 0.25 - 0.075 * lam), 0.25])
        assert float(found.subs("lambda", lam)) == pytest.approx(-math.log(max(roots)) / 0.1, abs=1e-12)
    # Its series in λ has the slow equation's coefficients on f, f'f, f'f'f.
    series = sympy.series(found, LAM, 0, 4).removeO()
    slow = gf.slow_equation(momentum, 3)
    tall = Tree("", (Tree("", (Tree(),)),))
    for k, tree in enumerate((Tree(), tall.children[0], tall)):
        assert series.coeff(LAM, k + 1) == (-1) ** k * sympy.Rational(h) ** k * sympy.Rational(slow.coefficients[tree])
    descent = gf.slow_rate(gf.optimizers.gradient_descent(gf.landscapes.bowl(), h))
    of_euler = gf.modified_rate(gf.ForwardEuler()).subs(H, sympy.Rational(1, 10))
    assert float((descent - of_euler).subs(LAM, 3)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("order", [pytest.param(1, marks=thorough), 2, pytest.param(3, marks=thorough)])
def test_settled_iterates_follow_the_slow_flow_to_its_order(order):
    energy = gf.energy(lambda x: jnp.cosh(x[0]) + (x[1] ** 4 + x[1] ** 2) / 2 + x[0] * x[1] / 3)
    errors = []
    for n in (25, 50):
        h, beta = Fraction(1, n), Fraction(1, 4)
        run = gf.optimizers.momentum(energy, float(h * (1 - beta)), 0.25).iterate([1.0, 0.8], steps=2 * n)
        slow = gf.slow_equation(gf.optimizers.momentum(energy, h * (1 - beta), beta), order)
        flow = gf.ModifiedFlow(gf.GradientFlow(energy), slow, step=1 / n)
        errors.append(float(jnp.abs(gf.integrate(flow, run.x[n], 1.0, rtol=1e-11, atol=1e-12).x[-1] - run.x[-1]).max()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.2)


class Forgetless(gf.Discretizer):
    """Leapfrog on the gradient flow: its other root is −1."""

    def init(self, flow, t, z, h):
        return z

    def step(self, flow, t, z, h, *, memory=None, **_):
        return memory + 2 * h * flow.drift(t, z), z


def test_a_scheme_without_a_slow_manifold_is_told():
    flow = gf.GradientFlow(gf.landscapes.bowl())
    with pytest.raises(gf.NotExactError, match="does not forget its past"):
        gf.slow_equation(gf.Method(flow, Forgetless(), 0.5), 2)
    with pytest.raises(gf.NotExactError, match="asks 4 gradients a step"):
        gf.slow_equation(gf.Method(flow, gf.RungeKutta("rk4"), 0.5), 2)
    with pytest.raises(TypeError, match="its own `order`"):
        gf.ModifiedFlow(flow, gf.modified_equation(gf.ForwardEuler(), 2), 0.5, 2)


# ---- the modified Hamiltonian


def test_symplectic_eulers_hamiltonian_is_the_textbooks():
    """H − (h/2)v·∇E + (h²/12)(∇²E(v, v) + ‖∇E‖²/m), Hairer, Lubich and Wanner IX, on E = x⁴/4."""
    x, v, h, m = sympy.symbols("x v h m")
    found = gf.modified_hamiltonian(gf.MomentumEuler(), 3).expression(x**4 / 4, [x], [v])
    expected = m * v**2 / 2 + x**4 / 4 - h * v * x**3 / 2 + h**2 / 12 * (3 * x**2 * v**2 + x**6 / m)
    assert sympy.expand(found - expected) == 0


@pytest.mark.parametrize(
    ("scheme", "orders"),
    [(gf.MomentumEuler(), (1, 2, 3, 4)), (Verlet(), (3, 5)), pytest.param(gf.ImplicitMidpoint(), (3,), marks=thorough)],
)
def test_a_symplectic_scheme_conserves_its_modified_hamiltonian_to_its_order(scheme, orders):
    x, v, h = sympy.symbols("x v h")
    ball = gf.HeavyBall(gf.energy(lambda q: q**4 / 4 + q**2 / 2), mass=2.0, friction=0.0)
    runs = {step: gf.iterate(ball, scheme, 1.0, step=step, steps=round(8 / step)) for step in (0.1, 0.05)}
    for order in orders:
        found = gf.modified_hamiltonian(scheme, order).expression(x**4 / 4 + x**2 / 2, [x], [v])
        function = sympy.lambdify((x, v, h), found.subs({"m": 2}))
        spread = [np.ptp(function(np.asarray(run.x), np.asarray(run.state.v), step)) for step, run in runs.items()]
        # Symmetric schemes have even powers only: the next term that is left out is one farther.
        expected = order if isinstance(scheme, gf.MomentumEuler) else order + 1
        assert math.log2(spread[0] / spread[1]) == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize(
    ("scheme", "order"), [(gf.ForwardEuler(), 2), (gf.BackwardEuler(), 2), (gf.RungeKutta("rk4"), 5)]
)
def test_schemes_that_are_not_symplectic_have_none(scheme, order):
    assert gf.modified_hamiltonian(scheme, order - 1) is not None
    assert gf.modified_hamiltonian(scheme, order) is None
