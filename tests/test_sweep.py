"""Sweeps: each lane ends as its own run does, one program takes all, and bad input is told in a line."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradientflow as gf
from gradientflow.analysis.sweeps.identity import Same
from gradientflow.analysis.sweeps.task import Task

from .thorough import thorough

# ½bx² + ¼ax⁴, of which one program holds every outcome; a and b are not 0, for what is 0 has a program of its own.
CASES = [
    # a, b, lr
    (1e-30, 1.0, 0.1),
    (1e-30, 1.0, 1e-3),
    (1e-30, 1.0, 2.1),
    (1e-30, 1.0, 8.0),
    (1.0, -1.0, 1.1),
    (1.0, -1.0, 1.2),
    (1e-30, -1.0, 0.1),
    (1e-30, 1.0, 1e-18),
    (1.0, 1.0, 1.9),
    (1.0, -1.0, 0.01),
]
A, B, LR = map(np.array, zip(*CASES, strict=True))


def quartic(a, b):
    return gf.energy(lambda x: jnp.sum(a * x**4 / 4 + b * x**2 / 2))


def descent(a, b, lr):
    return gf.optimizers.gradient_descent(quartic(a, b), lr=lr)


def flow(a, b):
    return gf.GradientFlow(quartic(a, b))


class Quartic(gf.Energy):
    """The same by a class: single runs of all of them are one program."""

    a: jax.Array
    b: jax.Array

    def value(self, x):
        return jnp.sum(self.a * x**4 / 4 + self.b * x**2 / 2)


def single_run(a, b, lr, x0):
    return gf.iterate(gf.optimizers.gradient_descent(Quartic(a, b), lr=lr), [x0], steps=400)


def told(status):
    return str(status.outcome), -1 if status.step is None else status.step, status.first_not_finite


def lane(s, i):
    first = int(s.first_not_finite[i])
    return str(s.outcome[i]), int(s.step[i]), None if first < 0 else first


@pytest.fixture(scope="module")
def mixed():
    return gf.sweep(descent, [0.7], over={"a": A, "b": B, "lr": LR}, zipped=True, steps=400)


def test_every_lane_of_a_mixed_batch_ends_as_its_own_run(mixed):
    runs = [single_run(*case, 0.7) for case in CASES]
    assert [lane(mixed, i) for i in range(len(CASES))] == [told(run.status) for run in runs]
    outcomes = {"converged", "reached the end", "diverged", "cycling", "running off", "precision floor"}
    assert set(mixed.outcome) == outcomes
    for i, run in enumerate(runs):
        np.testing.assert_allclose(mixed.x[i], run.x[-1], rtol=1e-12)
        np.testing.assert_allclose(mixed.energy[i], run.energy[-1], rtol=1e-10)
    assert mixed.energy[0] < 1e-30 < mixed.energy[1]


def test_what_is_lost_after_a_while_of_chaos_began_where_its_own_run_says():
    """x' = (1 + h)x − hx³ beyond h = 2: E goes above its start and below it many times before x escapes."""
    lrs = 2 + np.array([3291, 498, 198, 165, 161, 139, 101, 109, 142, 107, 115]) * 1e-5
    s = gf.sweep(descent, [0.3], over={"a": np.ones(11), "b": -np.ones(11), "lr": lrs}, zipped=True, steps=400)
    runs = [single_run(1.0, -1.0, lr, 0.3) for lr in lrs]
    lost = [run.status.first_not_finite < 40 for run in runs]
    # What stays for long enough is another run by its rounding.
    assert [lane(s, i) for i in np.flatnonzero(lost)] == [told(runs[i].status) for i in np.flatnonzero(lost)]
    assert len({run.status.step for run, is_lost in zip(runs, lost, strict=True) if is_lost}) >= 4


def test_an_energy_that_may_fail_on_the_way_is_looked_at_at_every_step():
    """Over the wall of a logarithm and back: finite at the end, but not on the way."""
    E = gf.energy(lambda x: jnp.sum(x**2 / 2 - 1e-3 * jnp.log(0.5 + x)))
    make = lambda lr: gf.optimizers.momentum(E, lr=lr, beta=0.9)
    lrs = np.array([0.01, 0.5, 0.9, 1.5])
    s = gf.sweep(make, [1.0], over={"lr": lrs}, steps=60)
    runs = [gf.iterate(make(lr), [1.0], steps=60) for lr in lrs]
    assert [lane(s, i) for i in range(4)] == [told(run.status) for run in runs]
    assert any(run.status == "diverged" and np.isfinite(run.energy[-1]) for run in runs)


