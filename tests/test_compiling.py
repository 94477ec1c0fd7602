"""Programs of the host's: compiled in a moment or for speed, they compute the same, and no XLA is too old for them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradientflow.flows import compiling

OPTIONS = {"xla_cpu_parallel_codegen_split_count": 1}


def test_small_arguments_are_compiled_in_a_moment_and_large_ones_for_speed(monkeypatch):
    monkeypatch.setattr(compiling, "_IN_A_MOMENT", OPTIONS)
    seen = []

    def jit(function, **options):
        def called(*args):
            seen.append(options.get("compiler_options"))
            return function(*args)

        return called

    twice = compiling.compiled(lambda x: 2 * x, jit=jit)
    for size in (3, 4096, 4097):
        np.testing.assert_array_equal(twice(jnp.ones(size)), 2.0)
    assert seen == [OPTIONS, OPTIONS, None]


def test_inside_of_somebodys_trace_it_is_a_program_like_any_other(monkeypatch):
    """JAX refuses compiler options there."""
    monkeypatch.setattr(compiling, "_IN_A_MOMENT", OPTIONS)
    twice = compiling.compiled(lambda x: 2 * x)
    assert float(jax.jit(lambda x: twice(x) + twice(jnp.ones(())))(jnp.asarray(3.0))) == 8.0
    assert float(jax.grad(twice)(3.0)) == 2.0


def test_an_xla_that_does_not_know_the_options_compiles_for_speed(monkeypatch):
    monkeypatch.setattr(compiling, "_IN_A_MOMENT", {"xla_of_another_time": False})
    twice = compiling.compiled(lambda x: 2 * x)
    assert float(twice(jnp.asarray(3.0))) == 6.0


def test_what_equinox_raises_inside_of_a_program_is_told_as_equinox_tells_it(caplog):
    checked = compiling.compiled(lambda x: eqx.error_if(x, x > 2, "x left its house"))
    assert float(checked(jnp.asarray(1.0))) == 1.0
    with pytest.raises(eqx.EquinoxRuntimeError, match="x left its house"):
        checked(jnp.asarray(3.0))
    assert not caplog.records


def test_arguments_of_any_kind_are_taken_apart_and_put_together():
    """Arrays are traced, JAX's and NumPy's; a new value of anything else is another program."""
    traced = []

    def shapes(tree, name, scale=2.0):
        traced.append(name)
        return {"name": name, "scaled": jax.tree.map(lambda leaf: scale * leaf, tree["arrays"]), "rest": tree["rest"]}

    program = compiling.compiled(shapes)
    for value in (1.0, 3.0):
        found = program({"arrays": (np.full(2, value), jnp.asarray(value)), "rest": len}, "a")
        assert (found["name"], found["rest"]) == ("a", len)
        np.testing.assert_array_equal(found["scaled"][0], [2 * value, 2 * value])
        assert float(found["scaled"][1]) == 2 * value
    assert traced == ["a"]
    assert program({"arrays": (), "rest": None}, "b", scale=1.0) == {"name": "b", "scaled": (), "rest": None}
    assert traced == ["a", "b"]


def test_what_fails_for_another_reason_is_not_tried_again():
    calls = []

    def fails(x):
        calls.append(x)
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED")

    with pytest.raises(jax.errors.JaxRuntimeError, match="EXHAUSTED"):
        compiling.compiled(fails)(jnp.ones(2))
    assert len(calls) == 1
