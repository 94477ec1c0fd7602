"""Oja's flow ẋ = Cx − (xᵀCx)x finds the first principal direction: what is it, and what are its discretizations?

The quotient xᵀCx/xᵀx rises all the way, and the angle to the direction falls at the rate λ₁ − λ₂ in the end. A step of
Euler's scheme of length 1/(xᵀCx) from the sphere is a step of the power iteration exactly; a much longer one is one of
C shifted by xᵀCx, and no longer finds the direction.
"""

import _output
import _table
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)


def main() -> None:
    """Integrates the flow, compares its rate with the spectrum, and its long steps with the power iteration."""
    draws = np.random.default_rng(1)
    Q, lam = np.linalg.qr(draws.normal(size=(6, 6)))[0], np.array([3.0, 2.0, 1.5, 1.0, 0.5, 0.2])
    C, first = Q @ np.diag(lam) @ Q.T, Q[:, 0]
    oja = gf.field(lambda x: C @ x - (x @ (C @ x)) * x)
    start = draws.normal(size=6) / 3
    unit = start / np.linalg.norm(start)
    path = gf.integrate(oja, start, 12.0, ts=np.linspace(0, 12, 121), rtol=1e-10, atol=1e-12)
    x, length, runs = np.asarray(path.x), np.linalg.norm(path.x, axis=1), {}
    quotient = np.einsum("ki,ij,kj->k", x, C, x) / length**2
    angle = np.sqrt(np.maximum(1 - (x @ first / length) ** 2, 0))
    rate = np.log(angle[40] / angle[80]) / 4
    left, right = (figure := Figure(figsize=(12, 4.6), layout="constrained")).subplots(1, 2)
    for h in (0.1, 0.3, 3.0):
        y, found = unit, []
        for _ in range(60):
            found.append(np.linalg.norm(y - (y @ first) * first))
            y = gf.iterate(oja, gf.ForwardEuler(), y, step=h, steps=1).x[-1]
            y = y / np.linalg.norm(y)
        runs[h] = found
        right.semilogy(found, ".-", label=f"Euler, h = {h:g}, back to the sphere")
    step = gf.iterate(oja, gf.ForwardEuler(), unit, step=1 / (unit @ C @ unit), steps=1).x[-1]
    power = np.abs(step - C @ unit / (unit @ C @ unit)).max()
    left.plot(path.t, quotient, label="the quotient xᵀCx / xᵀx, to λ₁ = 3")
    left.plot(path.t, length, label="‖x‖")
    left.legend(title="Oja's flow, over time")
    right.set(xlabel="step k", title="sine of the angle to the first direction")
    right.legend()
    _table.settle(
        ("the quotient never falls", float(np.diff(quotient).min()), np.diff(quotient).min() > -1e-9),
        ("‖x‖ tends to 1", float(length[-1]), abs(length[-1] - 1) < 1e-6),
        ("the angle's rate, to λ₁ − λ₂", float(rate / (lam[0] - lam[1])), abs(rate / (lam[0] - lam[1]) - 1) < 0.05),
        ("a step of 1/(xᵀCx) off the power iteration's", float(power), power < 1e-14),
        ("h = 0.3 is faster than 0.1", float(runs[0.3][40] / runs[0.1][40]), runs[0.3][40] < 0.01 * runs[0.1][40]),
        ("h = 3 does not arrive", float(runs[3.0][-1]), runs[3.0][-1] > 0.1),
    )  # fmt: skip
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