def test_starts_may_be_numbers():
    """Gradient descent of ¼x⁴ − ½x² with h = 0.1 keeps the sign of its start."""
    E = gf.energy(lambda x: x**4 / 4 - x**2 / 2)
    s = gf.sweep(lambda: gf.optimizers.gradient_descent(E, lr=0.1), over={"x0": np.linspace(-2, 2, 8)}, steps=300)
    np.testing.assert_allclose(s.x, np.sign(np.linspace(-2, 2, 8)), atol=1e-9)


@thorough
def test_momentum_without_momentum_is_gradient_descent():
    E = gf.landscapes.bowl()
    make = lambda lr, beta: gf.optimizers.momentum(E, lr=lr, beta=beta)
    s = gf.sweep(make, [3.0, 1.0], over={"lr": [0.05, 0.3], "beta": [0.0, 0.5]}, steps=50)
    assert s.x.shape == (2, 2, 2)
    for i, lr in enumerate([0.05, 0.3]):
        for j, beta in enumerate([0.0, 0.5]):
            run = make(lr, beta).iterate([3.0, 1.0], 50)
            assert lane(s, (i, j)) == told(run.status)
            np.testing.assert_allclose(s.x[i, j], run.x[-1], rtol=1e-12)


STARTS = np.array([[0.7], [1e-3], [3.0], [-2.0]])


def test_every_lane_of_a_flow_ends_as_its_own_path():
    a, b = np.array([1e-30, 1.0, 1e-30, -1.0]), np.array([1.0, -1.0, -1.0, -1.0])
    over = {"a": a, "b": b, "x0": STARTS}
    for max_steps, outcomes in [(100_000, {"converged", "running off"}), (25, {"out of steps"})]:
        with np.errstate(all="ignore"):
            s = gf.sweep(flow, over=over, zipped=True, t1=math.inf, max_steps=max_steps)
            paths = [
                gf.integrate(gf.GradientFlow(Quartic(*case)), x0, math.inf, max_steps=max_steps)
                for *case, x0 in zip(a, b, STARTS, strict=True)
            ]
        assert [lane(s, i) for i in range(4)] == [told(path.status) for path in paths]
        assert outcomes <= set(s.outcome)
        for i, path in enumerate(paths):
            if path.status != "running off":
                np.testing.assert_allclose(s.x[i], path.x[-1], rtol=1e-5, atol=1e-12)


def test_lanes_of_unequal_stiffness_have_the_exact_solution():
    lam = np.geomspace(1, 1e4, 21)
    make = lambda lam: gf.GradientFlow(gf.energy(lambda x: lam * jnp.sum(x * x) / 2))
    s = gf.sweep(make, [1.0], over={"lam": lam}, t1=1.0, ts=[0.25, 1.0], record=("x", "energy"))
    np.testing.assert_allclose(s.rows["x"][:, :, 0], np.exp(-lam[:, None] * s.rows["t"]), atol=1e-7)
    np.testing.assert_allclose(s.x[:, 0], np.exp(-lam), atol=1e-7)
    paths = [gf.integrate(gf.GradientFlow(Quartic(1e-30, lam[i])), [1.0], 1.0) for i in (0, 20)]
    assert [lane(s, i) for i in (0, 20)] == [told(path.status) for path in paths]
    data = s.to_xarray()
    assert data["x_history"].dims == ("lam", "time", "x_history_0")
    assert data["time"].values.tolist() == [0.25, 1.0]


def test_other_values_neither_trace_nor_compile_again():
    traced = []

    def energy(x):
        traced.append(None)
        return jnp.sum(x**2) / 2

    def sweep_over(lrs):
        # Made anew at each call: it is the same function all the same.
        return gf.sweep(lambda lr: gf.optimizers.gradient_descent(energy, lr=lr), [1.0], over={"lr": lrs}, steps=40)

    sweep_over(np.linspace(0.1, 1.9, 12))
    before = len(traced)
    again = sweep_over(np.linspace(0.2, 1.8, 11))
    assert len(traced) == before
    np.testing.assert_allclose(again.x[:, 0], (1 - np.linspace(0.2, 1.8, 11)) ** 40, rtol=1e-9)


