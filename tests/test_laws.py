"""Laws of Langevin dynamics at masses, frictions and times far apart; exit times where the density is a needle."""

import itertools

import mpmath
import numpy as np
import pytest

import gradientflow as gf

from .thorough import part, thorough

Q = gf.Quadratic([[1.0]])


def variances(m, friction, t):
    """Of position and velocity at time t from rest, on x²/2 at temperature 1: sums of exponentials, in 80 digits."""
    with mpmath.workdps(80):
        a = mpmath.mpf(friction) / (2 * mpmath.mpf(m))
        s = mpmath.sqrt(a * a - 1 / mpmath.mpf(m))
        rates, c = [-a + s, -a - s], [1 / (2 * s), -1 / (2 * s)]
        d = [c[0] * rates[0], c[1] * rates[1]]

        def integral(p):
            pairs = itertools.product((0, 1), repeat=2)
            return sum(p[i] * p[j] * mpmath.expm1((rates[i] + rates[j]) * t) / (rates[i] + rates[j]) for i, j in pairs)

        strength = 2 * mpmath.mpf(friction) / mpmath.mpf(m) ** 2
        return float(mpmath.re(strength * integral(c))), float(mpmath.re(strength * integral(d)))


@pytest.mark.parametrize("mass", part([1e-12, 1e-8, 1e-4, 1.0, 1e4, 1e8], 3))
@pytest.mark.parametrize("friction", part([1e-8, 1.0, 1e8]))
def test_kinetic_laws_at_all_scales(mass, friction):
    flow = gf.KineticLangevin(Q, mass=mass, friction=friction, temperature=1.0)
    law = gf.stationary_law(flow, [3.0])
    np.testing.assert_allclose(np.diag(law.state_covariance), [1.0, 1 / mass], rtol=1e-13)
    assert abs(law.state_covariance[0, 1]) <= 1e-10 / np.sqrt(mass)
    np.testing.assert_allclose(law.mean, 0, atol=1e-15)
    for t in (0.5, 1e9):
        found = np.diag(gf.gaussian_law(flow, [3.0], t).state_covariance)
        # The position's variance is a difference where friction has let it go a 10⁻⁸ of the way.
        np.testing.assert_allclose(found, variances(mass, friction, t), rtol=1e-7 if friction == 1e8 else 1e-13)


def test_laws_of_several_modes_and_of_flat_ones():
    H, b = np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([1.0, -2.0])
    for flow in (gf.Langevin(gf.Quadratic(H, b), 0.5), gf.KineticLangevin(gf.Quadratic(H, b), 1e-10, 2.0, 0.5)):
        law = gf.stationary_law(flow, [0.0, 0.0])
        np.testing.assert_allclose(law.covariance, 0.5 * np.linalg.inv(H), rtol=1e-12)
        np.testing.assert_allclose(law.mean, np.linalg.solve(H, b), rtol=1e-12)
    for energy in (gf.Quadratic([[0.0]]), gf.Quadratic([[-1.0]])):
        with pytest.raises(ValueError, match="nothing is stationary"):
            gf.stationary_law(gf.KineticLangevin(energy, 1e-8, 1.0), [0.0])
    # A flat mode spreads: 2Tt/γ, but for the time m/γ that it takes to get going.
    spread = gf.gaussian_law(gf.KineticLangevin(gf.Quadratic([[0.0]]), 1e-8, 1.0, 1.0), [0.0], 1e6)
    assert float(spread.covariance[0, 0]) == pytest.approx(2e6, rel=1e-12)


# --- leaving a well -------------------------------------------------------------------------------------------------

WELL = gf.energy(lambda x: (x**2 - 1) ** 2 / 4)


@pytest.mark.parametrize("wall", part([-1e7, -3.0, -4e3], 3))
def test_an_exit_time_does_not_mind_how_far_the_wall_is(wall):
    """By mpmath's quadrature in 30 digits, with the wall at −6, where e^{−E/T} is 10⁻¹³³⁰."""
    expected = 66.26862636491788077
    found = gf.exit_time(WELL, temperature=0.1, start=-1.0, end=1.0, wall=wall)
    assert found.error < 1e-12
    assert found.mean == pytest.approx(expected, rel=1e-12)
    assert found.log_mean == pytest.approx(np.log(expected), rel=1e-14)


def test_an_exit_time_beyond_all_numbers_has_a_logarithm():
    """Kramers: 2π/√(2·1)·e^{1/(4T)}, with a correction of the order of T."""
    T = 2e-4
    found = gf.exit_time(WELL, temperature=T, start=-1.0, end=1.0, wall=-4.0)
    assert found.mean == np.inf
    assert found.log_mean == pytest.approx(0.25 / T + np.log(2 * np.pi / np.sqrt(2)), abs=10 * T)
    assert "e^1251.49" in str(found)
    assert "beyond all numbers" in str(found)


@thorough
def test_from_right_to_left_and_a_well_far_from_the_start():
    there = gf.exit_time(WELL, temperature=0.1, start=-1.0, end=1.0, wall=-5.0)
    back = gf.exit_time(WELL, temperature=0.1, start=1.0, end=-1.0, wall=5.0)
    assert back.mean == pytest.approx(there.mean, rel=1e-13)
    assert back.kramers == pytest.approx(there.kramers, rel=1e-13)
    assert there.kramers == pytest.approx(2 * np.pi / np.sqrt(2) * np.exp(2.5), rel=1e-12)
    # From the far side of the well it takes as long, but for the way down.
    far = gf.exit_time(WELL, temperature=0.1, start=-2.0, end=1.0, wall=-1e4)
    assert there.mean < far.mean < 1.1 * there.mean
    with pytest.raises(ValueError, match=r"from `start` = -100 the way leads down by 2.5e\+08 T .* start in the well"):
        gf.exit_time(WELL, temperature=0.1, start=-100.0, end=1.0, wall=-1e4)


def test_a_quadratic_of_one_coordinate_is_an_energy_of_one_number():
    Q, number = gf.Quadratic([[2.0]], [1.0]), gf.energy(lambda x: x**2 - x)
    one, other = (gf.exit_time(E, temperature=0.5, start=0.0, end=1.5, wall=-5.0).mean for E in (Q, number))
    assert one == pytest.approx(other, rel=1e-13)
    densities = [
        gf.stationary_density(gf.Langevin(E, 0.5), gf.EulerMaruyama(), step=0.1, low=-6.0, high=7.0)
        for E in (Q, number)
    ]
    np.testing.assert_allclose(densities[0].scheme, densities[1].scheme, atol=1e-12)
    with pytest.raises(ValueError, match="the energy must be one of a single number, or of one coordinate"):
        gf.exit_time(gf.landscapes.bowl(), temperature=0.5, start=0.0, end=1.5, wall=-5.0)
