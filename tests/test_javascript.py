"""The sixth reading: generated JavaScript computes what Python computes."""

import functools
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import gradientflow as gf
from gradientflow.discretizers.running.checked import iteration_of

from .in_node import Batch, flattened, needs_node
from .thorough import of_any_type

pytestmark = needs_node
ULP = np.finfo(float).eps

# Random compositions: the same recipe is asked of NumPy, which computes, and of JAX, which is translated.
_EXACT_2 = ("add", "subtract", "multiply", "divide", "maximum", "minimum")
_EXACT_1 = ("negative", "abs", "floor", "ceil", "sign", "square")
_CURVED = ("exp", "log1p", "expm1", "sin", "cos", "tanh", "arctan", "cbrt", "sinh", "arcsinh", "log", "sqrt", "tan",
           "cosh", "arcsin", "arctanh", "exp2")  # fmt: skip


def _composed(rng, depth):
    """A random recipe (library, x, y) ↦ number."""
    if depth == 0:
        kind = rng.choice("xyc")
        constant = rng.choice([0.1, -2.5, 1e-3, 7.0, -0.0])
        return {"x": lambda lib, x, y: x, "y": lambda lib, x, y: y, "c": lambda lib, x, y: 0 * x + constant}[kind]
    first = _composed(rng, depth - 1)
    if rng.random() < 0.25:
        name = rng.choice(_EXACT_1)
        return lambda lib, x, y: getattr(lib, name)(first(lib, x, y))
    second, name = _composed(rng, depth - 1), rng.choice((*_EXACT_2, "where"))
    if name == "where":
        return lambda lib, x, y: lib.where(first(lib, x, y) < second(lib, x, y), second(lib, x, y), first(lib, x, y))
    return lambda lib, x, y: getattr(lib, name)(first(lib, x, y), second(lib, x, y))


def _iteration(make, x0, noise=False):
    """Start, step and position as functions of parameters, the last of which is the seed where there is noise."""

    def run(*p):
        method, key = make(*p), {"key": jax.random.key(p[-1])} if noise else {}
        return iteration_of("test", method.flow, method.discretizer, jnp.asarray(x0), step=method.step, **key)

    def start(x, *p):
        method = make(*p)
        return run(*p)[0].start(method.flow.init(x))

    return start, lambda carry, *p: run(*p)[0].one(carry), lambda carry, *p: run(*p)[0].position(carry)


def _of(scheme, landscape, flow=gf.GradientFlow):
    return lambda h: gf.Method(flow(landscape), scheme, h)


