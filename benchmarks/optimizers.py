"""What a step of a named optimizer costs, against optax in a scan: one process, interleaved. By hand, on one core:

    taskset -c 0 python benchmarks/optimizers.py

Each line: nanoseconds of CPU time a step, from the difference of two lengths, which leaves out what a call costs once.
"""

import time

import jax
import jax.numpy as jnp
import optax

import gradientflow as gf

jax.config.update("jax_enable_x64", True)

SHORT, LONG, ROUNDS = 100_000, 2_000_000, 5
E = gf.landscapes.rosenbrock()
X0 = jnp.array([-1.2, 1.0])
PAIRS = {
    "gradient descent": (gf.optimizers.gradient_descent(E, 1e-3), optax.sgd(1e-3)),
    "momentum": (gf.optimizers.momentum(E, 1e-4, 0.9), optax.sgd(1e-4, momentum=0.9)),
    "nesterov": (gf.optimizers.nesterov(E, 1e-4, 0.9), optax.sgd(1e-4, momentum=0.9, nesterov=True)),
    "rmsprop": (gf.optimizers.rmsprop(E, 1e-4), optax.rmsprop(1e-4)),
    "adam": (gf.optimizers.adam(E, 1e-3), optax.adam(1e-3)),
}


def loop(transformation, steps):
    """Optax's loop as its users write it, the last iterate only."""

    def step(carry, _):
        x, state = carry
        updates, state = transformation.update(E.grad(x), state, x)
        return (optax.apply_updates(x, updates), state), None

    return jax.jit(lambda x: jax.lax.scan(step, (x, transformation.init(x)), None, length=steps)[0][0])


def cpu_seconds(run):
    start = time.process_time()
    jax.block_until_ready(run())
    return time.process_time() - start


def main():
    for name, (method, transformation) in PAIRS.items():
        runs = []
        for steps in (SHORT, LONG):
            runs.append(lambda m=method, n=steps: m.iterate(X0, n, save_every=n).x)
            theirs = loop(transformation, steps)
            runs.append(lambda theirs=theirs: theirs(X0))
        for run in runs:
            cpu_seconds(run)
        rounds = [[cpu_seconds(run) for run in runs] for _ in range(ROUNDS)]
        short, short_theirs, long, long_theirs = map(min, zip(*rounds, strict=True))
        ours, theirs = (1e9 * t / (LONG - SHORT) for t in (long - short, long_theirs - short_theirs))
        once = 1e3 * (short - SHORT * ours / 1e9)
        print(f"{name:18} ours {ours:5.1f} ns, optax {theirs:5.1f} ns, ratio {ours / theirs:.2f}; a call {once:.0f} ms")


if __name__ == "__main__":
    main()
