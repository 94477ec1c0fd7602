"""How fast does descent leave a saddle, and does rounding free it from the stable manifold?

Along the unstable direction a flow grows by e^{|λ|t} and iterates by 1 + h|λ| a step, a little less: from a distance δ
it takes ln(1/δ)/|λ|. At a degenerate saddle, the monkey saddle, it takes 1/(3δ): far longer. Rounding frees a start on
the stable manifold only if the manifold is oblique to the coordinates; along an axis the iterates end on the saddle.
"""

import _output
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
H = 0.1


def main() -> None:
    """Measures growth rates at the saddle of the double well, turned and not, and times to leave it."""
    well, monkey, lam = gf.landscapes.double_well(), gf.landscapes.monkey_saddle(), 1.0
    assert np.allclose(jax.hessian(well.value)(np.zeros(2)), np.diag([-lam, 1.0]))
    path = gf.integrate(gf.GradientFlow(well), [1e-6, 1.0], 20.0, ts=np.linspace(0, 20, 201), atol=1e-13)
    run = gf.optimizers.gradient_descent(well, H).iterate([1e-6, 1.0], steps=600)
    rate, growth = np.log(path.x[80, 0] / path.x[0, 0]) / path.t[80], run.x[1:80, 0] / run.x[:79, 0]
    print(f"|λ| = 1: the flow grows at the rate {float(rate):.6f}, the iterates by {float(growth[40]):.6f} a step")
    assert abs(rate - lam) < 1e-5
    assert np.allclose(growth, 1 + H * lam, rtol=1e-6)
    c, s = np.cos(0.5), np.sin(0.5)
    turned = gf.energy(lambda x: well.value(jnp.array([c * x[0] + s * x[1], c * x[1] - s * x[0]])))
    straight = gf.optimizers.gradient_descent(well, H).iterate([0.0, 1.0], steps=600)
    oblique = gf.optimizers.gradient_descent(turned, H).iterate([-s, c], steps=600)
    ends = float(straight.energy[-1]), float(oblique.energy[-1])
    print(f"on the stable manifold, 600 steps: along an axis E = {ends[0]:g}, the saddle's; obliquely {ends[1]:.1e}")
    assert ends[1] < 1e-12 < ends[0] == 0.25
    left, right = (figure := Figure(figsize=(11, 4.6), layout="constrained")).subplots(1, 2)
    left.semilogy(path.t, path.x[:, 0], color="black", label=r"flow: $e^{|λ|t}$")
    left.semilogy(run.t[:200], run.x[:200, 0], color="#0072B2", label="iterates, h = 0.1: $(1 + h|λ|)^k$")
    left.semilogy(oblique.t, np.abs(oblique.x @ np.array([c, s])), color="#D55E00", label="freed by rounding")
    deltas = np.array([0.1, 0.01, 0.001])
    strict, degenerate = np.log((1 - deltas**2) / (3 * deltas**2)) / 2, (1 / deltas - 2) / 3
    for energy, times, sign in ((well, strict, 1), (monkey, degenerate, -1)):
        for delta, time in zip(deltas, times, strict=True):
            end = gf.integrate(gf.GradientFlow(energy), [sign * delta, 0.0], float(time), rtol=1e-9, atol=1e-12).x[-1]
            assert np.allclose(end, [sign / 2, 0], atol=1e-4)
    print(f"from δ = {deltas} to ½: {strict.round(1)} at the strict saddle, {degenerate.round(1)} at the monkey saddle")
    right.loglog(deltas, strict, "o-", color="#0072B2", label="strict saddle: ln(1/δ)/|λ| and a constant")
    right.loglog(deltas, degenerate, "o-", color="#D55E00", label="monkey saddle: 1/(3δ) less 2/3")
    left.set(
        xlabel="time t", ylabel="distance along the unstable direction", title="Growth at the double well's saddle"
    )
    right.set(xlabel="initial distance δ", ylabel="time until ½", title="A degenerate saddle holds far longer")
    left.legend(loc="lower right")
    right.legend()
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