BOWL, BEALE, WELLS = gf.landscapes.bowl(), gf.landscapes.beale(), gf.landscapes.double_well()
VALLEY, GAUSSIANS, HIMMELBLAU = gf.landscapes.rosenbrock(), gf.landscapes.gaussians(), gf.landscapes.himmelblau()
EULERS = gf.modified_equation(gf.ForwardEuler(), 3)
PAIRS = {
    "gradient descent in a bowl": (lambda lr: gf.optimizers.gradient_descent(BOWL, lr), (3.0, 1.0), (0.05, 0.2, 0.23)),
    "gradient descent in a valley": (_of(gf.ForwardEuler(), VALLEY), (-1.2, 1.0), (1e-4, 1e-3)),
    "Heun": (_of(gf.RungeKutta("heun"), HIMMELBLAU), (0.0, 0.0), (0.003, 0.01)),
    "rk4": (_of(gf.RungeKutta("rk4"), BEALE), (1.0, 1.0), (0.01, 0.02)),
    "Chebyshev": (_of(gf.RungeKuttaChebyshev(5), VALLEY), (0.5, 1.0), (0.002, 0.01)),
    "momentum": (lambda lr, beta: gf.optimizers.momentum(BOWL, lr, beta), (3.0, 1.0), ((0.05, 0.5), (0.1, 0.9))),
    "momentum in two wells": (
        lambda lr, beta: gf.optimizers.momentum(WELLS, lr, beta), (0.5, 1.0), ((0.05, 0.5), (0.02, 0.7))
    ),
    "nesterov": (lambda lr, beta: gf.optimizers.nesterov(BOWL, lr, beta), (3.0, 1.0), ((0.05, 0.5), (0.1, 0.9))),
    "Nesterov's flow": (_of(gf.NesterovScheme(), BOWL, gf.NesterovFlow), (3.0, 1.0), (0.1, 0.2)),
    "adam": (lambda lr: gf.optimizers.adam(BOWL, lr), (3.0, 1.0), (0.05, 0.3)),
    "rmsprop": (lambda lr: gf.optimizers.rmsprop(BOWL, lr), (3.0, 1.0), (0.01, 0.02)),
    "sign descent": (lambda lr: gf.optimizers.sign_descent(BOWL, lr), (3.1, 1.05), (0.05, 0.1)),
    "backward Euler": (lambda lr: gf.optimizers.proximal_point(VALLEY, lr), (-1.2, 1.0), (0.01, 1.0)),
    "implicit midpoint": (_of(gf.ImplicitMidpoint(), GAUSSIANS), (-0.2, 0.2), (0.1, 0.5)),
    "discrete gradient": (_of(gf.DiscreteGradient(), WELLS), (0.1, 1.0), (0.1, 0.5)),
    "Adams–Bashforth": (_of(gf.AdamsBashforth(2), BOWL), (3.0, 1.0), (0.05, 0.1)),
    "Newton's flow": (_of(gf.ForwardEuler(), BOWL, gf.NewtonFlow), (3.0, 1.0), (0.1, 0.5)),
    "Armijo's search": (lambda h: gf.Method(gf.GradientFlow(BOWL), gf.ForwardEuler(), gf.ArmijoSearch(h)),
                        (3.0, 1.0), (0.5, 1.0)),
    "the exact solution": (
        lambda h: gf.Method(gf.GradientFlow(gf.Quadratic([[2.0, 1.0], [1.0, 3.0]])), gf.ExactSolution(), h),
        (3.0, 1.0), (0.1, 0.5)),
    "kinetic splitting": (
        lambda h: gf.Method(gf.HeavyBallFlow(WELLS, mass=1.0, friction=0.5), gf.MomentumEuler(), h), (0.5, 1.0),
        (0.05, 0.2)),
}  # fmt: skip
NOISY = {
    "Langevin": lambda h, seed: gf.Method(gf.Langevin(WELLS, 0.1), gf.EulerMaruyama(), h),
    "kinetic Langevin": lambda h, seed: gf.Method(gf.KineticLangevin(WELLS, temperature=0.1), gf.BAOAB(), h),
}
_INT32 = np.array([0, 1, -1, 7, -13, 2**31 - 1, -(2**31), 123456789, 65537], dtype=np.int32)
_POINTS = np.random.default_rng(0).normal(size=40) * 3
CONTROL = {
    "while": (lambda x: lax.while_loop(lambda c: c[0] < 100.0, lambda c: (c[0] * 1.5, c[1] + 1), (x, 0)), (1.0, 3.0)),
    "while that swaps": (lambda x: lax.fori_loop(0, 7, lambda _, c: (c[1], c[0] + c[1]), (x, x)), (1.0, 2.5)),
    "scan": (lambda x: lax.scan(lambda c, r: (c * 0.9 + r, c * r), x, jnp.arange(300.0)), (1.0, -2.0)),
    "scan backwards": (
        lambda x: lax.scan(lambda c, r: (c * 0.9 + r, c - r), x, jnp.arange(300.0), reverse=True), (1.0, -2.0)),
    "short scan": (lambda x: lax.scan(lambda c, r: (c + r, [c, r]), x, jnp.arange(3.0)), (1.0, -2.0)),
    "scan in a scan": (
        lambda x: lax.fori_loop(0, 30, lambda i, c: lax.fori_loop(0, i, lambda j, d: d * 0.99 + j, c), x), (1.0, 5.0)),
    "cond": (lambda x: lax.cond(x > 0, lambda x: (jnp.sqrt(x), x), lambda x: (x * x, -x), x), (4.0, -3.0)),
    "branches that agree": (
        lambda x: lax.fori_loop(
            0, 3, lambda i, c: sum(lax.cond(c > x, lambda y: (y, 2.0, c + 1), lambda y: (y, 2.0, c - 1), x)), 1.5 * x
        ) + 2.0 * x, (1.0, -3.0)),
    "switch": (
        lambda x: lax.switch(jnp.int32(x), [lambda x: x, lambda x: 2 * x, lambda x: x / 3], x), (0.0, 1.0, 2.0, 9.0)),
    "branch in a loop": (
        lambda x: lax.while_loop(
            lambda c: c[1] < 40, lambda c: (lax.cond(c[0] > 2, lambda v: v / 2, lambda v: 3 * v + 1, c[0]), c[1] + 1),
            (x, 0)), (1.0, 2.0)),
    "custom derivatives": (jax.grad(lambda x: jax.nn.softplus(x) ** 2 + jax.nn.relu(x)), (1.0, -2.0)),
    "indices known only then": (
        lambda x: jnp.array([5.0, 6.0, 7.0])[jnp.int32(x)] + jnp.zeros(3).at[jnp.int32(x)].set(x)[1], (0.0, 1.0, 2.0)),
    "slices known only then": (
        lambda x: lax.dynamic_update_slice(
            jnp.arange(5.0), lax.dynamic_slice(jnp.arange(5.0), (jnp.int32(x),), (2,)) * 9, (jnp.int32(x) + 1,)),
        (0.0, 2.0, 8.0)),
    "debug print": (lambda x: (jax.debug.print("{x}", x=x), x + 1)[1], (1.0,)),
    "NaN and infinity": (lambda x: [x / 0, -x / 0, 0 * x / 0, x * jnp.inf, -0.0 * x], (1.0, -1.0)),
}  # fmt: skip
_MATRIX = np.array([[1e-3, 2.0, 0.5], [3.0, -1.0, 4.0], [0.0, 1.0, 1.5]])
ALGEBRA = {
    "solve": lambda A, b: jnp.linalg.solve(A, b),
    "inverse": lambda A, b: jnp.linalg.inv(A) @ b,
    "determinant": lambda A, b: jnp.linalg.det(A),
    "cholesky": lambda A, b: jnp.linalg.cholesky(A @ A.T + jnp.eye(3)),
    "eigenvalues": lambda A, b: jnp.linalg.eigvalsh(A + A.T),
    "eigenvectors": lambda A, b: (lambda e: (e[1] * e[0]) @ e[1].T @ b)(jnp.linalg.eigh(A + A.T)),
    "no Cholesky factor": lambda A, b: jnp.isnan(jnp.linalg.cholesky(-A @ A.T)),
}
SHAPES = {
    "einsum": lambda A, b: jnp.einsum("ij,kj,j->ik", A, A, b),
    "cumulative": lambda A, b: (jnp.cumsum(A, 1), jnp.cumprod(b), lax.cummax(A, reverse=True)),
    "extremes": lambda A, b: (jnp.argmax(A, 0), jnp.argmin(A), jnp.max(A, 1), jnp.sort(A, 0), jnp.argsort(b)),
    "moved": lambda A, b: (
        jnp.roll(A, 1, 0),
        A[::-1, 1:],
        jnp.pad(A, 1),
        jnp.tile(b, 2),
        A.T.reshape(-1),
        A[:, [2, 0]],
    ),
    "set": lambda A, b: (A.at[1, :2].add(b[:2]), A.at[jnp.array([0, 2])].set(b), jnp.stack([b, b * 2], 1)),
    "rounded": lambda A, b: (jnp.round(A * 2.5), jnp.int32(A * 7), A > 1, jnp.clip(A, 0, 1), A % 0.7, A // 0.7),
    "powers": lambda A, b: (b**5, b**-3, jnp.abs(b) ** 0.3, jnp.hypot(A, 2), jnp.arctan2(A, 0.5)),
}


def _draws(key):
    folded = jax.random.fold_in(key, 5)
    first, second = jax.random.split(folded)
    return {
        "bits": jax.random.bits(first, (7,), "uint32"),
        "f64": jax.random.uniform(second, (5,)),
        "f32": jax.random.uniform(second, (5,), "float32"),
        "whole": jax.random.randint(first, (9,), -3, 12),
        "keys": jax.random.key_data(jax.random.split(second, (2, 2))),
    }


@functools.cache
def batch():
    """All that this file asks of node."""
    asked = Batch()
    rng = random.Random(20)
    for i in range(60):
        recipe = _composed(rng, 5)
        asked.ask(f"exact {i}", functools.partial(recipe, jnp), *zip(_POINTS[:8], _POINTS[8:16], strict=True))
    for name in _CURVED:
        points = [(x,) for x in (_POINTS / 10 if name.startswith("arc") else _POINTS)]
        asked.ask(name, getattr(jnp, name), *points)
    for dtype in (np.int32, np.uint32):
        numbers = _INT32.astype(dtype)
        asked.ask(f"whole {dtype.__name__}", _whole(jnp), *((a, b) for a in numbers for b in numbers))
    asked.ask(
        "single", _single(jnp), *((np.float32(a), np.float32(b)) for a, b in zip(_POINTS, _POINTS[::-1], strict=True))
    )
    asked.ask("unsigned", _unsigned, *((np.uint64(a), np.uint64(b)) for a in (3, 2**63, 2**64 - 1) for b in (7, 2**40)))
    for name, (fn, points) in CONTROL.items():
        asked.ask(name, fn, *((x,) for x in points))
    for name, fn in {**ALGEBRA, **SHAPES}.items():
        asked.ask(name, fn, (_MATRIX, np.array([1.0, -2.0, 0.5])))
    for seed in (0, 7):
        asked.ask(f"draws {seed}", _draws, (jax.random.key(seed),))
    asked.ask("normal", lambda key: jax.random.normal(key, (200,)), (jax.random.key(3),))
    asked.ask("normal single", lambda key: jax.random.normal(key, (500,), "float32"), (jax.random.key(3),))
    asked.ask(
        "seeded", lambda seed: jax.random.key_data(jax.random.key(seed)), (jnp.asarray(5),), (jnp.asarray(2**40),)
    )
    for name, (make, x0, settings) in PAIRS.items():
        settings = [s if isinstance(s, tuple) else (s,) for s in settings]
        asked.ask_iterates(name, *_iteration(make, x0), jnp.asarray(x0), settings, 200)
    for name, make in NOISY.items():
        settings = [(0.05, jnp.asarray(3)), (0.02, jnp.asarray(11))]
        asked.ask_iterates(name, *_iteration(make, (0.9, 0.1), noise=True), jnp.asarray([0.9, 0.1]), settings, 200)
    asked.ask("Hessian", jax.hessian(BEALE.value), (jnp.array([0.3, 0.7]),), (jnp.array([-1.5, 2.0]),))
    asked.ask("step Jacobian", _step_jacobian, (jnp.array([0.3, 0.7]), 0.05), (jnp.array([-1.5, 2.0]), 0.1))
    asked.ask("modified drift", _modified, (jnp.array([0.3, 0.7]), 0.05), (jnp.array([-1.5, 2.0]), 0.01))
    return asked


def _whole(lib):
    def whole(a, b):
        wraps = [a + b, a - b, a * b, -a, a & b, a | b, a ^ b, ~a, lib.maximum(a, b), lib.minimum(a, b)]
        return [*wraps, a < b, a == b, a << 3, a >> 3, (a * b) * a]

    return whole


def _single(lib):
    def single(a, b):
        return [a + b, a * b, a / b, lib.sqrt(lib.abs(a)), a * a * b - b, lib.maximum(a, b), lib.float32(0.1) * a]

    return single


def _unsigned(a, b):
    return [
        a + b,
        a * b,
        a ^ b,
        a << b % 64,
        a >> 5,
        a > b,
        a.astype(jnp.uint32),
        a.astype(float) * 2.0**-64,
        a // b,
        a % b,
    ]


def _step_jacobian(x, h):
    return jax.jacfwd(lambda z: gf.RungeKutta("rk4").step(gf.GradientFlow(BEALE), 0.0, z, h))(x)


def _modified(x, h):
    return gf.ModifiedFlow(gf.GradientFlow(BEALE), EULERS, h).drift(0.0, x)


def _numbers(thing):
    if isinstance(thing, (list, tuple)):
        for part in thing:
            yield from _numbers(part)
    else:
        yield from np.ravel(thing)


def _close(found, expected, rtol, atol=0.0):
    found, expected = (np.array(list(_numbers(side)), dtype=float) for side in (found, expected))
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize("i", range(60))
def test_what_is_exact_is_exact(i):
    rng = random.Random(20)
    recipe = [_composed(rng, 5) for _ in range(i + 1)][-1]
    with np.errstate(all="ignore"):
        expected = [float(recipe(np, a, b)) for a, b in zip(_POINTS[:8], _POINTS[8:16], strict=True)]
    _close(batch().answer(f"exact {i}"), expected, rtol=1e-15)


@pytest.mark.parametrize("name", _CURVED)
def test_what_is_transcendental_is_right_to_four_units(name):
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(_POINTS / 10 if name.startswith("arc") else _POINTS)
    _close(batch().answer(name), expected, rtol=4 * ULP)


@pytest.mark.parametrize("dtype", [np.int32, np.uint32])
def test_integers_wrap_around(dtype):
    numbers = _INT32.astype(dtype)
    with np.errstate(all="ignore"):
        expected = [[np.asarray(v).item() for v in _whole(np)(a, b)] for a in numbers for b in numbers]
    assert batch().answer(f"whole {dtype.__name__}") == expected


def test_single_precision_rounds_after_every_operation():
    pairs = [(np.float32(a), np.float32(b)) for a, b in zip(_POINTS, _POINTS[::-1], strict=True)]
    assert batch().answer("single") == [[float(v) for v in _single(np)(a, b)] for a, b in pairs]


def test_unsigned_integers_of_64_bits():
    pairs = [(np.uint64(a), np.uint64(b)) for a in (3, 2**63, 2**64 - 1) for b in (7, 2**40)]
    assert batch().answer("unsigned") == [flattened(_unsigned(*map(jnp.asarray, pair))) for pair in pairs]


@pytest.mark.parametrize("name", CONTROL)
def test_control_flow(name):
    fn, points = CONTROL[name]
    for found, x in zip(batch().answer(name), points, strict=True):
        _close(found, flattened(fn(jnp.asarray(x))), rtol=1e-13)


@pytest.mark.parametrize("name", {**ALGEBRA, **SHAPES})
def test_small_matrices(name):
    (found,) = batch().answer(name)
    _close(
        found, flattened({**ALGEBRA, **SHAPES}[name](jnp.asarray(_MATRIX), jnp.array([1.0, -2.0, 0.5]))), 1e-12, 1e-15
    )


@pytest.mark.parametrize("seed", [0, 7])
def test_random_words_are_the_same(seed):
    (found,) = batch().answer(f"draws {seed}")
    assert found == flattened(_draws(jax.random.key(seed)))


def test_keys_are_seeded_alike():
    assert batch().answer("seeded") == [jax.random.key_data(jax.random.key(s)).tolist() for s in (5, 2**40)]


def test_normal_numbers_are_the_same():
    (found,) = batch().answer("normal")
    _close(found, np.asarray(jax.random.normal(jax.random.key(3), (200,))), rtol=1e-13)


def test_normal_numbers_in_single_precision_are_those_of_the_same_words():
    """XLA's own logarithm in single precision is not the nearest: the last digit or two may differ."""
    (found,) = batch().answer("normal single")
    expected = np.asarray(jax.random.normal(jax.random.key(3), (500,), "float32"), float)
    _close(found, expected, rtol=4 * 2.0**-23)
    assert np.mean(np.asarray(found) == expected) > 0.5


@pytest.mark.parametrize("name", PAIRS)
def test_iterates_are_those_of_python(name):
    make, x0, settings = PAIRS[name]
    for found, setting in zip(batch().answer(name), settings, strict=True):
        run = make(*(setting if isinstance(setting, tuple) else (setting,))).iterate(x0, steps=200)
        _close(found, np.asarray(run.x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NOISY)
def test_the_same_noise_for_the_same_seed(name):
    for found, (h, seed) in zip(batch().answer(name), [(0.05, 3), (0.02, 11)], strict=True):
        run = NOISY[name](h, seed).iterate([0.9, 0.1], steps=200, key=jax.random.key(seed))
        _close(found, np.asarray(run.x), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize(
    ("name", "fn", "calls"),
    [
        ("Hessian", jax.hessian(BEALE.value), [([0.3, 0.7],), ([-1.5, 2.0],)]),
        ("step Jacobian", _step_jacobian, [([0.3, 0.7], 0.05), ([-1.5, 2.0], 0.1)]),
        ("modified drift", _modified, [([0.3, 0.7], 0.05), ([-1.5, 2.0], 0.01)]),
    ],
)
def test_derivatives(name, fn, calls):
    for found, (x, *rest) in zip(batch().answer(name), calls, strict=True):
        _close(found, np.ravel(fn(jnp.array(x), *rest)), rtol=1e-13)


@pytest.mark.parametrize(
    ("fn", "named"),
    [
        (lambda x: jnp.linalg.svd(jnp.outer(x, x))[1], "svd"),
        (lambda x: jax.scipy.special.gammaln(x), "lgamma"),
        (lambda x: jnp.fft.fft(x).real, "complex128|fft"),
        (lambda x: jax.pure_callback(np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), x), "pure_callback, which calls"),
        (lambda x: jax.random.normal(jax.random.key(0, impl="rbg"), (2,)) + x, "another kind than Threefry"),
        (lambda x: x.astype(jnp.float16) * 2, "float16"),
        (lambda x: jnp.linalg.inv(jnp.eye(20) + x[0]), r"of shape \(20, 20\)"),
    ],
)
def test_what_is_not_known_is_refused_by_name(fn, named):
    with pytest.raises(TypeError, match=rf"^to_javascript: `fn` uses .*({named}).*, which is not translated; [^\n]*$"):
        gf.to_javascript(fn, jnp.array([1.0, 2.0]))


def test_what_is_not_used_is_neither_refused_nor_written():
    code = gf.to_javascript(lambda x: (jnp.linalg.svd(jnp.outer(x, x)), jnp.exp(x), 3 * x)[2], jnp.zeros(2))
    assert code == "(a)=>{return [3*a[0],3*a[1]]}"


def test_what_is_written_twice_is_computed_once():
    assert gf.to_javascript(lambda x: jnp.exp(x) + 1 / jnp.exp(x), 0.0) == "(a)=>{const b=Math.exp(a);return b+1/b}"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1, ".1"), (-0.0, "-0"), (1e300, "1e300"), (1e-7, "1e-7"), (123.0, "123"), (float("inf"), "Infinity"),
     (float("nan"), "NaN"), (5e-324, "5e-324")],
)  # fmt: skip
def test_numbers_are_written_shortly(value, text):
    assert gf.to_javascript(lambda: jnp.asarray(value)) == f"()=>{{return {text}}}"


def test_schemes_are_short():
    codes = Batch().ask_iterates(
        "rk4", *_iteration(_of(gf.RungeKutta("rk4"), VALLEY), (0.0, 0.0)), jnp.zeros(2), [(0.1,)], 1
    )
    assert len(codes[1]) < 1000


@of_any_type
def test_what_is_no_function_is_told():
    with pytest.raises(TypeError, match="to_javascript: `fn` must be a function of JAX, got float"):
        gf.to_javascript(3.0)
