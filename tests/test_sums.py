"""Worst cases of sums f + g, against closed forms of the literature and an independent library."""

import dataclasses
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradientflow as gf

from .thorough import part, thorough

BOWL = gf.landscapes.bowl()
SUM = gf.Composite(BOWL, gf.penalties.L1(1.0))


# ---- rates


@pytest.mark.parametrize(("h", "mu", "L"), [("1/3", 1, 9), ("1/4", 1, 10), (1, 2, 3)])
def test_douglas_rachford_contracts_as_giselsson_and_boyd_say(h, mu, L):
    """By max(1/(1 + hμ), hL/(1 + hL)), where f is strongly convex and smooth and g convex; that can't be improved."""
    h = Fraction(h)
    found = gf.worst_case_rate(gf.optimizers.douglas_rachford(SUM, h), mu, L)
    assert found.exact == max(1 / (1 + h * mu), h * L / (1 + h * L))
    assert found.grade is gf.Grade.PROVED
    assert found.check()
    assert found.quadratics == pytest.approx(float(found.exact), rel=1e-6)
    assert "z_{k+1} - z^*" in found.latex()
    # ADMM is the same method in other variables; its certificate is another one.
    admm = gf.worst_case_rate(gf.optimizers.admm(SUM, h), mu, L)
    assert admm.check()
    assert 0 <= admm.rate - found.rate <= 1e-6


@pytest.mark.parametrize(
    ("h", "f", "g"),
    [
        ("2/11", (1, 10), (0, math.inf)),
        ("1/10", (0, 10), (1, math.inf)),
        ("1/4", (1, 3), (2, 8)),
        ("1/4", (2, 4), (-1, math.inf)),
        ("2/5", (2, 4), (Fraction(-1, 2), 3)),
    ],
)
def test_the_proximal_gradient_method_contracts_by_what_its_two_halves_do(h, f, g):
    """By max(|1 − hμ|, |1 − hL|)/(1 + hμ_g): both are attained by quadratics that share their modes."""
    h = Fraction(h)
    found = gf.worst_case_rate(gf.optimizers.ista(SUM, h), *f, nonsmooth=g)
    assert found.exact == max(abs(1 - h * end) for end in f) / (1 + h * g[0])
    assert found.grade is gf.Grade.PROVED
    assert found.check()


def test_a_lyapunov_function_of_a_sum_falls_on_the_lasso():
    """V has the parts of f and g less their tangents at x*, with q = ∇f(x*)."""
    x, y = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12.0) / 4
    f, g = gf.LeastSquares(x, y), gf.penalties.L1(0.3)
    curvature = f.curvature
    mu, L = float(curvature.mu) * (1 - 1e-9), float(curvature.L) * (1 + 1e-9)
    flow = gf.HeavyBallFlow(gf.Composite(f, g), mass=1.0, friction=math.sqrt(mu))
    found = gf.worst_case_rate(gf.Method(flow, gf.NesterovScheme(), 1 / math.sqrt(L)), mu, L)
    assert found.check()
    assert found.quadratics <= found.rate < 1
    run = found.subject.iterate(np.array([3.0, -2.0, 1.0]), steps=400)
    away = np.linalg.norm(np.asarray(run.x) - np.asarray(run.x[-1]), axis=1)[:100]
    constant = away / found.rate ** np.arange(100)
    assert constant.max() <= 20 * constant[0]
    assert {name[0] for name in found.lyapunov if isinstance(name, str)} <= {"f", "g"}


def test_admm_is_douglas_rachford_in_other_variables():
    x = np.random.default_rng(1).normal(size=(6, 3))
    E = gf.Composite(gf.LeastSquares(x, np.arange(6.0)), gf.penalties.L1(0.5))
    admm = gf.optimizers.admm(E, lr=0.7).iterate(np.array([1.0, -1.0, 2.0]), steps=12)
    # Its z = y + u after the first half step.
    start = E.smooth.prox(np.array([1.0, -1.0, 2.0]), 0.7)
    other = gf.optimizers.douglas_rachford(E, lr=0.7).iterate(start, steps=11)
    np.testing.assert_allclose(admm.x[1:], other.x, rtol=1e-12, atol=1e-13)


# ---- bounds after N steps


def _of_start(start, best, q):
    return (start - best) ** 2


