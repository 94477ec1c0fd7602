"""Claims that range over whole classes of energies: settled by certificates, or by an energy of the class."""

from fractions import Fraction

import jax.numpy as jnp
import sympy

import gradientflow as gf

ANY = gf.landscapes.bowl()


class NesterovFlow(gf.Discretizer):
    """Nesterov's scheme with constant momentum, of the gradient flow."""

    beta: object

    def init(self, flow, t, z, h):
        """The last position."""
        return z

    def step(self, flow, t, z, h, *, memory=None, **_):
        """A gradient step from the extrapolated point."""
        y = z + self.beta * (z - memory)
        return y + h * flow.drift(t, y), z


def theorem_5(m: Fraction = Fraction(1, 10), a: Fraction = Fraction(1, 2)) -> gf.Claim:
    """D: ρ = 1 − 2αm/(1 + αL) for every 0 < α < 2/L, here L = 1."""
    claimed, truth = 1 - 2 * a * m / (1 + a), gf.worst_case_rate(gf.optimizers.gradient_descent(ANY, a), m, 1)
    run = gf.optimizers.gradient_descent(gf.Quadratic([[float(m)]]), float(a)).iterate([1.0], steps=50)
    assert truth.check()
    assert float(run.x[-1, 0]) > float(claimed) ** 50
    return gf.Claim(
        "D, Theorem 5", r"\|x_k - x^*\| \le \rho^k\|x_0 - x^*\|,\ \rho = 1 - 2\alpha m/(1+\alpha L)", gf.Grade.REFUTED,
        f"at αL = {a}, m/L = {m}: claimed {claimed}, truly {truth.exact} ({truth.grade})",
        f"E = m·x²/2 from 1: x₅₀ = {float(run.x[-1, 0]):.4f} > ρ⁵⁰ = {float(claimed) ** 50:.4f}",
    )  # fmt: skip


def stability_theorem() -> gf.Claim:
    """D: with α ≤ 2/L no step increases the distance to any stationary point of an L-smooth energy."""

    def closer(run):
        return run.x[0] * run.x[0] - run.x[1] * run.x[1]

    convex = gf.settle(closer, gf.optimizers.gradient_descent(ANY, 2), mu=0, L=1)
    smooth = gf.settle(closer, gf.optimizers.gradient_descent(ANY, 1), mu=-1, L=1)
    assert convex.check()
    run = gf.optimizers.gradient_descent(gf.Quadratic([[-1.0]]), 1.0).iterate([1.0], steps=1)
    return gf.Claim(
        "D, stability", r"\alpha \le 2/L \Rightarrow \|x_{k+1} - x^*\| \le \|x_k - x^*\|", smooth.grade,
        f"on convex energies {convex.grade}; on smooth ones {smooth.grade}",
        f"E = −x²/2, α = 1/L: the distance to the stationary point 0 goes from 1 to {float(run.x[-1, 0]):g}",
    )  # fmt: skip


def a5() -> gf.Claim:
    """D, A.5: at κ = 100 the step 1.99/λ_max is faster than 2/(λ_max + λ_min)."""
    claimed, best = (
        gf.worst_case_rate(gf.optimizers.gradient_descent(ANY, a), 1, 100)
        for a in (Fraction(199, 10_000), Fraction(2, 101))
    )
    assert claimed.exact > best.exact
    return gf.Claim(
        "D, A.5", r"\alpha = 1.99/\lambda_{\max}\text{ is faster}", gf.Grade.REFUTED,
        "near 2/λ_max the mode λ_max hardly shrinks",
        f"rates a step: {claimed.exact} with 1.99/λ_max, {best.exact} with the best, both {best.grade}",
    )  # fmt: skip


def a10() -> gf.Claim:
    """D, A.10: below 2/L every step of an L-smooth energy strictly decreases it, unless the gradient vanishes."""
    a, L, g = sympy.symbols("alpha L g", positive=True)
    assert sympy.expand(g * (-a * g) + L / 2 * (a * g) ** 2 + a * (1 - a * L / 2) * g**2) == 0
    for k in range(1, 8):
        step = Fraction(k, 4)
        fall = step * (1 - step / 2)
        descent = gf.optimizers.gradient_descent(ANY, step)
        found = gf.settle(lambda run, c=fall: run.E[0] - run.E[1] - c * run.g[0] * run.g[0], descent, mu=-1, L=1)
        assert found.grade == "proved"
    words = "E falls by α(1 − αL/2)‖∇E‖²: an identity in α, and certificates at α = 1/4 … 7/4"
    return gf.Claim("D, A.10", r"\alpha < 2/L \Rightarrow E(x_{k+1}) < E(x_k)", gf.Grade.PROVED, words)


def a17() -> gf.Claim:
    """D, A.17: Nesterov's method converges like (1 − 1/√κ)ᵏ."""
    scheme, h = NesterovFlow(Fraction(9, 11)), Fraction(1, 100)
    found = gf.worst_case_rate(gf.Method(gf.GradientFlow(ANY), scheme, h), 1, 100)
    assert found.check()
    assert found.rate**2 <= 0.9
    E = gf.Quadratic(jnp.diag(jnp.array([1.0, 100.0])))
    x = gf.iterate(gf.GradientFlow(E), NesterovFlow(9 / 11), [1.0, 0.0], step=0.01, steps=200).x[:, 0]
    growth = [float(x[k]) / 0.9**k for k in (50, 100, 200)]
    return gf.Claim(
        "D, A.17", r"O((1 - 1/\sqrt\kappa)^k)", gf.Grade.REFUTED,
        f"of E − E* it is true, with {found.rate**2:.4f} a step ({found.grade}, κ = 100); of the distance, which D's "
        "proof is about, it is not: λ = μ is a double root",
        "E = (x² + 100y²)/2 from (1, 0): ‖x_k‖/0.9ᵏ at k = 50, 100, 200 is " + ", ".join(f"{v:.1f}" for v in growth),
    )  # fmt: skip


CLAIMS = (theorem_5, stability_theorem, a5, a10, a17)
