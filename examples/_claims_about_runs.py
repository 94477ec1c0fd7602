"""Claims about single runs and formulas: settled by running them, or by an identity."""

from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import sympy

import gradientflow as gf


class Polyak(gf.StepRule):
    """The step (E − E*)/‖∇E‖², with E* = 0."""

    def __call__(self, flow, discretizer, t, z, rule_state):
        """The step from z."""
        g = flow.energy.grad(z)
        return flow.energy.value(z) / jnp.vdot(g, g), rule_state


class AsPrinted(gf.Flow):
    """ẋ = −E(x), the flow as B prints it, a ∇ missing."""

    energy: gf.Energy

    def init(self, x):
        """The position."""
        return x

    def position(self, z):
        """The state."""
        return z

    def drift(self, t, z):
        """−E(x)."""
        return -self.energy.value(z)


def polyak_is_exact() -> gf.Claim:
    """D: on (x − 3)²/2 from 0, Polyak's step converges in one step, since it is exact for quadratics."""
    E = gf.energy(lambda x: (x - 3.0) ** 2 / 2)
    x = gf.iterate(gf.GradientFlow(E), gf.ForwardEuler(), 0.0, step=Polyak(), steps=4).x
    np.testing.assert_allclose(3 - x, 3 * 0.5 ** np.arange(5))
    shown = ", ".join(f"{float(v):g}" for v in x)
    return gf.Claim(
        "D, Polyak's example", r"x_1 = x^*", gf.Grade.REFUTED, "on λx²/2 the step is 1/(2λ): it halves the distance",
        f"x_k = {shown}",
    )  # fmt: skip


def a3() -> gf.Claim:
    """D, A.3: where the Hessian at the minimum has condition number 1, one step of the best length arrives."""
    E = gf.energy(lambda x: x**2 / 2 + x**4 / 100)
    x1 = float(gf.optimizers.gradient_descent(E, 1.0).iterate(2.0, steps=1).x[-1])
    return gf.Claim(
        "D, A.3", r"\kappa(\nabla^2E(x^*)) = 1 \Rightarrow x_1 = x^*", gf.Grade.REFUTED, "curvature is local",
        f"E = x²/2 + x⁴/100 from 2 with α = 1: x₁ = {x1:.2f}",
    )  # fmt: skip


def a8() -> gf.Claim:
    """D, A.8: Polyak's step never increases E, convex or not; D says that of convex energies it is true."""
    E = gf.Quadratic(jnp.diag(jnp.array([1.0, 100.0])))
    run = gf.iterate(gf.GradientFlow(E), gf.ForwardEuler(), [100.0, 1.0], step=Polyak(), steps=1)
    ratio = float(run.energy[1] / run.energy[0])
    assert abs(ratio - 101**2 / 1600) < 1e-12
    return gf.Claim(
        "D, A.8", r"E(x_{k+1}) \le E(x_k)", gf.Grade.REFUTED, "not even on convex quadratics: by (κ + 1)²/(16κ)",
        f"E = (x² + 100y²)/2 from (100, 1): E rises by the factor {ratio:.4f}",
    )  # fmt: skip


def a19() -> gf.Claim:
    """D, A.19: on a quadratic with eigenvalues in [1, 100] no iterate leaves the level set of x₀, whatever the step."""
    E = gf.Quadratic(jnp.diag(jnp.array([1.0, 100.0])))
    run = gf.optimizers.gradient_descent(E, 0.03).iterate([0.0, 1.0], steps=1)
    return gf.Claim(
        "D, A.19", r"E(x_k) \le E(x_0)", gf.Grade.REFUTED, "true for α ≤ 2/λ_max only",
        f"E = (x² + 100y²)/2 from (0, 1), α = 0.03: E = {float(run.energy[0]):g}, then {float(run.energy[1]):g}",
    )  # fmt: skip


def quartic_line_search() -> gf.Claim:
    """D: on x⁴ from 1 the exact step is 1/4 and arrives; backtracking with c = β = 1/2 halves from 1 until Armijo."""
    a = Fraction(1)
    while (1 - 4 * a) ** 4 > 1 - a / 2 * 16:
        a /= 2
    assert (1 - 4 * Fraction(1, 4)) ** 4 == 0
    words = f"x₁ = 0 with α = 1/4; Armijo's first is α = {a}, since with c = 1/2 it refuses the exact step itself"
    return gf.Claim("D, quartic line search", r"\alpha^* = 1/4", gf.Grade.PROVED, words)


def best_step() -> gf.Claim:
    """A: the best step on ½xᵀHx − xᵀh along the residual r is rᵀr/rᵀHr."""
    M, x, h = (
        sympy.Matrix(*shape, sympy.symbols(name)) for shape, name in (((2, 2), "m:4"), ((2, 1), "x:2"), ((2, 1), "h:2"))
    )
    H, t, a, b = M.T * M, *sympy.symbols("t a b")
    r = h - H * x

    def E(at):
        return ((at.T * H * at) / 2 - at.T * h)[0]

    assert sympy.expand(E(x + t * r) - E(x) + t * (r.T * r)[0] - t**2 / 2 * (r.T * H * r)[0]) == 0
    # With a = rᵀr and b = rᵀHr:
    assert sympy.expand((t**2 * b / 2 - t * a) - (b / 2 * (t - a / b) ** 2 - a**2 / (2 * b))) == 0
    words = "E(x + ηr) = E(x) − a²/(2b) + b(η − a/b)²/2 identically, with a = rᵀr and b = rᵀHr = ‖Mr‖² ≥ 0"
    return gf.Claim("A, best step", r"\eta = r^\top r/r^\top Hr", gf.Grade.PROVED, words)


def flow_as_printed() -> gf.Claim:
    """B: the flow dx/dt = −L(x), as printed."""
    E = gf.energy(lambda x: x**2 / 2)
    path = gf.integrate(AsPrinted(E), -1.0, 1.0)
    assert abs(float(path.x[-1]) + 2) < 1e-6
    return gf.Claim(
        "B, the flow as printed", r"\dot x = -L(x)", gf.Grade.REFUTED, "a ∇ is missing: with it L falls",
        f"L = x²/2 from −1: at time 1, x = {float(path.x[-1]):.3f} and L = {float(path.energy[-1]):.3f}, up from 0.5",
    )  # fmt: skip


def condition_number() -> gf.Claim:
    """C: the condition number is λ_min/λ_max, and a problem well conditioned if it is large."""
    kappa = float(gf.Quadratic(jnp.diag(jnp.array([1.0, 100.0]))).curvature.condition)
    words = f"H = diag(1, 100): the condition number is {kappa:g}, C's is {1 / kappa:g}; well conditioned is near 1"
    return gf.Claim(
        "C, condition number", r"\kappa = \lambda_{\min}/\lambda_{\max}", gf.Grade.REFUTED, "inverted", words
    )


CLAIMS = (polyak_is_exact, a3, a8, a19, quartic_line_search, best_step, flow_as_printed, condition_number)
