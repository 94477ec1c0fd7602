"""Where does gradient descent stop converging as its step grows, and what happens there?

At 2/L exactly, L being the largest curvature: read from the running code, and proved. Below, every mode shrinks by
|1 − hλ| a step: slowly for short steps, and slowly again near 2/L. There the steepest mode flips its sign for ever, and
beyond it grows without bound.
"""

import _output
import jax
import numpy as np

import gradientflow as gf

jax.config.update("jax_enable_x64", True)

CURVATURES, MU, L = np.linspace(1.0, 10.0, 10), 1.0, 10.0


def main() -> None:
    """Proves the limit, sweeps the step from 0.1/L to 3/L, and looks at the limit itself."""
    flow, start = gf.GradientFlow(gf.Quadratic(np.diag(CURVATURES))), np.ones(10)
    limit = gf.stability(flow, gf.ForwardEuler())
    print(limit)
    assert limit.grade == "proved"
    assert abs(limit.limit - 2 / L) < 1e-15

    sweep = gf.step_sweep(flow, gf.ForwardEuler(), start, steps=200)
    print(sweep)
    assert np.allclose(sweep.predicted, np.maximum(abs(1 - sweep.h * MU), abs(1 - sweep.h * L)), rtol=1e-12)
    best = sweep.h[np.argmin(sweep.predicted)]
    print(f"the fastest step of the sweep is {best * L:.3g}/L, of all steps 2/(μ + L) = {2 * L / (MU + L):.3g}/L")

    for factor in (0.999, 1.001):
        run = gf.iterate(flow, gf.ForwardEuler(), start, step=factor * limit.limit, steps=20_000)
        print(f"20,000 steps of {factor} of the limit: energy {float(run.energy[0]):.3g} → {float(run.energy[-1]):.3g}")
        assert (run.energy[-1] < 1e-9) == (factor < 1)
    _output.save(sweep.plot(), __file__)


if __name__ == "__main__":
    main()
