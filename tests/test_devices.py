"""Loops lower for accelerators without a call back to the host. Nothing here ran on an accelerator."""

import jax
import jax.numpy as jnp
import pytest

import gradientflow as gf

from .catalogue import FLOWS, SCHEMES, fits, flow_to_run_on, name_of
from .thorough import part

X0 = jnp.array([0.6, 0.4])
KEY = jax.random.key(0)


def energy(x):
    return jnp.sum(x**4) / 4 + jnp.sum(x**2)


def lowered(function, *arguments):
    """What `jax.export` makes of it for CUDA and TPU; raises where a host callback is in it."""
    exported = jax.export.export(jax.jit(function), platforms=("cuda", "tpu"))(*arguments)
    assert exported.platforms == ("cuda", "tpu")
    return exported.mlir_module()


def iterated(flow, scheme):
    key = KEY if flow.brownian(flow.init(X0)) is not None else None

    def run(x0, h):
        return gf.iterate(flow, scheme, x0, step=h, steps=4, save_every=2, key=key, t0=1.0).energy

    lowered(jax.vmap(run, (0, None)), jnp.stack([X0, X0]), 0.01)


@pytest.mark.parametrize("make", part(FLOWS, 6), ids=lambda make: make.__name__)
def test_iterates_of_every_flow_lower_for_accelerators(make):
    flow = make(gf.energy(energy))
    scheme = next(scheme for scheme in (gf.ForwardEuler(), gf.EulerMaruyama(), *SCHEMES) if fits(flow, scheme, X0))
    iterated(flow, scheme)


@pytest.mark.parametrize("scheme", part(SCHEMES, 6), ids=name_of)
def test_iterates_of_every_scheme_lower_for_accelerators(scheme):
    flow = flow_to_run_on(scheme, gf.energy(energy), X0) or flow_to_run_on(scheme, gf.Quadratic(jnp.eye(2)), X0)
    iterated(flow, scheme)


@pytest.mark.parametrize("solver", ["tsit5", "dopri5"])
def test_solves_lower_for_accelerators(solver):
    flow = gf.HeavyBall(gf.energy(energy))
    lowered(lambda x, t1: gf.integrate(flow, x, t1, solver=solver).x, X0, 1.0)


def test_chains_lower_for_accelerators():
    flow = gf.KineticLangevin(gf.energy(energy))
    lowered(lambda x: gf.sample(flow, gf.BAOAB(), x, step=0.1, draws=2, chains=3, burn_in=1, key=KEY).energy, X0)
