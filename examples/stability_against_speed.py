"""What does a gradient buy: how far does each explicit scheme get with one on a stiff energy?

A step may be as long as the real stability interval is, and costs a gradient a stage. Of Runge–Kutta schemes that is
two at most, and less for higher orders; Chebyshev's s stages reach 2s², so a gradient reaches 2s. It is paid at stiff
modes: without damping |R| touches 1 inside, with damping they shrink there, for a twentieth of the interval.
"""

import _output
import _table
import jax
import numpy as np
import sympy
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
STIFF, BUDGET, STAGES = 4000.0, 400, (2, 3, 5, 10)


def main() -> None:
    """Intervals, proved; and what the same number of gradients does to a slow mode beside a stiff one."""
    schemes = {"Euler": (gf.ForwardEuler(), 1), "Heun": (gf.RungeKutta("heun"), 2), "RK4": (gf.RungeKutta("rk4"), 4)}
    schemes |= {f"Chebyshev, {s}": (gf.RungeKuttaChebyshev(s), s) for s in STAGES}
    schemes |= {f"of order 2, {s}": (gf.SecondOrderChebyshev(s), s) for s in STAGES[1:]}
    reach = {name: float(gf.stability_intervals(scheme).real) for name, (scheme, _) in schemes.items()}
    flow = gf.GradientFlow(gf.Quadratic([[1.0, 0.0], [0.0, STIFF]]))
    left = {}
    for name, (scheme, s) in schemes.items():
        run = gf.iterate(flow, scheme, [1.0, 1.0], step=0.95 * reach[name] / STIFF, steps=BUDGET // s)
        left[name] = float(run.energy[-1])
    axes = (figure := Figure(figsize=(12, 4.4), layout="constrained")).subplots(1, 2)
    for i, (name, (_, s)) in enumerate(schemes.items()):
        axes[0].plot(s, reach[name], "o", color=("#0072B2", "#D55E00", "#009E73")[(i > 2) + (i > 6)])
        axes[0].annotate(name, (s, reach[name]), (6, -9), textcoords="offset points", fontsize=8)
    axes[0].plot([1, 10], [2, 20], "k:", lw=1, label="2 a gradient: Euler again and again")
    axes[0].set(xscale="log", yscale="log", xlabel="gradients a step", title="The longest step, hλ", xlim=(0.9, 25))
    share, inside, ends = np.linspace(0, 1, 1001), {}, {}
    for damping in (0, 1):
        scheme = gf.RungeKuttaChebyshev(10) if damping else gf.RungeKuttaChebyshev(10, damping=0)
        R = sympy.lambdify(sympy.Symbol("z"), gf.stability_function(scheme))
        ends[damping] = float(gf.stability_intervals(scheme).real)
        values = np.abs(R(-ends[damping] * share))
        inside[damping] = float(values[(share > 0.02) & (share < 0.99)].max())
        axes[1].plot(share * ends[damping], values, ("0.6", "#D55E00")[damping], label=f"damping {scheme.damping}")
    axes[1].set(xlabel="hλ", title="|R|: what a step of 10 stages leaves of a mode", ylim=(0, 1.2))
    _ = axes[0].legend(fontsize=8), axes[1].legend(fontsize=8, loc="upper right", ncols=2)
    _table.settle(
        ("RK4's interval a gradient; Euler's is 2", r := reach["RK4"] / 4, reach["Euler"] == 2 and r < 0.7),
        ("10 stages without damping, exactly 2s²", ends[0], ends[0] == 200),
        ("damped by 1/20 they keep a share of", r := ends[1] / 200, 0.9 < r < 0.97),
        ("stiff modes then shrink to", inside[1], inside[1] < 0.96 and inside[0] > 0.999),
        ("400 gradients: E by Euler / by 10 stages", r := left["Euler"] / left["Chebyshev, 10"], r > 5),
        ("of Runge–Kutta Euler is best", left["Euler"], left["Euler"] < min(left["Heun"], left["RK4"])),
    )
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