def _of_split(start, best, q):
    """Douglas–Rachford rests at z* = x* − q."""
    return (start - best + q) ** 2


def _of_admm(start, best, q):
    """ADMM's multiplier, which starts at 0, rests at −q."""
    return (start - best) ** 2 + q**2


def _pepit(method, steps, final, f, g, initial):
    """The worst case of `method`, which takes f, g, the start and N, by the library's own program."""
    PEPit = pytest.importorskip("PEPit")
    functions = pytest.importorskip("PEPit.functions")
    problem = PEPit.PEP()
    (kind_of_f, of_f), (kind_of_g, of_g) = f, g
    f = problem.declare_function(getattr(functions, kind_of_f), **of_f)
    g = problem.declare_function(getattr(functions, kind_of_g), **of_g)
    total = f + g
    best, start = total.stationary_point(), problem.set_initial_point()
    problem.set_initial_condition(initial(start, best, f.gradient(best)) <= 1)
    x = method(f, g, start, steps)
    problem.set_performance_metric(total(x) - total(best) if final == "gap" else (x - best) ** 2)
    return problem.solve(verbose=0, solver="CLARABEL")


def _proximal_gradient(extrapolated):
    def run(f, g, x, steps):
        from PEPit.primitive_steps import proximal_step

        y = x
        for k in range(steps):
            before = x
            x, _, _ = proximal_step(y - f.gradient(y), g, 1)
            y = x + (k + 2) / (k + 5) * (x - before) if extrapolated else x
        return x

    return run


def _douglas_rachford(f, g, z, steps):
    from PEPit.primitive_steps import proximal_step

    for _ in range(steps):
        x, _, _ = proximal_step(z, g, 1)
        y, _, _ = proximal_step(2 * x - z, f, 1)
        z = z + y - x
    return proximal_step(z, g, 1)[0]


def _admm(f, g, x, steps):
    from PEPit.primitive_steps import proximal_step

    u = 0 * x
    for _ in range(steps):
        y, _, _ = proximal_step(x - u, f, 1)
        x, _, _ = proximal_step(y + u, g, 1)
        u = u + y - x
    return x


ISTA, FISTA = gf.optimizers.ista(SUM, 1), gf.optimizers.fista(SUM, 1)
SPLIT, ADMM = gf.optimizers.douglas_rachford(SUM, 1), gf.optimizers.admm(SUM, 1)
# f and g, ours and theirs.
SMOOTH = (0, 1), ("SmoothConvexFunction", {"L": 1.0})
BENT = (1, 9), ("SmoothStronglyConvexFunction", {"mu": 1.0, "L": 9.0})
CONVEX = (0, math.inf), ("ConvexFunction", {})
STRONG = (Fraction(1, 2), math.inf), ("StronglyConvexFunction", {"mu": 0.5})
SET = "indicator", ("ConvexIndicatorFunction", {})
SUMS = {
    "ISTA": (ISTA, _proximal_gradient(False), 3, SMOOTH, CONVEX, "gap", _of_start),
    "ISTA, strongly convex g": (ISTA, _proximal_gradient(False), 2, SMOOTH, STRONG, "distance", _of_start),
    "ISTA onto a set": (ISTA, _proximal_gradient(False), 2, SMOOTH, SET, "gap", _of_start),
    "FISTA": (FISTA, _proximal_gradient(True), 3, SMOOTH, CONVEX, "gap", _of_start),
    "Douglas–Rachford": (SPLIT, _douglas_rachford, 2, SMOOTH, CONVEX, "gap", _of_split),
    "Douglas–Rachford, bent f": (SPLIT, _douglas_rachford, 2, BENT, CONVEX, "distance", _of_split),
    "ADMM": (ADMM, _admm, 2, SMOOTH, CONVEX, "gap", _of_admm),
    "ADMM onto a set": (ADMM, _admm, 2, SMOOTH, SET, "gap", _of_admm),
}


@pytest.mark.parametrize("name", SUMS)
def test_bounds_of_sums_agree_with_an_independent_library(name):
    ours, theirs, steps, (f, their_f), (g, their_g), final, initial = SUMS[name]
    start = "distance" if initial is _of_start else "state"
    found = gf.worst_case_bound(ours, steps, *f, final=final, initial=start, nonsmooth=g)
    assert found.check()
    assert found.value == pytest.approx(_pepit(theirs, steps, final, their_f, their_g, initial), rel=1e-5)


