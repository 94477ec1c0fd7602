"""What a sweep costs, whole call, against what a user would write instead: one process, interleaved.

    taskset -c 0 python benchmarks/sweeps.py

Each row: milliseconds of CPU time of a warm call, least of several, and its ratio to the best peer.
"""

import math
import time

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx

import gradientflow as gf

jax.config.update("jax_enable_x64", True)

ROUNDS = 5


def step_sizes(energy, longest=0.2):
    """10,000 step sizes, 1,000 steps of gradient descent each, in the plane; what is beyond 2/9 diverges."""
    lrs, x0 = np.geomspace(1e-4, longest, 10_000), np.array([3.0, 1.0])

    @jax.jit
    def bare(lrs):
        def run(lr):
            return jax.lax.scan(lambda x, _: (x - lr * energy.grad(x), None), jnp.asarray(x0), None, length=1_000)[0]

        return jax.vmap(run)(lrs)

    def make(lr):
        return gf.optimizers.gradient_descent(energy, lr=lr)

    def ours():
        return gf.sweep(make, x0, over={"lr": lrs}, steps=1_000).x

    return {"ours": ours, "vmap(scan)": lambda: bare(lrs)}, lambda x: x


def starts():
    """10,000 starts of Himmelblau's flow, each to its minimum."""
    E = gf.landscapes.himmelblau()
    x0 = np.random.default_rng(0).uniform(-5, 5, (10_000, 2))
    term = dfx.ODETerm(lambda t, x, _: -jax.vmap(E.grad)(x))
    controller = dfx.PIDController(rtol=1e-6, atol=1e-6)

    @jax.jit
    def one_system(x0):
        return dfx.diffeqsolve(
            term, dfx.Tsit5(), 0.0, 10.0, None, x0, stepsize_controller=controller, max_steps=100_000, throw=False
        ).ys[-1]

    @jax.jit
    def each(x0):
        def solve(x):
            return dfx.diffeqsolve(
                dfx.ODETerm(lambda t, x, _: -E.grad(x)), dfx.Tsit5(), 0.0, 10.0, None, x,
                stepsize_controller=controller, max_steps=100_000, throw=False,
            ).ys[-1]  # fmt: skip

        return jax.vmap(solve)(x0)

    def make():
        return gf.GradientFlow(E)

    minima = jnp.asarray([[3.0, 2.0], [-2.805118, 3.131312], [-3.779310, -3.283186], [3.584428, -1.848126]])

    def basins(x):
        return np.asarray(jnp.argmin(jnp.linalg.norm(x[:, None] - minima, axis=2), axis=1))

    def ours():
        return gf.sweep(make, over={"x0": x0}, t1=math.inf, rtol=1e-6, atol=1e-6).x

    return {"ours": ours, "diffrax, one system": lambda: one_system(x0), "vmap(diffrax)": lambda: each(x0)}, basins


def stiffness():
    """2,000 decays from λ = 1 to 10,000, to t = 1."""
    lam = np.geomspace(1.0, 1e4, 2_000)
    newton = dfx.with_stepsize_controller_tols(optx.Newton)()

    def peer(solver):
        @jax.jit
        def solve(lam):
            def one(lam):
                return dfx.diffeqsolve(
                    dfx.ODETerm(lambda t, x, lam: -lam * x), solver, 0.0, 1.0, None, jnp.ones(1), args=lam,
                    stepsize_controller=dfx.PIDController(rtol=1e-6, atol=1e-6), max_steps=100_000, throw=False,
                ).ys[-1]  # fmt: skip

            return jax.vmap(one)(lam)

        return lambda: solve(lam)

    def make(lam):
        return gf.GradientFlow(gf.energy(lambda x: lam * jnp.sum(x * x) / 2))

    def ours():
        return gf.sweep(make, [1.0], over={"lam": lam}, t1=1.0, rtol=1e-6, atol=1e-6).x

    peers = {"vmap(Kvaerno5)": peer(dfx.Kvaerno5(root_finder=newton)), "vmap(Tsit5)": peer(dfx.Tsit5())}
    return {"ours": ours, **peers}, lambda x: np.round(np.abs(x), 4)


def cpu_seconds(run):
    start = time.process_time()
    jax.block_until_ready(run())
    return time.process_time() - start


def main():
    lam = jnp.array([1.0, 9.0])
    cases = {
        "step sizes, ½Σλx²": step_sizes(gf.energy(lambda x: jnp.sum(lam * x * x) / 2)),
        "step sizes, ½x₀² + 4.5x₁²": step_sizes(gf.energy(lambda x: x[0] ** 2 / 2 + 4.5 * x[1] ** 2)),
        "step sizes, Quadratic": step_sizes(gf.Quadratic(jnp.diag(lam))),
        "step sizes, Quadratic, a third diverges": step_sizes(gf.Quadratic(jnp.diag(lam)), 10.0),
        "Himmelblau's basins": starts(),
        "stiffness": stiffness(),
    }
    for name, (runs, seen) in cases.items():
        first = {label: cpu_seconds(run) for label, run in runs.items()}
        ends = {label: np.asarray(seen(run())) for label, run in runs.items()}
        taken = {label: min(cpu_seconds(run) for _ in range(ROUNDS)) for label, run in runs.items()}
        peer = min(seconds for label, seconds in taken.items() if label != "ours")
        print(name)
        for label, seconds in taken.items():
            other = int((~np.isclose(ends[label], ends["ours"], atol=1e-3)).sum())
            cost = f"{1e3 * seconds:9.1f} ms, {seconds / peer:5.2f} of the best peer, first call {first[label]:5.1f} s"
            print(f"  {label:22} {cost}, {other} ends elsewhere than ours", flush=True)


if __name__ == "__main__":
    main()
