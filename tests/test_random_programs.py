"""Random programs of JAX, loops and branches within each other, computed by node as by JAX."""

import functools
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from .in_node import Batch, needs_node
from .thorough import THOROUGH

pytestmark = needs_node
COUNT = 120 if THOROUGH else 20


def _step(rng):
    """A random map of three numbers and one."""
    i, c = rng.randrange(3), rng.choice([0.5, -1.25, 2.0, 0.1])
    return rng.choice([
        lambda x, s: (x * s + c, s),
        lambda x, s: (jnp.roll(x, i), s - x[i]),
        lambda x, s: (jnp.cumsum(x) * 0.3, jnp.max(x)),
        lambda x, s: (jnp.where(x > s, x, c), jnp.sum(x)),
        lambda x, s: (jnp.sort(x), jnp.tanh(s)),
        lambda x, s: (x.at[i].add(s), s * 0.5),
        lambda x, s: (x.at[jnp.int32(jnp.abs(s)) % 3].set(c), s),
        lambda x, s: (jnp.sin(x) + jnp.flip(x), x[jnp.int32(s) % 3]),
        lambda x, s: (jnp.outer(x, x) @ x * 0.01, jnp.dot(x, x) * 0.1),
        lambda x, s: (jnp.clip(x, -2, 2), jnp.round(s * 3) / 3),
        lambda x, s: (x / (1 + jnp.abs(s)), jnp.float64(jnp.argmax(x))),
        lambda x, s: (jnp.float32(x).astype(float) * c, jnp.int32(s).astype(float) + 0.5),
        lambda x, s: (jnp.linalg.solve(jnp.eye(3) * 3 + jnp.outer(x, jnp.tanh(x)) * 0.1, x), s),
        lambda x, s: (jnp.stack([s, x[0], x[2]]), jnp.prod(jnp.tanh(x))),
    ])  # fmt: skip


def _held(part):
    """Within bounds, and 0 where it is next to nothing: XLA takes subnormal numbers for 0, node does not."""
    return jnp.where(jnp.abs(part) < 1e-290, 0.0, jnp.clip(part, -50, 50))


def _program(rng, depth):
    """Steps one after the other, held within bounds; above them loops and branches."""
    if depth == 0:
        steps = [_step(rng) for _ in range(rng.randrange(1, 4))]

        def straight(x, s):
            for step in steps:
                x, s = map(_held, step(x, s))
            return x, s

        return straight
    a, b, n = _program(rng, depth - 1), _program(rng, depth - 1), rng.choice([0, 1, 2, 5, 40])

    def scanned(x, s):
        def body(carry, row):
            return a(carry[0], carry[1] + row), carry[0] * row

        (x, s), rows = lax.scan(body, (x, s), jnp.arange(float(max(n, 1))) * 0.1, reverse=n % 2 == 1)
        return b(jnp.sum(rows, 0) * 0.1 + x, s)

    def while_small(x, s):
        x, s, k = lax.while_loop(
            lambda c: (c[2] < n) & (jnp.sum(c[0] ** 2) < 1e3), lambda c: (*a(c[0], c[1]), c[2] + 1), (x, s, 0)
        )
        return b(x, s + k)

    return rng.choice([
        lambda x, s: lax.fori_loop(0, n, lambda i, c: a(c[0] + 0.01 * i, c[1]), b(x, s)),
        lambda x, s: lax.cond(s > x[0], a, b, x, s),
        lambda x, s: lax.switch(jnp.int32(s) % 3, [a, b, lambda x, s: (x, s)], x, s),
        lambda x, s: b(*a(x, s)),
        scanned,
        while_small,
    ])  # fmt: skip


@functools.cache
def asked():
    """The programs with their arguments, and what node is asked."""
    rng, numbers, batch, programs = random.Random(4), np.random.default_rng(4), Batch(), []
    for i in range(COUNT):
        program = _program(rng, rng.choice([1, 2, 3]))
        calls = [(numbers.normal(size=3) * 2, numbers.normal() * 2) for _ in range(2)]
        batch.ask(str(i), program, *calls)
        programs.append((program, calls))
    return batch, programs


@pytest.mark.parametrize("i", range(COUNT))
def test_a_random_program_computes_what_jax_computes(i):
    batch, programs = asked()
    program, calls = programs[i]
    program = jax.jit(program)
    for (x, s), call in zip(batch.answer(str(i)), calls, strict=True):
        expected_x, expected_s = program(*call)
        np.testing.assert_allclose([*x, float(s)], [*expected_x, expected_s], rtol=1e-6, atol=1e-7)
