"""How long exact readings take, against doing the same by other means in the same process. By hand, on one core:

    taskset -c 0 python benchmarks/exact_readings.py

Each line: our least CPU time over several runs, the other's, and their ratio.
"""

import time

import numpy as np
import sympy

import gradientflow as gf


class Chebyshev(gf.Discretizer):
    stages: int

    def step(self, flow, t, z, h, **_):
        before, now = z, z + h * flow.drift(t, z) / self.stages**2
        for _ in range(self.stages - 1):
            before, now = now, 2 * now - before + 2 * h * flow.drift(t, now) / self.stages**2
        return now


def least(function, repeat=7):
    times = []
    for _ in range(repeat):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def compare(name, ours, other_name, other, repeat=7):
    a, b = least(ours, repeat), least(other, repeat)
    print(f"{name:52} {a * 1e3:9.2f} ms   {other_name}: {b * 1e3:9.2f} ms   ratio {a / b:.3f}")


def expanded(scheme):
    """R(z) by running the recipe on SymPy expressions and expanding: what one would write by hand."""
    z = sympy.Symbol("z")
    return sympy.expand(scheme.step(gf.GradientFlow(gf.Mode(-z)), 0, sympy.Integer(1), 1))


def coefficients_on_grid(x, y):
    z = x[None, :] + 1j * y[:, None]
    return np.abs(np.polyval([1 / 24, 1 / 6, 1 / 2, 1, 1], z))


def eigenvalues_on_grid(lr, beta):
    radius = np.zeros((len(beta), len(lr)))
    for lam in (1.0, 10.0):
        b, eta = beta[:, None] + 0 * lr[None, :], lr[None, :] + 0 * beta[:, None]
        matrix = np.stack([np.stack([1 + b - eta * lam, -b], -1), np.stack([np.ones_like(b), 0 * b], -1)], -2)
        radius = np.maximum(radius, np.abs(np.linalg.eigvals(matrix)).max(-1))
    return radius


def main():
    rk4, chebyshev = gf.RungeKutta("rk4"), Chebyshev(20)
    compare("R(z), RK4", lambda: gf.stability_function(rk4), "SymPy expand", lambda: expanded(rk4))
    compare("R(z), Chebyshev of 20 stages", lambda: gf.stability_function(chebyshev), "SymPy expand",
            lambda: expanded(chebyshev), repeat=3)  # fmt: skip
    x, y = np.linspace(-4, 1, 1000), np.linspace(-4, 4, 1000)
    compare("1000×1000 region, RK4",
            lambda: gf.stability_region(rk4, (-4.0, 1.0), (-4.0, 4.0), points=1000),
            "NumPy polyval", lambda: coefficients_on_grid(x, y))  # fmt: skip
    lr, beta = np.linspace(0.001, 0.4, 600), np.linspace(0.001, 0.999, 600)
    compare("600×600 (lr, β) map of momentum, two modes",
            lambda: gf.stability_map(gf.optimizers.momentum, (1.0, 10.0), lr=lr, beta=beta),
            "NumPy eigvals", lambda: eigenvalues_on_grid(lr, beta))  # fmt: skip
    ours = gf.stability_map(gf.optimizers.momentum, (1.0, 10.0), lr=lr, beta=beta).radius
    print(f"largest difference of the two maps: {np.abs(ours - eigenvalues_on_grid(lr, beta)).max():.1e}")
    matrix = np.random.default_rng(0).normal(size=(30, 30))
    flow = gf.GradientFlow(gf.Quadratic(matrix @ matrix.T))
    found = least(lambda: gf.stability(flow, gf.ForwardEuler()), 3)
    print(f"proved limit on a dense 30×30 quadratic: {found * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
