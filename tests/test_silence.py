"""A derivative that says nothing is not measured from: no limit of it is told, and why."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import gradientflow as gf
from gradientflow.flows import inner

from .thorough import part

BOWL = gf.GradientFlow(gf.Quadratic(np.diag([1.0, 3.0, 10.0])))


class Written(gf.Discretizer):
    """A scheme by its formula, which can't be read."""

    formula: object = eqx.field(static=True)

    def step(self, flow, t, z, h, **_):
        return z + h * self.formula(t, z, h, flow.drift(t, z))


class Counting(gf.Discretizer):
    """A scheme that counts its steps, and steps by another factor after so many."""

    start: float = eqx.field(static=True)
    factor: object = eqx.field(static=True)

    def init(self, flow, t, z, h):
        return self.start

    def step(self, flow, t, z, h, *, memory, **_):
        return z + h * self.factor(memory) * flow.drift(t, z), memory + 1


class Restarting(gf.Discretizer):
    """Momentum, where it leads down."""

    def init(self, flow, t, z, h):
        return z

    def step(self, flow, t, z, h, *, memory, **_):
        k = flow.drift(t, z)
        return z + h * k + (z - memory) * (inner(k, z - memory) > 0), z


# Of all of them a limit was measured: 0.2, that of gradient descent, or none.
SILENT = {
    "a clock that steps": (Written(lambda t, z, h, k: (1 + t // 1) * k), "never settles"),
    "a factor like E": (Written(lambda t, z, h, k: k * inner(z, z)), "does not move to first order"),
    "uphill by cubes": (Written(lambda t, z, h, k: -(k**3)), "does not move to first order"),
    "a coordinate left out": (
        Written(lambda t, z, h, k: k * jnp.array([1.0, 1.0, 0.0])),
        "does not move to first order",
    ),
    "a count of integers": (Counting(0, lambda m: jnp.where(m > 5, 30, 1)), "no step is like another"),
    "a count of numbers": (Counting(0.0, lambda m: 1 + m), "no step is like another"),
    "momentum that restarts": (Restarting(), "a kink"),
}


@pytest.mark.parametrize("name", SILENT)
def test_of_a_step_whose_derivative_says_nothing_no_limit_is_measured(name):
    scheme, why = SILENT[name]
    found = gf.stability(BOWL, scheme)
    assert (found.grade, bool(np.isnan(found.limit))) == ("unknown", True)
    assert why in found.step_limit.cause


def test_a_threshold_that_the_clock_passes_late_is_seen():
    """From t = 100 on steps are thirty times as long; a count that changes nothing is none."""
    late = gf.stability(BOWL, Written(lambda t, z, h, k: jnp.where(t > 100, 30, 1) * k))
    assert late.limit == pytest.approx(0.2 / 30, rel=1e-6)
    counted = gf.stability(BOWL, Counting(0, lambda m: jnp.where(m > -1, 2, 1)))
    assert counted.limit == pytest.approx(0.1, rel=1e-6)


# The curvature at the point is 2 or less, or the mean of both; beside it 100.
BRANCHES = {
    "a maximum of two": lambda x: jnp.maximum(x[0] ** 2, 50 * x[0] ** 2) + x[1] ** 2,
    "a case of its own": lambda x: jnp.where(x[0] == 0, 0.0, 50 * x[0] ** 2) + x[1] ** 2,
}


@pytest.mark.parametrize("dtype", part([jnp.float64, jnp.float32]))
@pytest.mark.parametrize("name", BRANCHES)
def test_a_curvature_that_is_only_at_the_point_limits_nothing(name, dtype):
    found = gf.stability(gf.GradientFlow(gf.energy(BRANCHES[name])), gf.ForwardEuler(), at=jnp.zeros(2, dtype))
    assert found.grade == "unknown"
    assert "beside it" in found.step_limit.cause


@pytest.mark.parametrize("dtype", part([jnp.float64, jnp.float32]))
@pytest.mark.parametrize(("power", "grade"), [(3, "unknown"), (4, "measured")])
def test_where_e_falls_along_a_direction_without_curvature_no_step_is_stable(power, grade, dtype):
    """x₀² + x₁³ has no minimizer, x₀² + x₁⁴ has one, and of both the Hessian is diag(2, 0)."""
    E = gf.energy(lambda x: x[0] ** 2 + x[1] ** power)
    found = gf.stability(gf.GradientFlow(E), gf.ForwardEuler(), at=jnp.zeros(2, dtype))
    assert found.grade == grade
    if grade == "measured":
        assert found.limit == pytest.approx(1, rel=1e-5)
    else:
        assert "no minimizer" in found.step_limit.cause


def test_a_hessian_that_is_not_finite_is_said_to_be_so():
    E = gf.energy(lambda x: jnp.sum(jnp.abs(x) ** 1.5))
    with pytest.raises(ValueError, match="stability: the Hessian is not finite at the point") as caught:
        gf.stability(gf.GradientFlow(E), gf.ForwardEuler(), at=[0.0])
    assert len(str(caught.value).splitlines()) == 1


def test_a_sign_along_two_averages_has_no_stable_rate():
    """Lion's β₁ and β₂ are exact numbers where a scheme is read, and the ratio of their logarithms is none."""
    found = gf.stability(gf.optimizers.lion(gf.Quadratic([[1.0]]), lr=0.1))
    assert (found.limit, found.lr_limit, found.grade) == (0, 0, "measured")


def test_where_an_energy_is_flat_there_is_no_kink():
    """A flow that goes to rest at x⁴'s minimum stops beside it, where the curvature is another one."""
    flat = gf.GradientFlow(lambda x: jnp.sum(x**4))
    kinked = gf.GradientFlow(lambda x: jnp.sum(jnp.maximum(x, 0) ** 2))
    beside = jnp.asarray([2.5e-4, 2.5e-4], jnp.float32)
    told = gf.stability(flat, gf.ForwardEuler(), at=beside).reason
    assert "beyond second order" in told
    assert "kink" not in told
    assert "a kink at the point" in gf.stability(kinked, gf.ForwardEuler(), at=0 * beside).reason
