"""Flows, iterates and a batch on the accelerator that JAX finds, beside the CPU: the same to rounding, and how fast.

Run by `make device-check` on a machine with an accelerator; a few minutes.
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

import gradientflow as gf

jax.config.update("jax_enable_x64", True)


def quadratic(d):
    """A dense quadratic with curvatures from 1 to 100."""
    basis, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(d, d)))
    return gf.Quadratic(basis @ np.diag(np.linspace(1, 100, d)) @ basis.T, np.ones(d))


def flow_to_a_time():
    return gf.integrate(gf.GradientFlow(quadratic(200)), jnp.zeros(200), 1.0).x[-1]


def gradient_descent():
    return gf.optimizers.gradient_descent(quadratic(1_000), lr=0.01).iterate(jnp.zeros(1_000), 2_000, 200).x


def adam():
    energy = gf.energy(lambda x: jnp.sum(jnp.log(jnp.cosh(x - jnp.arange(x.size) / x.size))))
    return gf.optimizers.adam(energy, lr=0.01).iterate(jnp.ones(100_000), 1_000, 500).x


def batch_of_step_sizes():
    flow = gf.GradientFlow(gf.landscapes.rosenbrock())
    steps = jnp.linspace(1e-4, 1e-3, 4_096)
    run = jax.jit(
        jax.vmap(lambda h: gf.iterate(flow, gf.ForwardEuler(), [-1.2, 1.0], step=h, steps=500, save_every=100).x)
    )
    return run(steps)


def chains():
    flow = gf.Langevin(quadratic(50), temperature=1.0)
    return gf.sample(
        flow, gf.LeimkuhlerMatthews(), jnp.zeros(50), step=0.005, draws=5, chains=2_000, thin=50, key=jax.random.key(0)
    ).x


CHECKS = (flow_to_a_time, gradient_descent, adam, batch_of_step_sizes, chains)


def on(device, check):
    """What a check answers on a device, and how long its second call takes [s]."""
    with jax.default_device(device):
        jax.block_until_ready(check())
        start = time.perf_counter()
        answer = jax.block_until_ready(check())
        return np.asarray(answer), time.perf_counter() - start


def main():
    device, cpu = jax.devices()[0], jax.devices("cpu")[0]
    if device.platform == "cpu":
        sys.exit("device-check: JAX finds no accelerator here, so that nothing was checked")
    print(f"{device.device_kind} beside the CPU, jax {jax.__version__}")
    worst = 0.0
    for check in CHECKS:
        (here, slow), (there, fast) = on(cpu, check), on(device, check)
        off = float(np.max(np.abs(here - there)) / np.max(np.abs(here)))
        worst = max(worst, off)
        print(f"{check.__name__:22} off by {off:.1e} of the largest entry, {slow / fast:8.2f} times as fast")
    if not worst < 1e-6:
        sys.exit(f"device-check: an answer differs by {worst:.1e}, more than rounding explains")


if __name__ == "__main__":
    main()
