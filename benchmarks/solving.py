"""What a solve of a gradient flow costs, whole call, against what a user would pick instead: one process, interleaved.

    taskset -c 0 python benchmarks/solving.py

Each row: milliseconds of CPU time of a warm call (least of many), the error at the end against a solve at 1e-12, the
number of steps. `ours` is `gf.integrate` with every step's row, energy and gradient; `solver alone` is its implicit
solver in the peers' own loop, `diffrax.diffeqsolve` keeping the end only.
"""

import time

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
import scipy.integrate

import gradientflow as gf

jax.config.update("jax_enable_x64", True)


def rosenbrock():
    return gf.landscapes.rosenbrock(), np.array([-1.2, 1.0]), 50.0


def logistic():
    draw = np.random.default_rng(0)
    X = draw.normal(size=(569, 30)) * np.geomspace(0.1, 3, 30)
    y = (X @ draw.normal(size=30) + draw.normal(size=569) > 0).astype(int)
    return gf.LogisticRegression(X, y, ridge=1e-3), np.zeros(31), 100.0


def dense_quadratic():
    """A plain callable of 1,000 unknowns, κ = 10⁴: whoever wants to know that it is quadratic must find out."""
    draw = np.random.default_rng(0)
    vectors, _ = np.linalg.qr(draw.normal(size=(1_000, 1_000)))
    H = (vectors * np.geomspace(1e-4, 1.0, 1_000)) @ vectors.T
    H = jnp.asarray((H + H.T) / 2)
    return gf.energy(lambda x: x @ (H @ x) / 2), np.ones(1_000), 1e4


# With how many rounds: those of the last are long.
PROBLEMS = {rosenbrock: 25, logistic: 25, dense_quadratic: 2}


def diffrax_end(E, solver, x0, t1, tol):
    controller = dfx.PIDController(rtol=tol, atol=tol)
    term = dfx.ODETerm(lambda t, x, _: -E.grad(x))

    @jax.jit
    def end(x):
        found = dfx.diffeqsolve(
            term, solver, 0.0, t1, None, x, stepsize_controller=controller, max_steps=100_000, throw=False
        )
        return found.ys[-1], found.stats["num_steps"]

    return lambda: end(x0)


def scipy_end(E, x0, t1, tol):
    gradient = jax.jit(lambda x: E.grad(x))

    def end():
        found = scipy.integrate.solve_ivp(
            lambda t, x: -np.asarray(gradient(x)), (0, t1), x0, method="LSODA", rtol=tol, atol=tol
        )
        return found.y[:, -1], len(found.t) - 1

    return end


def contenders(E, x0, t1, tol):
    """Ours, our solver for small stiff flows alone, and the peers; of a large state those that form no matrix."""
    newton = dfx.with_stepsize_controller_tols(optx.Newton)()
    flow = gf.GradientFlow(E)

    def ours():
        path = gf.integrate(flow, x0, t1, rtol=tol, atol=tol)
        return path.x[-1], path.stats["steps"] + path.stats["rejected"]

    small = {
        "solver alone": diffrax_end(E, gf.solvers.RosenbrockWanner(symmetric=True), x0, t1, tol),
        "diffrax Kvaerno5, full Newton": diffrax_end(E, dfx.Kvaerno5(root_finder=newton), x0, t1, tol),
    }
    return {
        "ours": ours,
        **(small if len(x0) < 1_000 else {}),
        "diffrax Tsit5": diffrax_end(E, dfx.Tsit5(), x0, t1, tol),
        "SciPy LSODA": scipy_end(E, x0, t1, tol),
    }


def cpu_seconds(run):
    start = time.process_time()
    jax.block_until_ready(run())
    return time.process_time() - start


def main():
    for problem, count in PROBLEMS.items():
        E, x0, t1 = problem()
        exact = np.asarray(gf.integrate(gf.GradientFlow(E), x0, t1, rtol=1e-12, atol=1e-13).x[-1])
        for tol in (1e-4, 1e-8):
            runs = contenders(E, x0, t1, tol)
            ends = {name: run() for name, run in runs.items()}
            rounds = [[cpu_seconds(run) for run in runs.values()] for _ in range(count)]
            taken = dict(zip(runs, map(min, zip(*rounds, strict=True)), strict=True))
            peer = min(taken[name] for name in runs if name not in ("ours", "solver alone"))
            print(f"{problem.__name__}, t = {t1:g}, tolerance {tol:g}")
            for name, (end, steps) in ends.items():
                error = np.max(np.abs(np.asarray(end) - exact))
                cost = f"{1e3 * taken[name]:8.2f} ms, {taken[name] / peer:5.2f} of the best peer"
                print(f"  {name:30} {cost}, error {error:.1e}, {int(steps)} steps")


if __name__ == "__main__":
    main()
