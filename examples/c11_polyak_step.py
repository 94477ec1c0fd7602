"""Is Polyak's step (E − E*)/‖∇E‖² exact for quadratics, and does it beat the fixed step 1/L?

On ½(x − 3)² it is ½ and halves the distance, x_k = 3(1 − 2⁻ᵏ): never exact. In more dimensions it ranges from 1/(2L)
to 1/(2μ), far beyond 2/L. The distance falls at every step, at worst by √(1 − 3κ/(κ + 1)²), so that it is false that it
keeps up with (κ − 1)/(κ + 1), the best fixed step's. But at κ = 1000 it needs an eighth of the best fixed step's steps,
while E rises at every third one, up to fifty-fold. At κ = 2 the fixed step 1/L wins.
"""

import _output
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)


def main() -> None:
    """Checks the scalar case, the worst step, and races three steps over four condition numbers."""
    scalar = gf.optimizers.gradient_descent(gf.energy(lambda x: (x - 3) ** 2 / 2, minimum=0.0), gf.PolyakStep())
    x = scalar.iterate(0.0, steps=20).x
    assert np.array_equal(x, 3 * (1 - 0.5 ** np.arange(21)))
    print("½(x − 3)² from 0:", x[:6])
    left, right = (figure := Figure(figsize=(11, 4.8), layout="constrained")).subplots(1, 2)
    kappas, needed = (2.0, 10.0, 100.0, 1000.0), []
    for kappa in kappas:
        E = gf.Quadratic(np.diag([1.0, kappa]))
        run = gf.optimizers.gradient_descent(E, gf.PolyakStep()).iterate([np.sqrt(kappa), 1.0], steps=1)
        ratio = np.linalg.norm(run.x[1]) / np.linalg.norm(run.x[0])
        assert abs(ratio**2 - (1 - 3 * kappa / (kappa + 1) ** 2)) < 1e-12 < ratio - (kappa - 1) / (kappa + 1)
        E, row = gf.Quadratic(np.diag(np.geomspace(1, kappa, 20))), []
        rules = {"1/L": 1 / kappa, "2/(μ + L)": 2 / (1 + kappa), "Polyak's step": gf.PolyakStep()}
        for (label, rule), colour in zip(rules.items(), ("C7", "C0", "C1"), strict=True):
            run = gf.optimizers.gradient_descent(E, rule).iterate(np.ones(20), steps=15_000)
            distance = np.linalg.norm(run.x, axis=1)
            row.append(n := int(np.argmax(distance < 1e-6 * distance[0])))
            h, energy, distance = np.diff(run.t)[:n], np.asarray(run.energy)[: n + 1], distance[: n + 1]
            assert np.all(np.diff(distance) < 0)
            if kappa == 100:
                left.semilogy(energy, color=colour, lw=1, label=f"{label}, energy")
                left.semilogy(distance**2 / 2, "--", color=colour, lw=1.5, label=f"{label}, ½‖x − x*‖²")
        assert 0.5 / kappa <= h.min() < h.max() <= 0.5
        needed.append(row)
        growth = energy[1:] / energy[:-1]
        print(f"κ = {kappa:g}: {row} steps; Polyak's {h.min() * kappa:.2f}/L to {h.max():.2f}/μ; "
              f"E rises {np.sum(growth > 1)} times, by ×{growth.max():.3g} at most")  # fmt: skip
    assert needed[0][2] > needed[0][0]
    assert needed[3][2] < min(needed[3][1] / 7, needed[3][0] / 14, np.sum(growth > 1) / 0.3)
    for label, steps, colour in zip(rules, np.transpose(needed), ("C7", "C0", "C1"), strict=True):
        right.loglog(kappas, steps, "o-", color=colour, label=label)
        right.legend()
    left.set(xlabel="step k", title="κ = 100: the distance falls, the energy need not")
    right.set(xlabel="condition number κ", ylabel="steps to 10⁻⁶", title="The larger κ, the more it gains")
    left.legend(fontsize=9)
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()
