"""The affine map that a flow with noise, or a scheme's step of it, is on a quadratic energy: read off what runs."""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gradientflow.discretizers import Discretizer, Iteration, check_answers, packed
from gradientflow.flows import Flow, as_floating, compiled, dtype_of, is_stochastic, numbers_to_arrays, prepare


class Affine(NamedTuple):
    """s' = As + c + noise of covariance Q, from s₀; positions are Js + p."""

    matrix: np.ndarray
    constant: np.ndarray
    noise: np.ndarray
    start: np.ndarray
    positions: np.ndarray
    origin: np.ndarray


def read_affine(where: str, flow: Flow, x0: Any, scheme: tuple[Discretizer, Any] | None) -> Affine:
    """The drift, or a scheme's step of a length, as an affine map with additive noise.

    Args:
        where: who asks.
        flow: a flow with noise.
        x0: a start.
        scheme: a scheme and its step; `None` for the flow itself.

    Raises:
        TypeError: for a flow without noise.
        ValueError: where it is not affine, its noise not additive, or neither the same at all times.
    """
    with jax.enable_x64(True):
        flow, z0 = prepare(where, flow, as_floating(x0), None)
        if not is_stochastic(flow, z0):
            raise TypeError(f"{where}: {type(flow).__name__} has no noise, so that nothing has a law")
        if scheme is None:
            parts = _flow_parts(flow, z0)
        else:
            check_answers(flow, scheme[0], z0)
            discretizer = numbers_to_arrays(scheme[0], dtype_of(z0), integers=False)
            parts = _step_parts(flow, discretizer, z0, jnp.asarray(scheme[1], dtype_of(z0)))
        read, elsewhere = (Affine(*(np.asarray(part[i]) for part in parts)) for i in (0, 1))
    for one, other, what in (
        (read.matrix, elsewhere.matrix, "affine"),
        (read.noise, elsewhere.noise, "additive in its noise"),
    ):
        if not np.allclose(one, other, rtol=1e-9, atol=1e-12 * np.abs(one).max()):
            subject = (flow if scheme is None else scheme[0]).name
            raise ValueError(
                f"{where}: {subject} is not {what}, or not the same at all times, on this energy; Gaussian laws are "
                "those of quadratic energies and additive noise. Take draws instead: sample(...)"
            )
    return read


@compiled
def _flow_parts(flow: Flow, z0: Any) -> tuple[Any, ...]:
    """The drift's affine parts, read at the start and elsewhere."""
    flat, unravel = ravel_pytree(z0)
    increment, unravel_noise = ravel_pytree(flow.brownian(z0))

    def drift(t: Any, s: Any) -> Any:
        return ravel_pytree(flow.drift(t, unravel(s)))[0]

    def noise(t: Any, s: Any, w: Any) -> Any:
        return ravel_pytree(flow.diffusion(t, unravel(s))(unravel_noise(w)))[0]

    def position(s: Any) -> Any:
        return ravel_pytree(flow.position(unravel(s)))[0]

    def at(t: Any, s: Any) -> Any:
        A, B = jax.jacfwd(drift, 1)(t, s), jax.jacfwd(noise, 2)(t, s, 0 * increment)
        J = jax.jacfwd(position)(s)
        return A, drift(t, s) - A @ s, B @ B.T, s, J, position(s) - J @ s

    return jax.vmap(at)(*_here_and_elsewhere(flat))


@compiled
def _step_parts(flow: Flow, discretizer: Discretizer, z0: Any, h: Any) -> tuple[Any, ...]:
    """The step's affine parts, read at the start and elsewhere."""
    iteration = Iteration(flow, discretizer, h)
    start = iteration.start(z0)
    moving, fixed = eqx.partition((start.z, start.memory), eqx.is_inexact_array)
    flat, unravel = ravel_pytree(moving)
    parts = discretizer.increments(flow, z0)
    increments, unravel_noise = ravel_pytree((flow.brownian(z0),) * parts)

    def carry(t: Any, s: Any) -> Any:
        z, memory = eqx.combine(unravel(s), fixed)
        return dataclasses.replace(start, z=z, memory=memory, t=t, t0=t)

    def step(t: Any, s: Any, w: Any) -> Any:
        after = iteration.one(carry(t, s), packed(unravel_noise(w)))
        return ravel_pytree(eqx.filter((after.z, after.memory), eqx.is_inexact_array))[0]

    def position(s: Any) -> Any:
        return ravel_pytree(iteration.position(carry(start.t, s)))[0]

    def at(t: Any, s: Any) -> Any:
        still = 0 * increments
        A, B = jax.jacfwd(step, (1, 2))(t, s, still)
        J = jax.jacfwd(position)(s)
        return A, step(t, s, still) - A @ s, B @ B.T * h / parts, s, J, position(s) - J @ s

    return jax.vmap(at)(*_here_and_elsewhere(flat))


def _here_and_elsewhere(flat: Any) -> tuple[Any, Any]:
    """Two times and two states: what is affine, with noise that is additive, on one clock, reads the same at both."""
    return jnp.asarray([0.0, 1.3], flat.dtype), jnp.stack([flat, flat + jnp.sin(1.0 + jnp.arange(flat.size))])