@pytest.mark.parametrize("steps", [1, 3])
def test_admm_is_within_a_quarter_of_its_first_distance_over_n(steps):
    found = gf.worst_case_bound(ADMM, steps, 0, 1, initial="state")
    assert (found.exact, found.grade) == (Fraction(1, 4 * steps), gf.Grade.PROVED)
    assert found.check()
    # The multiplier at rest is whatever ∇f(x*) is: by the distance of x alone there is no bound, and it says why.
    alone = gf.worst_case_bound(ADMM, steps, 0, 1)
    assert alone.grade is gf.Grade.UNKNOWN
    assert "initial='state'" in alone.reason


def test_of_a_sum_the_start_need_not_have_an_energy():
    last, best, average = (gf.worst_case_bound(ISTA, 2, 0, 1, at=at).exact for at in ("last", "best", "average"))
    # x₁ alone is within 1/4, and the mean of two is the worse of the three.
    assert last == best == Fraction(1, 8)
    assert last < average < Fraction(1, 4)


@pytest.mark.parametrize("steps", [1, 3])
def test_the_proximal_gradient_method_is_bounded_as_taylor_hendrickx_and_glineur_say(steps):
    found = gf.worst_case_bound(gf.optimizers.ista(SUM, Fraction(1, 2)), steps, mu=0, L=2)
    assert found.exact == Fraction(2, 4 * steps)
    assert found.grade is gf.Grade.PROVED
    assert "I'_{*" in found.latex()
    # Both parts are connected along the run and with the minimizer, and in no other way.
    assert sum(m > 0 for m in found.certificate.multipliers[0]) == 4 * steps
    contracts = gf.worst_case_bound(gf.optimizers.ista(SUM, Fraction(1, 10)), steps, mu=1, L=10, final="distance")
    assert contracts.exact is not None
    assert 0 <= contracts.exact - Fraction(9, 10) ** (2 * steps) <= Fraction(1, 10**7)


def test_a_bound_of_a_sum_holds_on_the_lasso_and_its_certificate_is_about_its_g():
    X = np.random.default_rng(0).normal(size=(8, 3)) / 4
    lasso = gf.Composite(gf.LeastSquares(X, np.ones(8)), gf.penalties.L1(0.1))
    L = float(lasso.f.curvature.L) * (1 + 1e-9)
    ista = gf.optimizers.ista(lasso, 1 / L)
    found = gf.worst_case_bound(ista, 4, mu=0, L=L)
    x0 = jnp.array([1.0, -2.0, 1.5])
    run, best = ista.iterate(x0, steps=4), ista.iterate(x0, steps=2000)
    assert float(run.energy[-1] - best.energy[-1]) <= found.value * float(jnp.sum((x0 - best.x[-1]) ** 2))
    strongly = gf.worst_case_bound(ista, 4, mu=0, L=L, nonsmooth=(1, math.inf))
    assert strongly.value < found.value
    assert not dataclasses.replace(found, exact=strongly.exact, certificate=strongly.certificate).check()


# ---- energies that attain a bound, and claims


