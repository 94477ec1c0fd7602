"""Chains: many independent runs of a scheme of a flow with noise, drawn from at intervals."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.flows import (
    Flow,
    Number,
    Stats,
    all_finite,
    as_floating,
    check_integer,
    check_key,
    check_positive,
    compiled,
    drawn,
    dtype_of,
    is_stochastic,
    is_transformed,
    l2_norm,
    numbers_to_arrays,
    prepare,
)
from gradientflow.flows.aliases import Position, State, StepLength, Time
from gradientflow.flows.checks import by_name

from ..discretizer import Discretizer, check_answers
from ..iteration import Carry, Draws, Iteration, Seen
from ..oracle import check_oracle, is_random
from .chains import Chains
from .method import Method, as_run

# A chain ran away whose energy rose by so many times what it changes from draw to draw.
_FAR = 1e6
# What a run's key is folded with for its oracles: a number that no step has.
_FOR_MINIBATCHES = 2**31 - 1


@by_name
def sample(
    flow: Flow | Method,
    discretizer: Discretizer | Any = None,
    x0: Position = None,
    *,
    draws: Any,
    step: Any = None,
    key: Any = None,
    chains: Any = None,
    burn_in: Any = 0,
    thin: Any = 1,
    t0: Number = 0.0,
    oracle: Any = None,
    noise_dtype: Any = None,
) -> Chains:
    r"""Independent chains of a scheme of a flow with noise, in one compiled loop; only the draws are kept.

    Args:
        flow: a flow with noise; or a `Method` of one: `sample(method, x0, draws=...)`.
        discretizer: a scheme that takes it.
        x0: where every chain starts, any pytree of arrays; if `chains` is not given, one start a chain along each
            array's leading axis.
        draws: how many draws a chain keeps.
        step: h [T].
        key: a key made by `jax.random.key`; all chains draw from it.
        chains: how many chains.
        burn_in: how many steps to take before the first draw.
        thin: how many steps from draw to draw.
        t0: the time at the start [T].
        oracle: what each step sees of the flow's energy, `Minibatch(32)` say; every chain draws its own.
        noise_dtype: the precision in which normal numbers are drawn, the state's unless given. On a CPU nearly
            all the time goes into them, and single precision takes less than half of it; the state keeps its own.

    Returns:
        The draws. A chain that diverges is a result, told by `finite`.

    Raises:
        TypeError: if the flow has no noise, counts aren't integers or the key isn't one.
        ValueError: for a step that is not positive, or starts that aren't finite.
        UnansweredQuestionError: if the scheme asks the flow what it doesn't answer.

    References:
        G. O. Roberts, R. L. Tweedie, Exponential convergence of Langevin distributions and their discrete
        approximations, Bernoulli 2, 1996, for chains that diverge, too.

    Example:
        >>> import jax, gradientflow as gf
        >>> flow = gf.Langevin(gf.landscapes.bowl(), temperature=1.0)
        >>> chains = gf.sample(
        ...     flow, gf.EulerMaruyama(), [0.0, 0.0], step=0.05, draws=100, chains=8, burn_in=50, key=jax.random.key(0)
        ... )
        >>> chains
        Chains(8 chains of 100 draws by EulerMaruyama, step 0.05)
        >>> mean, error = chains.expectation()
        >>> bool((abs(mean) < 3 * error).all())
        True
    """
    (_, asked, discretizer, step), x0 = as_run("sample", flow, discretizer, step, x0)
    flow, stacked = _starts(asked, x0, chains, t0)
    first = jax.tree.map(lambda leaf: leaf[0], stacked)
    if not is_stochastic(flow, first):
        raise TypeError(f"sample: {type(flow).__name__} has no noise; a single run of it is iterate(...)")
    check_key("sample", flow, key)
    check_integer("sample", 0, burn_in=burn_in)
    check_integer("sample", 1, draws=draws, thin=thin)
    check_positive("sample", step=step)
    check_answers(flow, discretizer, first)
    dtype = dtype_of(first)
    discretizer = numbers_to_arrays(discretizer, dtype, integers=False)
    h, start = numbers_to_arrays((step, t0), dtype)
    noise_dtype = dtype if noise_dtype is None else jnp.dtype(noise_dtype)
    check_oracle("sample", oracle)
    oracle = numbers_to_arrays(oracle, dtype, integers=False)
    if oracle is not None:
        oracle = Seen(oracle, jax.random.fold_in(key, _FOR_MINIBATCHES) if is_random(oracle) else None)
    iteration = Iteration(flow, discretizer, h, oracle, Draws(key, noise_dtype))
    counts = int(burn_in), int(thin)
    if is_transformed():
        x, energy, finite = _draw(iteration, stacked, start, counts[0], counts[1], int(draws))
    else:
        x, energy, finite = _compiled(
            iteration, stacked, start, np.asarray(counts[0]), np.asarray(counts[1]), int(draws)
        )
    taken = int(burn_in) + int(thin) * np.arange(1, int(draws) + 1)
    stats = Stats(
        scheme=discretizer.name,
        step=step if is_transformed() else float(step),
        burn_in=int(burn_in),
        thin=int(thin),
        starts="one each" if chains is None else "one",
        precision=str(dtype),
        noise_precision=str(noise_dtype),
        **({"needs": needs} if (needs := getattr(type(flow), "needs", "")) else {}),
    )
    return Chains(x, jax.device_put(start + h * taken.astype(dtype)), energy, finite, stats)


def _starts(flow: Flow, x0: Position, chains: Any, t0: Number) -> tuple[Flow, Any]:
    """The flow, its numbers made arrays, and the stacked states that the chains start from."""
    if chains is not None:
        check_integer("sample", 1, chains=chains)
        flow, z0 = prepare("sample", flow, x0, None, t0)
        return flow, jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (int(chains), *jnp.shape(leaf))), z0)
    leaves, structure = jax.tree.flatten(as_floating(x0))
    lengths = {leaf.shape[0] if leaf.ndim else None for leaf in leaves}
    if len(lengths) != 1 or None in lengths:
        raise ValueError(
            "sample: without `chains`, `x0` must hold one start a chain along every array's leading axis, got shapes "
            f"{[leaf.shape for leaf in leaves]}; give `chains` to start all from one position"
        )
    rows = [structure.unflatten(row) for row in zip(*leaves, strict=True)]
    try:
        flow, first = prepare("sample", flow, rows[0], None, t0)
    except ValueError as error:
        raise ValueError(f"{error} (without `chains` each row of `x0` is the start of one chain)") from None
    states = [flow.init(row) for row in rows]
    stacked = jax.tree.map(lambda like, *each: jnp.stack(each).astype(like.dtype), first, *states)
    energies = jax.vmap(lambda z: flow.energy.value(flow.position(z)))(stacked)
    if not is_transformed() and (lost := ~np.asarray(jax.vmap(all_finite)((stacked, energies)))).any():
        raise ValueError(f"sample: `x0` and its energy must be finite, and are not for chain {int(np.argmax(lost))}")
    return flow, stacked


def _draw(iteration: Iteration, z0: State, t0: Time, burn_in: Any, thin: Any, draws: int) -> tuple[Any, Any, Any]:
    """The draws' positions and energies, chains first, and which chains stayed finite.

    Numbers of steps that are Python's have a reverse mode; arrays, as a compiled call has them, do not compile again.
    """
    each = _each_with_its_own_oracle(iteration, len(jax.tree.leaves(z0)[0]))

    def one(carries: Carry) -> Carry:
        return each(lambda iteration, *arguments: iteration.one(*arguments), carries, increments(carries))

    def increments(carries: Carry) -> Any:
        """Those of all chains: one draw for all of them is what makes noise cheap."""
        first = jax.tree.map(lambda leaf: leaf[0], carries)
        shape = jax.vmap(iteration.flow.brownian)(carries.z)
        h, _ = iteration.rule(iteration.flow, iteration.scheme, first.t, first.z, first.rule_state)
        return iteration.noise(
            first.k, first.t, first.t + h, h, iteration.scheme.increments(iteration.flow, first.z), shape
        )

    def steps(carries: Carry, count: Any) -> Carry:
        return jax.lax.fori_loop(0, count, lambda _, c: one(c), carries)

    def draw(carries: Carry, _: None) -> tuple[Carry, Any]:
        carries = steps(carries, thin)
        return carries, jax.vmap(iteration.position)(carries)

    start = each(lambda iteration, z: iteration.start(z, t0), z0)
    carries, x = jax.lax.scan(draw, steps(start, burn_in), length=draws)
    energy = jax.lax.map(jax.vmap(iteration.flow.energy.value), x)
    x, energy = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), (x, energy))
    first = jax.tree.map(lambda leaf: leaf[0], start)
    h, _ = iteration.rule(iteration.flow, iteration.scheme, first.t, first.z, first.rule_state)
    kept = jax.vmap(all_finite)((carries.z, x, energy)) & ~_ran_away(iteration.flow, z0, energy, h)
    return x, energy, kept & jax.vmap(lambda carry: _is_moved(iteration.flow, carry, h))(carries)


def _each_with_its_own_oracle(iteration: Iteration, chains: int) -> Callable[..., Any]:
    """(function of the iteration and of what a chain has, that of all chains) ↦ its values for all chains."""
    if not (isinstance(iteration.oracle, Seen) and iteration.oracle.key is not None):
        return lambda function, *stacked: jax.vmap(functools.partial(function, iteration))(*stacked)
    keys = jax.vmap(functools.partial(jax.random.fold_in, iteration.oracle.key))(jnp.arange(chains))

    def of_one(function: Callable[..., Any], key: Any, *own: Any) -> Any:
        return function(eqx.tree_at(lambda iteration: iteration.oracle.key, iteration, key), *own)

    return lambda function, *stacked: jax.vmap(functools.partial(of_one, function))(keys, *stacked)


def _ran_away(flow: Flow, z0: State, energy: Any, h: StepLength) -> Any:
    """Which chains' energies rose so far above the start's that no heat explains it."""
    first = jax.vmap(lambda z: flow.energy.value(flow.position(z)))(z0)
    slope = jax.vmap(lambda z: l2_norm(flow.energy.grad(flow.position(z))))(z0)
    changes = jnp.abs(jnp.diff(energy, axis=1))
    if not changes.shape[1]:
        return jnp.zeros(first.shape, bool)
    usual = jnp.maximum(jnp.median(changes, axis=1), h * slope**2)
    return jnp.max(energy, axis=1) - first > _FAR * jnp.maximum(usual, jnp.finfo(energy.dtype).tiny)


def _is_moved(flow: Flow, carry: Carry, h: StepLength) -> Any:
    """Whether a step's noise is still above the rounding of the state that it moves."""
    z = carry.z
    shape = flow.brownian(z)
    keys = jax.random.split(jax.random.key(0), len(jax.tree.leaves(shape)))
    # Any draw, and not the same number everywhere, which interactions cancel.
    usual = jax.tree.map(lambda leaf: jnp.sqrt(h) * leaf, drawn(jax.random.normal, keys, shape))
    moved = flow.diffusion(carry.t, z)(usual)
    noise, size = l2_norm(moved), l2_norm(z)
    return (noise == 0) | (noise > jnp.finfo(dtype_of(z)).eps * size)


_compiled = compiled(_draw)
