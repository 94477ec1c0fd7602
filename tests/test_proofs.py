"""No reading proves what it did not read: recipes that are another thing in one dimension than in many."""

import numpy as np
import pytest

import gradientflow as gf
from gradientflow.flows import inner

E = gf.Quadratic(np.diag([1.0, 10.0, 100.0]))
FLOW = gf.GradientFlow(E)
EULER = gf.ForwardEuler()


class FirstOrder(gf.Flow):
    energy: gf.Energy

    def init(self, x):
        return x

    def position(self, z):
        return z


class OnSphere(FirstOrder):
    """Descent along the sphere: in one dimension there is nowhere to go."""

    def drift(self, t, z):
        f = -self.energy.grad(z)
        return f - inner(f, z) / inner(z, z) * z


class OnSphereInAnotherOrder(FirstOrder):
    def drift(self, t, z):
        f = -self.energy.grad(z)
        return f - inner(f, z) * z / inner(z, z)


class Aligned(gf.ForwardEuler):
    """In one dimension cos² is 1, and the scheme is forward Euler, which it is made from."""

    def step(self, flow, t, z, h, **_):
        f = flow.drift(t, z)
        return z + h * f * (2 - inner(z, f) * inner(z, f) / (inner(z, z) * inner(f, f)))


class GramDeterminant(gf.Discretizer):
    """Without a quotient: ⟨z, z⟩⟨f, f⟩ − ⟨z, f⟩² is 0 in one dimension, and degrees would tell it from nothing."""

    def step(self, flow, t, z, h, **_):
        f = flow.drift(t, z)
        return z + h * f + h * (inner(z, z) * inner(f, f) - inner(z, f) * inner(z, f)) * f


class Elementwise(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        return z + h * flow.drift(t, z) * z / z


class Rooted(gf.Discretizer):
    def step(self, flow, t, z, h, **_):
        f = flow.drift(t, z)
        return z + h * f * ((f * f) ** 0.5 / f)


OF_MANY_DIMENSIONS = [Aligned, GramDeterminant, Elementwise, Rooted]


@pytest.mark.parametrize("scheme", OF_MANY_DIMENSIONS)
def test_every_reading_refuses_products_quotients_and_roots_of_states(scheme):
    method = gf.Method(FLOW, scheme(), 0.01)
    readings = [
        lambda: gf.stability_function(scheme()),
        lambda: gf.order(scheme()),
        lambda: gf.modified_equation(scheme(), 2),
        lambda: gf.worst_case_rate(method, 1, 100),
        lambda: gf.worst_case_bound(method, 2, 1, 100),
    ]
    for reading in readings:
        with pytest.raises(gf.NotExactError, match=r"it multiplies|two states multiplied"):
            reading()
    found = gf.stability(method)
    assert found.global_limit is None
    assert found.grade in ("measured", "unknown")
    (iterates,) = (claim for claim in gf.verify(method) if "iterates" in claim.name)
    assert iterates.grade == "unknown"


@pytest.mark.parametrize("flow", [OnSphere, OnSphereInAnotherOrder])
def test_a_flow_whose_inner_products_cancel_on_one_mode_is_not_read(flow):
    """Its forward Euler run at h = 0.5 grows to 1e27, where one mode stands still."""
    with pytest.raises(gf.NotExactError, match="it multiplies"):
        gf.stability_function(EULER, flow=flow(E))
    with pytest.raises(gf.NotExactError, match="it multiplies"):
        gf.worst_case_rate(flow(E), 1, 100)
    found = gf.verify(flow(E))
    assert [str(claim.grade) for claim in found][-2:] == ["unknown", "unknown"]
    stability = gf.stability(flow(E), EULER)
    assert (stability.grade, stability.is_local) == ("unknown", True)
    assert "not finite" in stability.step_limit.cause


class Spoiled(FirstOrder):
    """A Lyapunov function that is constant in one dimension only."""

    def drift(self, t, z):
        return -self.energy.grad(z)

    def lyapunov(self, t, z):
        g = self.energy.grad(z)
        return self.energy.value(z) + inner(z, z) * inner(g, g) - inner(z, g) * inner(z, g)


def test_a_lyapunov_function_of_products_of_inner_products_is_not_read():
    claim = gf.verify(Spoiled(E)).claims[-1]
    assert claim.grade == "unknown"


def test_newtons_limit_is_still_certified_with_its_formula():
    """Solving with the Hessian is no quotient of states."""
    found = gf.stability(gf.NewtonFlow(E), EULER)
    assert (found.limit, str(found.formula)) == (2, "2 + 2*regularization/lambda")
    assert (found.grade, found.is_local) == ("certified", False)
