"""Which claims of five textbooks and lectures hold? Each is proved, or refuted by a counterexample that runs."""

import textwrap
from fractions import Fraction

import _claims_about_classes
import _claims_about_runs
import _output
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)


def main() -> None:
    """Settles every claim, prints the verdicts, and draws the two that are most believed."""
    claims = [settle() for module in (_claims_about_classes, _claims_about_runs) for settle in module.CLAIMS]
    for claim in claims:
        print(f"{claim.grade:>8}  {claim.name}: {claim.reason}")
        if claim.counterexample:
            print(textwrap.indent(claim.counterexample, " " * 10))
    print(gf.Verification("the claims", tuple(claims)).table()["grade"].value_counts().to_string())

    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    m, steps = Fraction(1, 10), [Fraction(k, 20) for k in range(1, 40)]
    rates = [gf.worst_case_rate(gf.optimizers.gradient_descent(_claims_about_classes.ANY, a), m, 1) for a in steps]
    left.plot(steps, [found.rate for found in rates], color="#0072B2", label="truth, proved at each α")
    left.plot(steps, [1 - 2 * a * m / (1 + a) for a in steps], "--", color="#D55E00", label="claimed: 1 − 2αm/(1 + αL)")
    left.set(xlabel="αL", ylabel="rate ρ a step", title="D, Theorem 5, on F(1/10, 1)")
    left.legend()
    flow, scheme = gf.GradientFlow(gf.Quadratic(np.diag([1.0, 100.0]))), gf.ForwardEuler()
    run = gf.iterate(flow, scheme, [100.0, 1.0], step=_claims_about_runs.Polyak(), steps=40)
    right.semilogy(run.energy, ".-", color="#D55E00", label="E(x_k)")
    right.semilogy(
        np.sum(np.asarray(run.x) ** 2, axis=1) / 2, ".-", color="#009E73", label="‖x_k − x*‖²/2, which does fall"
    )
    right.set(xlabel="step k", title="D, A.8: Polyak's step on a convex quadratic, κ = 100")
    right.legend()
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
