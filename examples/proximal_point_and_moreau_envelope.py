"""What does an evaluation at the next point buy: backward Euler, the proximal point and the Moreau envelope?

x' = x − η∇E(x') needs an equation solved, and is the minimizer of E(y) + ‖y − x‖²/(2η), which asks for no gradient and
so works where there is none. A mode of curvature λ it divides by 1 + ηλ, stable at any step; forward Euler multiplies
it by 1 − ηλ, and explodes past 2/λ. The minimum itself, as a function of x, is the Moreau envelope: smooth, and a
gradient step of length η on it is the proximal step. Of |x| it is Huber's function; the flow through it is δ/e late.
"""

import _output
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)


def main() -> None:
    """Forward against backward Euler; the envelope of |x| and of ReLU; the flow through the envelope."""
    E, x0 = gf.Quadratic(np.diag([1.0, 10.0])), [1.0, 1.0]
    for eta in (0.15, 0.25):
        forward = gf.optimizers.gradient_descent(E, eta).iterate(x0, 20)
        backward = gf.optimizers.proximal_point(E, eta).iterate(x0, 20)
        factors = 1 + eta * np.array([1.0, 10.0])
        assert np.allclose(backward.x, factors ** -np.arange(21.0)[:, None], rtol=1e-12)
        print(f"η = {eta}: forward Euler {forward.status}, E = {forward.energy[-1]:.2g}; "
              f"proximal point {backward.status}, E = {backward.energy[-1]:.2g}")  # fmt: skip
    left, middle, right = (figure := Figure(figsize=(13, 4.2), layout="constrained")).subplots(1, 3)
    absolute, x = gf.penalties.L1(), np.linspace(-2, 2, 401)
    relu = gf.Composite(lambda x: x / 2, gf.penalties.L1(0.5))  # max(0, x)
    left.plot(x, np.abs(x), "k", lw=1, label="|x|")
    middle.plot(x, np.maximum(x, 0), "k", lw=1, label="ReLU")
    for delta in (0.25, 1.0):
        huber = gf.MoreauEnvelope(absolute, delta)
        value, slope = jax.vmap(huber.value)(x), jax.vmap(huber.grad)(x)
        assert np.allclose(value, np.where(np.abs(x) > delta, np.abs(x) - delta / 2, x**2 / (2 * delta)))
        assert np.allclose(x - delta * slope, jax.vmap(lambda x, d=delta: absolute.prox(x, d))(x), atol=1e-15)
        left.plot(x, value, label=f"its envelope, δ = {delta}")
        middle.plot(x, jax.vmap(gf.MoreauEnvelope(relu, delta, mu=0).value)(x), label=f"its envelope, δ = {delta}")
    times = np.linspace(0, 2, 201)
    exact = gf.iterate(gf.GradientFlow(absolute), gf.ExactSolution(), [1.0], step=0.01, steps=200)
    right.plot(exact.t, exact.x, "k", lw=1, label="ẋ ∈ −∂|x|")
    for delta in (0.25, 0.05, 0.01):
        path = gf.integrate(gf.GradientFlow(gf.MoreauEnvelope(absolute, delta)), [1.0], 2.0, ts=times)
        late = np.abs(path.x - exact.x).max()
        assert abs(late - delta / np.e) < 1e-4 * delta
        print(f"δ = {delta}: smoothed, {late:.5f} = δ/e late, at t = {times[np.argmax(path.x - exact.x)]:g}")
        right.plot(times, path.x, label=f"through the envelope, δ = {delta}")
    left.set(xlabel="x", title="Below |x|, with its minimum")
    middle.set(xlabel="x", title="Below ReLU: its slope, softened")
    right.set(xlabel="time t", title="The flow reaches 0 at t = |x₀| and stays")
    for axes in (left, middle, right):
        axes.legend(fontsize=9, loc="upper center" if axes is left else "best")
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