@pytest.mark.parametrize(
    ("make", "options"),
    part(
        [
            (gf.optimizers.ista, {"mu": Fraction(1, 10), "final": "distance"}),
            (gf.optimizers.ista, {}),
            (gf.optimizers.ista, {"nonsmooth": (0, 2)}),
            (gf.optimizers.ista, {"mu": Fraction(1, 2), "nonsmooth": (Fraction(-1, 4), math.inf)}),
            (gf.optimizers.ista, {"nonsmooth": "indicator"}),
            (gf.optimizers.ista, {"at": "average"}),
            (gf.optimizers.fista, {"steps": 3}),
            (gf.optimizers.douglas_rachford, {"initial": "state"}),
            (gf.optimizers.admm, {"initial": "state"}),
        ]
    ),
)
def test_a_sum_of_the_class_attains_the_bound(make, options):
    """f and g are rebuilt from the program's dual, and the method that is run on them is as bad as the bound says."""
    found = gf.worst_case_bound(make(SUM, 1), **{"steps": 2, "mu": 0, "L": 1} | options)
    worst = found.worst()
    assert worst.ratio == pytest.approx(found.value, rel=1e-6)
    f, g = worst.method.flow.energy.f, worst.method.flow.energy.g
    points = np.random.default_rng(0).normal(size=(12, len(worst.x0)))
    of_f, slopes = np.array([f.value(x) for x in points]), np.array([f.grad(x) for x in points])
    mu = float(options.get("mu", 0))
    for i, j in np.ndindex(12, 12):
        dx, dg = points[i] - points[j], slopes[i] - slopes[j]
        bent = dg @ dg + mu * dx @ dx - 2 * mu * dg @ dx
        assert of_f[i] - of_f[j] - slopes[j] @ dx - bent / (2 * (1 - mu)) >= -1e-9
    # A proximal step's end is where the step's subgradient is one.
    steps = [(x, g.prox(x, 0.7)) for x in points]
    of_g = [float(g.value(y)) for _, y in steps]
    low = 0.0 if options.get("nonsmooth") == "indicator" else float(options.get("nonsmooth", (0,))[0])
    for i, j in np.ndindex(12, 12):
        (x, y), away = steps[j], steps[i][1] - steps[j][1]
        assert of_g[i] - of_g[j] - (x - y) @ away / 0.7 - low * away @ away / 2 >= -1e-8


def test_without_a_bound_on_the_curvature_the_worst_energy_is_polyhedral():
    """Of the proximal point 1/(4hN), which |x| far from its minimum attains (Güler 1991)."""
    found = gf.worst_case_bound(gf.optimizers.proximal_point(BOWL, 1), 2, 0, math.inf)
    assert found.exact == Fraction(1, 8)
    assert found.worst().ratio == pytest.approx(1 / 8, rel=1e-6)


def test_the_energies_that_are_built_run_in_single_precision_too():
    worst = gf.worst_case_bound(gf.optimizers.ista(SUM, 1), 2, 0, 1).worst()
    with jax.enable_x64(False):
        run = worst.method.iterate(jnp.asarray(worst.x0, jnp.float32), 2)
        assert run.energy.dtype == jnp.float32
        assert float(run.energy[-1]) == pytest.approx(float(worst.x0 @ worst.x0) / 8, rel=1e-5)


def test_a_weakly_convex_part_is_made_up_for_or_refused():
    with pytest.raises(ValueError, match="as strongly convex"):
        gf.worst_case_bound(gf.optimizers.ista(SUM, 1), 2, 0, 1, nonsmooth=(-1, math.inf))
    with pytest.raises(ValueError, match="as strongly convex"):
        gf.worst_case_rate(gf.optimizers.ista(SUM, 1), Fraction(1, 2), 1, nonsmooth=(-1, math.inf))


@pytest.mark.parametrize("k", [4, pytest.param(5, marks=thorough)])
def test_a_long_schedule_of_floats_is_bounded_without_endless_fractions(k):
    """2^k − 1 silver steps: as Altschuler & Parrilo (2023) say, and no better than on a Huber function."""
    powers, steps = [0], 2**k - 1
    while len(powers) < steps:
        powers = [*powers, max(powers) + 1, *powers]
    lengths = jnp.asarray(1 + (1 + math.sqrt(2)) ** (np.array(powers) - 1.0))
    found = gf.worst_case_bound(gf.optimizers.gradient_descent(BOWL, lambda k: lengths[k]), steps, 0, 1)
    assert found.check()
    assert 1 / (4 * float(lengths.sum()) + 2) <= found.value * (1 + 1e-6)
    assert found.value <= 1 / (1 + math.sqrt(4 * (1 + math.sqrt(2)) ** (2 * k) - 3))