def test_a_function_that_reads_something_else_by_now_is_another_one():
    scale = 1.0

    def make(lr):
        return gf.optimizers.gradient_descent(gf.energy(lambda x: scale * jnp.sum(x**2) / 2), lr=lr)

    one = gf.sweep(make, [1.0], over={"lr": [0.5]}, steps=1)
    scale = 2.0
    two = gf.sweep(make, [1.0], over={"lr": [0.5]}, steps=1)
    assert [one.x[0, 0], two.x[0, 0]] == [0.5, 0.0]


def test_seeds_are_those_of_single_runs():
    E = gf.landscapes.bowl()
    method = gf.Method(gf.Langevin(E, temperature=0.1), gf.EulerMaruyama(), 0.05)
    s = gf.sweep(lambda: method, [1.0, 0.0], over={"key": [3, 4, 5]}, steps=30)
    for i, seed in enumerate([3, 4, 5]):
        run = method.iterate([1.0, 0.0], 30, key=jax.random.key(seed))
        np.testing.assert_allclose(s.x[i], run.x[-1], rtol=1e-10)
        assert lane(s, i) == told(run.status)


def test_rows_words_and_pytrees_are_kept():
    E = gf.energy(lambda p: p["w"] ** 2 / 2 + p["b"] ** 2)
    made = {"descent": gf.optimizers.gradient_descent, "momentum": gf.optimizers.momentum}
    make = lambda by, lr: made[by](E, lr=lr)
    s = gf.sweep(
        make,
        {"w": 1.0, "b": 2.0},
        over={"by": list(made), "lr": [0.1, 0.2, 0.3]},
        steps=20,
        record="energy",
        save_every=5,
    )
    data = s.to_xarray()
    assert dict(data.sizes) == {"by": 2, "lr": 3, "k": 5}
    assert data["k"].values.tolist() == [0, 5, 10, 15, 20]
    assert (data["steps"] == 20).all()
    run = make("momentum", 0.2).iterate({"w": 1.0, "b": 2.0}, 20, save_every=5)
    chosen = data.sel(by="momentum", lr=0.2)
    np.testing.assert_allclose(chosen["energy_history"], run.energy, rtol=1e-12)
    np.testing.assert_allclose(chosen["x.w"], run.x["w"][-1], rtol=1e-12)
    assert s.table().loc[("momentum", 0.2), "outcome"] == str(run.status.outcome)
    assert s.best["by"] == "momentum" or s.best["by"] == "descent"
    assert "measured" in repr(s)
    assert "6 " in s.tally


def test_an_interrupted_sweep_returns_what_is_done(monkeypatch):
    E = gf.landscapes.bowl()
    original, seen = Task.run, []

    def run(self, start, stop):
        if seen:
            raise KeyboardInterrupt
        seen.append((start, stop))
        return original(self, start, stop)

    monkeypatch.setattr(Task, "run", run)
    monkeypatch.setattr(Task, "lanes_at_once", lambda self: 4)
    s = gf.sweep(lambda lr: gf.optimizers.gradient_descent(E, lr=lr), [3.0, 1.0], over={"lr": [0.1] * 8}, steps=50)
    assert s.done == 4
    assert s.outcome.tolist() == ["reached the end"] * 4 + ["not run"] * 4
    assert np.isnan(s.energy[4:]).all()
    assert "interrupted: 4 of 8" in repr(s)


def test_drawn():
    E = gf.landscapes.bowl()
    make = lambda lr, beta=0.5: gf.optimizers.momentum(E, lr=lr, beta=beta)
    line = gf.sweep(make, [3.0, 1.0], over={"lr": np.geomspace(0.01, 1, 8)}, steps=50).plot()
    assert line.axes[0].get_xlabel() == "lr"
    plane = gf.sweep(make, [3.0, 1.0], over={"lr": np.geomspace(0.01, 1, 8), "beta": [0.2, 0.5]}, steps=50)
    assert [axes.get_xlabel() for axes in plane.plot().axes[:2]] == ["lr", "lr"]
    assert "<table>" in plane._repr_html_()
    # From one that diverged to 1e100 to one that arrived exactly: all of them are seen.
    far = gf.sweep(make, [3.0, 1.0], over={"lr": np.geomspace(0.01, 100, 8)}, steps=50)
    assert np.nanmax(far.energy) > 1e100
    axes = far.plot().axes[0]
    heights = {str(dots.get_label()): np.asarray(dots.get_offsets())[:, 1] for dots in axes.collections}
    assert axes.get_yscale() == "log"
    reached, diverged = heights["reached the end"], heights["diverged, above"]
    assert 1e-30 < reached.min() < reached.max() < diverged.min() < 1e3
    # The line joins numbers only.
    assert np.nanmax(axes.lines[0].get_ydata()) == reached.max()


