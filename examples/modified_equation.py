"""Which flow do the iterates of gradient descent follow, if not the gradient flow?

To order h they follow the gradient flow of E + (h/4)‖∇E‖²; to order h² a flow that is no gradient flow at all. The
terms are read from the running step, exactly; each brings the flow closer to the iterates by one power of h.
"""

import _output
import jax
import jax.numpy as jnp
import numpy as np
import sympy
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)


def main() -> None:
    """Prints the modified equation, and measures how closely each truncation is followed."""
    equation = gf.modified_equation(gf.ForwardEuler(), 4)
    print(equation)
    print(gf.modified_equation(gf.ForwardEuler(), 2).modified_energy)
    y = sympy.Symbol("y")
    print("of y' = y²:", equation.field_of(sympy.Matrix([y**2]), [y])[0])
    print("of a mode:", gf.modified_rate(gf.ForwardEuler()))

    E = gf.energy(lambda x: jnp.sum(x**4) / 4 + x[0] ** 2 / 2 + x[1] ** 2 + x[0] * x[1] / 2)
    flow, scheme, start, t1 = gf.GradientFlow(E), gf.ForwardEuler(), jnp.array([1.0, -0.5]), 0.8
    counts = np.array([4, 8, 16, 32, 64])
    figure = Figure(figsize=(7, 4.8), layout="constrained")
    ax = figure.subplots()
    for p, colour in zip((1, 2, 3, 4), ("black", "#0072B2", "#D55E00", "#009E73"), strict=True):
        errors = []
        for n in counts:
            run = gf.iterate(flow, scheme, start, step=t1 / n, steps=int(n), save_every=int(n))
            path = gf.integrate(gf.ModifiedFlow(flow, scheme, t1 / n, p), start, t1, rtol=1e-12, atol=1e-13)
            errors.append(float(jnp.linalg.norm(run.x[-1] - path.x[-1])))
        slope = np.log2(errors[-2] / errors[-1])
        print(f"terms through h^{p - 1}: distance {errors[0]:.2g} → {errors[-1]:.2g}, slope {slope:.2f}")
        assert abs(slope - p) < 0.1
        ax.loglog(t1 / counts, errors, "o-", ms=4, color=colour, label=f"terms through $h^{p - 1}$: slope {slope:.2f}")
    ax.set(xlabel="step h", ylabel="distance from the iterates", title="Gradient descent follows its modified flow")
    ax.set_xticks(t1 / counts, [f"{h:g}" for h in t1 / counts])
    ax.minorticks_off()
    ax.legend()
    ax.grid(True, which="major", alpha=0.3)
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