@pytest.mark.parametrize("make", ["nesterov", "ista"])
def test_a_long_run_is_bounded_by_few_pairs_as_well_as_by_all(make, monkeypatch):
    methods = {
        "nesterov": gf.Method(gf.NesterovFlow(BOWL), gf.NesterovScheme(), 1),
        "ista": gf.optimizers.ista(SUM, 1),
    }
    few = gf.worst_case_bound(methods[make], 13, 0, 1)
    monkeypatch.setattr("gradientflow.analysis.worst_case.bound.LONG", 99)
    by_all = gf.worst_case_bound(methods[make], 13, 0, 1)
    assert few.value == pytest.approx(by_all.value, rel=2e-7)
    assert few.check()
    assert sum(map(len, few.chosen)) < len(by_all.certificate.multipliers[0]) / 2
    assert few.worst().ratio == pytest.approx(few.value, rel=1e-5)
    # Pairs that are none, or one twice, prove nothing.
    for pair in ((0, 0), (0, 99), few.chosen[0][0]):
        spoiled = ((*few.chosen[0], pair), *few.chosen[1:])
        assert not dataclasses.replace(few, chosen=spoiled).check()


def test_a_claim_about_a_sum_is_proved_or_refuted_by_two_energies():
    ista = gf.optimizers.ista(SUM, 1)
    true = gf.settle(lambda run: run.x[0] * run.x[0] / 4 - run.E[1], ista, 0, 1)
    assert true.grade is gf.Grade.PROVED
    assert true.check()
    false = gf.settle(lambda run: run.x[0] * run.x[0] / 5 - run.E[1], ista, 0, 1)
    assert false.grade is gf.Grade.REFUTED
    assert false.check()
    assert false.counterexample.run() == pytest.approx(false.counterexample.violation, rel=1e-9)
    # The energy of a sum falls for every h ≤ 2/L where it is known at the start, and for none beyond.
    for h, grade in ((2, gf.Grade.PROVED), (Fraction(5, 2), gf.Grade.REFUTED)):
        assert gf.settle(lambda run: run.E[0] - run.E[1], gf.optimizers.ista(SUM, h), 0, 1).grade is grade


def test_an_energy_is_the_sums_however_a_claim_takes_it_from_the_run():
    """f alone falls where the sum need not: of a step of 5/2 neither does."""
    long = gf.optimizers.ista(SUM, Fraction(5, 2))
    for claim in (
        lambda run: run.E[0] - run.E[1], lambda run: -run.E[1] + run.E[0], lambda run: run.E[-2] - run.E[-1],
        lambda run: [*reversed(run.E)][1] - next(reversed(run.E)), lambda run: run.E.copy().pop(0) - run.E[1],
    ):  # fmt: skip
        found = gf.settle(claim, long, 0, 1)
        assert found.grade is gf.Grade.REFUTED
        assert found.counterexample.violation == pytest.approx(-0.1698623678, rel=1e-6)


def test_a_claim_names_the_gradient_at_the_minimizer():
    """∇f(x) − ∇f(x*) contracts with x where f is strongly convex; without q the same is false."""
    douglas = gf.optimizers.ista(SUM, Fraction(2, 3))
    close = gf.settle(lambda run: run.x[0] * run.x[0] / 9 - run.x[1] * run.x[1], douglas, 1, 2)
    assert close.grade is gf.Grade.PROVED
    steep = gf.settle(lambda run: 4 * run.x[0] * run.x[0] - (run.g[0] - run.q) * (run.g[0] - run.q), douglas, 1, 2)
    assert steep.grade is gf.Grade.PROVED
    without = gf.settle(lambda run: 4 * run.x[0] * run.x[0] - run.g[0] * run.g[0], douglas, 1, 2)
    assert without.grade is gf.Grade.REFUTED
    assert without.check()


def test_a_claim_about_an_indicator_is_about_f_on_a_set():
    """f after a projected step is within ¼‖x₀ − x*‖² of its least on the set, and not within a fifth."""
    projected = gf.optimizers.ista(SUM, 1)
    true = gf.settle(lambda run: run.x[0] * run.x[0] / 4 - run.E[1], projected, 0, 1, nonsmooth="indicator")
    assert true.grade is gf.Grade.PROVED
    false = gf.settle(lambda run: run.x[0] * run.x[0] / 5 - run.E[1], projected, 0, 1, nonsmooth="indicator")
    assert false.grade is gf.Grade.REFUTED
    with pytest.raises(ValueError, match="`nonsmooth` is of the g of a Composite"):
        gf.settle(lambda run: run.E[0], gf.optimizers.gradient_descent(BOWL, 1), 0, 1, nonsmooth="indicator")
    with pytest.raises(ValueError, match="as strongly convex"):
        gf.settle(lambda run: run.E[0], projected, -1, 1)
