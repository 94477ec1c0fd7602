"""What does gradient descent do past its limit, where the energy keeps it from running away?

On the double well x⁴/4 − x²/2 a step is the cubic map (1 + h)x − hx³. At h = 1 = 2/λ its minima turn into 2-cycles, at
√5 − 1 those into 4-cycles, and so on to chaos; from h = 2 on iterates escape. The linear limit says where the first one
happens.
"""

import math

import _output
import jax
import numpy as np

import gradientflow as gf

jax.config.update("jax_enable_x64", True)


def main() -> None:
    """Compares the limit with the first doubling, and draws the cascade."""
    well = gf.GradientFlow(gf.energy(lambda x: x**4 / 4 - x**2 / 2, minimizer=1.0))
    limit = gf.stability(well, gf.ForwardEuler()).limit
    found = gf.bifurcation(well, gf.ForwardEuler(), 0.7, np.linspace(0.8, 2.05, 2001))
    print(f"the linear limit is {limit:.6f}; a 2-cycle is seen from {found.first(2):.4f} on")
    print(f"a 4-cycle is seen from {found.first(4):.4f} on; theory says √5 − 1 = {math.sqrt(5) - 1:.4f}")
    chaotic, lost = found.h[found.exponent > 0.1], found.h[found.period == -1]
    print(f"chaos first at {chaotic[0]:.4f}; lost from {lost[0]:.4f} on")
    assert abs(limit - 1) < 1e-9
    assert abs(found.first(2) - 1) < 4e-3
    assert abs(found.first(4) - (math.sqrt(5) - 1)) < 4e-3
    assert 1.28 < chaotic[0] < 1.33
    assert 2 <= lost[0] < 2.002
    _output.save(found.plot(), __file__)


if __name__ == "__main__":
    main()
