"""What can be said of a scheme that you wrote yourself, without another line?

Its stability function, its exact limits, its region in the complex plane, and whether a theorem protects it from
everywhere: all read from the lines that run. Here a Chebyshev scheme, whose step grows with the square of its stages.
"""

import _output
import jax
import sympy

import gradientflow as gf

jax.config.update("jax_enable_x64", True)


class Chebyshev(gf.Discretizer):
    """R(z) = T_s(1 + z/s²): stable to 2s² on the real axis, with s gradients a step."""

    stages: int

    def step(self, flow, t, z, h, **_):
        """The three-term recursion of the Chebyshev polynomials."""
        before, now = z, z + h * flow.drift(t, z) / self.stages**2
        for _ in range(self.stages - 1):
            before, now = now, 2 * now - before + 2 * h * flow.drift(t, now) / self.stages**2
        return now


def main() -> None:
    """Reads R(z), the limits and the region of three and of twenty stages."""
    scheme, z = Chebyshev(3), sympy.Symbol("z")
    R = gf.stability_function(scheme)
    print(f"R(z) = {R}")
    assert sympy.expand(R - sympy.chebyshevt(3, 1 + z / 9)) == 0
    print("stable on the real axis to", gf.stability_intervals(scheme).real, "though |R| = 1 inside")

    flow = gf.GradientFlow(gf.LeastSquares([[4, 1], [1, 3]], [1, 2]))
    for chebyshev in (scheme, Chebyshev(20)):
        found = gf.stability(flow, chebyshev)
        print(f"{chebyshev.stages} stages: h < {found.limit:.6g} ({found.grade}), {found.formula}")
        print(f"    from everywhere: h ≤ {found.global_limit:.6g}, {found.global_reason}")
        below, above = (
            gf.iterate(flow, chebyshev, [4.0, -1.0], step=factor * found.limit, steps=2000) for factor in (0.99, 1.01)
        )
        print(f"    at 0.99 of the limit a run has {below.status}, at 1.01 it has {above.status}")
        assert below.status != "diverged" == above.status
    assert gf.stability_intervals(Chebyshev(20)).real == 800
    _output.save(gf.stability_region(scheme).plot(), __file__)


if __name__ == "__main__":
    main()
