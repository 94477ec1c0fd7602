r"""Functions of a large matrix times a vector, from products with it alone: $\varphi(hA)v$ on a Krylov space.

$\varphi_k(z) = \int_0^1 e^{(1-s)z} s^{k-1}/(k-1)!\,ds$, so that $\varphi_1(z) = (e^z - 1)/z$; what an exponential
integrator is made of.

References:
    Y. Saad, Analysis of some Krylov subspace approximations to the matrix exponential operator, SIAM J. Numer. Anal.
    29, 1992: the exponential of an augmented matrix, and the first term of the error.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl

from ..aliases import StepLength

# What is left of a product is rounding where it is no more than so many times its resolution: the space is complete.
_ROUNDING = 10
# The exponential is found by squaring, as often as large steps ask for.
_MOST_SQUARINGS = 64

Product = Callable[[jax.Array], jax.Array]


class Krylov(NamedTuple):
    """An orthonormal basis of the space of v, Av, A²v, …: zeros from where the space is complete.

    Attributes:
        vectors: in rows, shape (m, n).
        matrix: A on them, shape (m, m).
        beyond: the next vector, shape (n,).
        coupling: how much of A times the last vector lies along it.
        length: ‖v‖.
    """

    vectors: jax.Array
    matrix: jax.Array
    beyond: jax.Array
    coupling: jax.Array
    length: jax.Array


def krylov_basis(product: Product, v: jax.Array, count: int, symmetric: bool = False) -> Krylov:
    """A basis of at most `count` vectors: by three terms where A is symmetric (Lanczos), else by all (Arnoldi).

    Args:
        product: v ↦ Av.
        v: shape (n,).
        count: how many products are taken, n of them at most.
        symmetric: whether A is.
    """
    length, first = _unit(v, jnp.zeros((), v.dtype))
    build = _lanczos if symmetric else _arnoldi
    return build(product, first, min(count, v.size))._replace(length=length)


def phi_times(krylov: Krylov, h: StepLength, order: int) -> tuple[jax.Array, jax.Array]:
    r"""$\varphi_k(hA)v$ for k = `order`, and the first term of the error that it has left.

    Args:
        krylov: a basis from v on.
        h: a number.
        order: k ≥ 1.
    """
    m = len(krylov.matrix)
    # Of [[hH, e₁, 0], [0, 0, I], [0, 0, 0]] the exponential has φ₁, φ₂, … of hH, times e₁, in its last columns.
    augmented = jnp.zeros((m + order + 1,) * 2, krylov.matrix.dtype)
    augmented = augmented.at[:m, :m].set(h * krylov.matrix).at[0, m].set(1)
    augmented = augmented + jnp.diag(jnp.where(jnp.arange(m + order) >= m, 1.0, 0.0).astype(augmented.dtype), 1)
    columns = jsl.expm(augmented, max_squarings=_MOST_SQUARINGS)[:m, m:]
    asked, following = columns[:, order - 1], columns[:, order]
    correction = krylov.length * h * krylov.coupling * following[-1] * krylov.beyond
    return krylov.length * (asked @ krylov.vectors) + correction, correction


def _lanczos(product: Product, first: jax.Array, count: int) -> Krylov:
    def step(carry: tuple[Any, Any, Any], _: Any) -> tuple[tuple[Any, Any, Any], tuple[Any, Any, Any]]:
        before, at, coupling = carry
        image = product(at)
        alpha = image @ at
        beta, after = _unit(image - alpha * at - coupling * before, _norm(image))
        return (at, after, beta), (at, alpha, beta)

    zero = jnp.zeros((), first.dtype)
    (_, beyond, coupling), (vectors, alphas, betas) = jax.lax.scan(
        step, (jnp.zeros_like(first), first, zero), length=count
    )
    matrix = jnp.diag(alphas) + jnp.diag(betas[:-1], 1) + jnp.diag(betas[:-1], -1)
    return Krylov(vectors, matrix, beyond, coupling, zero)


def _arnoldi(product: Product, first: jax.Array, count: int) -> Krylov:
    def step(carry: tuple[Any, Any], i: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        vectors, at = carry
        vectors = jax.lax.dynamic_update_index_in_dim(vectors, at, i, 0)
        image = product(at)
        # Once more: what rounding left along the others.
        along = vectors @ image
        rest = image - along @ vectors
        more = vectors @ rest
        beta, after = _unit(rest - more @ vectors, _norm(image))
        return (vectors, after), (along + more, beta)

    start = jnp.zeros((count, first.size), first.dtype), first
    (vectors, beyond), (along, betas) = jax.lax.scan(step, start, jnp.arange(count))
    return Krylov(vectors, along.T + jnp.diag(betas[:-1], -1), beyond, betas[-1], jnp.zeros((), first.dtype))


def _norm(v: jax.Array) -> jax.Array:
    """The Euclidean norm, whose derivative at 0 is 0."""
    square = v @ v
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)


def _unit(v: jax.Array, scale: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A vector's norm and direction; 0 and zeros where it is only rounding beside a scale."""
    norm = _norm(v)
    known = norm > _ROUNDING * jnp.finfo(v.dtype).eps * scale
    return jnp.where(known, norm, 0), jnp.where(known, v / jnp.where(known, norm, 1), 0)
