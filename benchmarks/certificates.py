"""How long certificates take, against the same questions put to PEPit in the same process. By hand, on one core:

    OPENBLAS_NUM_THREADS=1 taskset -c 0 python benchmarks/certificates.py

Each line: our least CPU time over several runs, the other's, and their ratio. Ours read the scheme from its code and
check the certificate in exact arithmetic; PEPit is given the steps by hand and returns floats.
"""

import numpy as np
from exact_readings import compare, least
from PEPit import PEP
from PEPit.functions import SmoothConvexFunction, SmoothStronglyConvexFunction

import gradientflow as gf

E = gf.landscapes.bowl()


def five_steps():
    """E(x₅) − E* of gradient descent on convex energies."""
    problem = PEP()
    function = problem.declare_function(SmoothConvexFunction, L=1)
    best, x = function.stationary_point(), problem.set_initial_point()
    problem.set_initial_condition((x - best) ** 2 <= 1)
    for _ in range(5):
        x = x - function.gradient(x)
    problem.set_performance_metric(function(x) - function(best))
    return problem.solve(verbose=0, solver="CLARABEL")


def one_step_of_momentum(lr, beta):
    """‖x₂ − x*‖² after one step from two free points: one cell, without a search for a Lyapunov function."""
    problem = PEP()
    function = problem.declare_function(SmoothStronglyConvexFunction, mu=1, L=10)
    best, before, x = function.stationary_point(), problem.set_initial_point(), problem.set_initial_point()
    problem.set_initial_condition((x - best) ** 2 + (before - best) ** 2 <= 1)
    after = x + beta * (x - before) - lr * function.gradient(x)
    problem.set_performance_metric((after - best) ** 2)
    return problem.solve(verbose=0, solver="CLARABEL")


def main():
    momentum = gf.optimizers.momentum(E, lr=0.1, beta=0.5)
    print(f"a bisected rate of momentum: {least(lambda: gf.worst_case_rate(momentum, 1, 10)) * 1e3:.1f} ms")
    descent = gf.optimizers.gradient_descent(E, lr=1)
    compare("five steps of gradient descent", lambda: gf.worst_case_bound(descent, 5, 0, 1), "PEPit", five_steps, 3)
    lr, beta = np.linspace(0.02, 0.35, 8), np.linspace(0.1, 0.9, 8)
    compare("64 cells of momentum", lambda: gf.convergence_map(gf.optimizers.momentum, 1, 10, lr=lr, beta=beta),
            "PEPit, one step each", lambda: [one_step_of_momentum(a, b) for a in lr for b in beta], 3)  # fmt: skip


if __name__ == "__main__":
    main()
