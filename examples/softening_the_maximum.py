"""What does it cost to make a maximum smooth: how does the temperature of a log-sum-exp set the step?

T log Σ exp((aᵢ·x − bᵢ)/T) lies above the largest of its planes by at most T log n, and curves by at most maxᵢ ‖aᵢ‖²/T.
So with ‖x‖²/2 beside it κ is at most 1 + maxᵢ ‖aᵢ‖²/T, and the step limit falls like T: accuracy costs steps.
"""

import _output
import _table
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
N, START, TEMPERATURES = 12, np.array([2.0, 2.0]), np.array([1.0, 0.3, 0.1, 0.03, 0.01])
SLOPES, SHIFTS = np.random.default_rng(4).normal(size=(N, 2)), np.random.default_rng(5).uniform(0, 1, N)
SMOOTH = (SLOPES**2).sum(axis=1).max()


def soft(T):
    """The largest plane and ‖x‖²/2, at a temperature; at 0 the maximum itself."""
    largest = (lambda z: T * jax.nn.logsumexp(z / T)) if T else jnp.max
    return gf.energy(lambda x: largest(SLOPES @ x - SHIFTS) + x @ x / 2)


def main() -> None:
    """Minimizer, curvatures, step limit and steps taken over the temperature."""
    *ends, best = [gf.integrate(gf.GradientFlow(soft(T)), START, np.inf).x[-1] for T in (*TEMPERATURES, 1e-4)]
    hard, taken, limits, curved = soft(0).value, [], [], []
    for T, x in zip(TEMPERATURES, ends, strict=True):
        descent = gf.optimizers.gradient_descent(soft(T), lr=1 / (1 + SMOOTH / T))
        curved.append(gf.curvature(descent.flow.energy, x).eigenvalues)
        limits.append(gf.stability(descent, at=x).lr_limit)
        taken.append(int(np.argmax(descent.iterate(START, 6000).energy < descent.flow.energy.value(x) + 1e-6)))
    worse, curved = np.array([float(hard(x) - hard(best)) for x in ends]), np.array(curved)
    above = max(float(soft(T).value(x) - hard(x)) / (T * np.log(N)) for T in TEMPERATURES for x in (*ends, START))
    _table.settle(
        ("soft − hard, in units of T log n, at most", above, 0 < above <= 1),
        ("its minimizer's loss, in units of T log n", r := float((worse / TEMPERATURES).max() / np.log(N)), r <= 1),
        ("(curvature − 1)·T/max ‖a‖²", r := float(((curved[:, -1] - 1) * TEMPERATURES).max() / SMOOTH), r < 1),
        ("step limits fall by, T by 100", r := limits[0] / limits[-1], 15 < r < 150),
        ("its steps grow by", r := taken[-1] / taken[0], 15 < r < 150),
    )
    left, right = (figure := Figure(figsize=(11, 4.4), layout="constrained")).subplots(1, 2)
    line = np.stack([np.linspace(-2.5, 2.5, 401), np.zeros(401)], axis=1)
    for T in (1.0, 0.3, 0.03, 0):
        left.plot(line[:, 0], jax.vmap(soft(T).value)(line), "-" if T else "k--", label=f"T = {T:g}")
    right.loglog(TEMPERATURES, taken, "o-", color="#009E73", label="steps to 1e−6 of the soft minimum")
    right.loglog(TEMPERATURES, curved[:, -1] / curved[:, 0], "o-", color="#0072B2", label="condition number there")
    right.loglog(TEMPERATURES, limits, "s-", color="#D55E00", label="step limit there")
    right.loglog(TEMPERATURES, worse, "v-", color="#CC79A7", label="its loss against the true minimum")
    left.set(title="The energy along an axis", xlabel="$x_1$", ylim=(-1, 6))
    _ = right.set(xlabel="temperature T"), left.legend(fontsize=8), right.legend(fontsize=8)
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