BOWL = gf.landscapes.bowl()
GD = lambda lr: gf.optimizers.gradient_descent(BOWL, lr=lr)
WRONG = [
    (dict(make=GD, over={"lrs": [0.1]}, steps=5), ValueError, "unknown argument of make 'lrs'; did you mean 'lr'"),
    (dict(make=GD, over={"lr": []}, steps=5), ValueError, r"over\['lr'\] is empty"),
    (dict(make=GD, over={"lr": [0.1, -1.0]}, steps=5), ValueError, "`lr` must be finite and positive, got -1"),
    (dict(make=GD, over={"lr": [0.1, math.nan]}, steps=5), ValueError, "not a number"),
    (dict(make=GD, over={"lr": 0.1}, steps=5), TypeError, r"over\['lr'\] must hold values"),
    (dict(make=GD, over={"lr": [0.1]}), TypeError, "a Method takes `steps`"),
    (dict(make=GD, over={"lr": [0.1]}, t1=1.0, steps=3), TypeError, "leave `t1` out"),
    (
        dict(make=lambda lr: lr, over={"lr": [0.1]}, steps=5),
        TypeError,
        "must return a Method or a Flow, got float",
    ),
    (dict(make=lambda lr: gf.GradientFlow(BOWL), over={"lr": [0.1]}, steps=5), TypeError, "a Flow takes `t1`"),
    (dict(make=lambda lr, beta: None, over={"lr": [0.1]}, steps=5), TypeError, "make takes `beta` too"),
    (
        dict(make=GD, over={"lr": [0.1, 0.2], "x0": [[1.0, 0.0]]}, zipped=True, steps=5),
        ValueError,
        "zipped values must be equally many, got 2 of lr, 1 of x0",
    ),
    (dict(make=GD, over={"lr": [0.1]}, steps=5, zipped="beta"), ValueError, "`zipped`: unknown name 'beta'"),
    (dict(make=GD, over={"lr": [0.1]}, steps=5, record="speed"), ValueError, "`record`: unknown row 'speed'"),
    (dict(make=GD, over={"lr": np.ones(10**6), "x0": np.ones((10**6, 2))}, steps=5), ValueError, "this machine has"),
    (
        dict(make=lambda lr: GD(max(lr, 0.1)), over={"lr": [0.2]}, steps=5),
        TypeError,
        "make asks for the value of a param",
    ),
    (dict(make=GD, over=[0.1], steps=5), TypeError, "`over` must name what to sweep"),
]


@pytest.mark.parametrize(("given", "error", "words"), WRONG)
def test_what_is_wrong_is_told_in_a_line(given, error, words):
    make = given.pop("make")
    with pytest.raises(error, match=words) as raised:
        gf.sweep(make, [3.0, 1.0], **given)
    assert "\n" not in str(raised.value)


def test_what_reads_a_key_is_swept_and_known_again():
    key, numbers = jax.random.key(3), np.arange(2.0)

    def make_of(key, numbers):
        E = gf.energy(lambda x: jnp.sum((x - numbers) ** 2) + 0 * jax.random.normal(key))
        return lambda lr: gf.optimizers.gradient_descent(E, lr=lr)

    found = gf.sweep(make_of(key, numbers), [1.0, 2.0], over={"lr": [0.1, 0.25]}, steps=1)
    np.testing.assert_allclose(found.x, [[0.8, 1.8], [0.5, 1.5]])

    def holding(thing):
        return lambda: thing

    assert Same(holding(key)) == Same(holding(key))
    assert Same(holding(numbers)) == Same(holding(numbers.copy())) != Same(holding(numbers + 1))


# Its code names `exp`, an attribute of jax.numpy, and that is what it is called itself.
exp = gf.energy(lambda x: jnp.sum(jnp.exp(x) - x))


def test_an_energy_that_is_called_like_what_it_reads_of_a_library_is_found_again(tmp_path):
    def make(lr):
        return gf.optimizers.gradient_descent(exp, lr=lr)

    swept = gf.sweep(make, [1.0], over={"lr": [0.2, 0.5]}, steps=200, store=tmp_path / "kept")
    assert swept.outcome.tolist() == ["converged", "converged"]
    assert Same(make) == Same(make)
