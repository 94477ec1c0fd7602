"""Auxiliary variables: what falls whatever the step, what does not, and where that ends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradientflow as gf

SCHEMES = [
    gf.ScalarAuxiliaryVariable(2.0),
    gf.RelaxedAuxiliaryVariable(2.0, 0.9),
    gf.VectorAuxiliaryVariable(2.0),
]
E = gf.landscapes.himmelblau()
FLOW = gf.GradientFlow(E)


def rows(scheme, h, steps=60, x0=(1.0, -2.0)):
    """x and r after every step."""

    def one(carry, _):
        z, r = carry
        after = scheme.step(FLOW, 0.0, z, h, memory=r)
        return after, after

    z = jnp.asarray(x0)
    start = (z, scheme.init(FLOW, 0.0, z, h))
    _, (xs, rs) = jax.jit(lambda: jax.lax.scan(one, start, None, length=steps))()
    return tuple(np.concatenate([np.asarray(a)[None], b]) for a, b in zip(start, (xs, rs), strict=True))


@pytest.mark.parametrize("h", [1e-3, 0.1, 10.0])
@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
def test_the_modified_energy_falls_whatever_the_step(scheme, h):
    x, r = rows(scheme, h)
    assert (r >= 0).all()
    assert (np.diff(r, axis=0) <= 0).all()
    moved = (np.diff(x, axis=0) ** 2).sum(axis=1) / h
    fallen = -np.diff(r**2, axis=0)
    match scheme:
        case gf.ScalarAuxiliaryVariable():
            # Exactly so much.
            np.testing.assert_allclose(fallen, moved + np.diff(r) ** 2, rtol=1e-9, atol=1e-12)
        case gf.RelaxedAuxiliaryVariable():
            assert (fallen >= 0.1 * moved * (1 - 1e-9)).all()
        case _:
            assert (fallen >= np.diff(x, axis=0) ** 2 / h * (1 - 1e-9)).all()
    np.testing.assert_array_equal(gf.iterate(FLOW, scheme, x[0], step=h, steps=60).x[-1], x[-1])


def test_the_true_energy_rises_and_the_scheme_comes_to_rest_above_the_valleys_floor():
    """On one mode, fifty times the limit of forward Euler: stable, and wrong."""
    flow = gf.GradientFlow(gf.Quadratic([[1.0]]))
    up = gf.iterate(flow, gf.ScalarAuxiliaryVariable(100.0), [3.0], step=10.0, steps=1)
    assert up.energy[1] > 30 * up.energy[0]
    stuck = gf.iterate(flow, gf.ScalarAuxiliaryVariable(1.0), [3.0], step=100.0, steps=200)
    assert stuck.energy[-1] > 0.1
    assert "standing still" in str(stuck.status)
    falling = gf.iterate(flow, gf.DiscreteGradient(), [3.0], step=100.0, steps=200)
    assert (np.diff(falling.energy) < 0).all()


def test_one_variable_a_coordinate_is_of_another_flow():
    """Its limit for short steps is an adaptive flow, solved here as the field that it is."""
    x0, t1 = jnp.array([1.0, -2.0]), 0.05

    def field(z):
        x, r = z[:2], z[2:]
        unit = E.grad(x) / jnp.sqrt(E.value(x) + 2.0)
        return jnp.concatenate([-r * unit, -r * unit**2 / 2])

    root = jnp.sqrt(E.value(x0) + 2.0)
    end = gf.integrate(gf.field(field), jnp.concatenate([x0, jnp.full(2, root)]), t1, rtol=1e-11, atol=1e-12).x[-1]
    errors = [
        float(jnp.abs(gf.iterate(FLOW, SCHEMES[2], x0, step=t1 / n, steps=n).x[-1] - end[:2]).max()) for n in (100, 200)
    ]
    assert 0.9 < np.log2(errors[0] / errors[1]) < 1.1
    assert (end[2:] > jnp.sqrt(E.value(end[:2]) + 2.0)).all()


def test_what_is_wrong_is_told():
    with pytest.raises(ValueError, match=r"E \+ constant must be positive .* give more than -4\.5"):
        gf.iterate(gf.GradientFlow(lambda x: x**2 / 2), gf.ScalarAuxiliaryVariable(-10.0), 3.0, step=0.1, steps=1)
    with pytest.raises(gf.UnansweredQuestionError, match="auxiliary variables are for ẋ = −∇E"):
        gf.iterate(gf.HeavyBallFlow(E), gf.ScalarAuxiliaryVariable(), [1.0, 1.0], step=0.1, steps=1)
    with pytest.raises(ValueError, match="`relaxation` must lie in"):
        gf.RelaxedAuxiliaryVariable(relaxation=1.5)
