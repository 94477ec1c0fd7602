"""The draws of many independent chains, their means and their figure."""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.flows import Flow, Number, Stats, refuse_traced
from gradientflow.flows.checks import in_a_line
from gradientflow.flows.numerics import is_concrete

# From so many chains on, the means of their first and last draws are alike by chance less than so.
_FEWEST_CHAINS, _ALIKE = 50, 0.5
# A share of the start that is felt, estimated within a factor of two.
_LEFT = 0.25


class Chains(eqx.Module):
    """Draws of independent chains.

    Attributes:
        x: the positions, with leading axes (chains, draws).
        t: the times of the draws [T], of shape (draws,).
        energy: E at the draws, of shape (chains, draws).
        finite: which chains stayed finite, all their draws and energies, and did not run away, of shape (chains,): one
            is lost too whose state is so large that a step's noise is below its rounding, or whose energy rose above
            the start's by a million times all that it changes from draw to draw, and h‖∇E‖² at the start.
        stats: scheme, step, burn-in, thinning, whether there was one start or one each, precision.

    References:
        A. Gelman, D. B. Rubin, Inference from iterative simulation using multiple sequences, Statist. Sci. 7, 1992, for
        several chains.

    Example:
        >>> import jax, gradientflow as gf
        >>> flow = gf.Langevin(gf.Quadratic([[2.0]]), temperature=1.0)
        >>> chains = gf.sample(
        ...     flow, gf.ExactSolution(), [0.0], step=1.0, draws=50, chains=200, burn_in=5, key=jax.random.key(0)
        ... )
        >>> mean, error = chains.expectation(lambda x: x[0] ** 2)
        >>> bool(abs(mean - 0.5) < 3 * error), bool(error < 0.02)  # T/λ
        (True, True)
    """

    x: Any
    t: jax.Array
    energy: jax.Array
    finite: jax.Array
    stats: Stats

    def __repr__(self) -> str:
        """One line: how many, and of what."""
        chains, draws = self.energy.shape
        lost = f"; {chains - int(self.finite.sum())} lost" if not bool(self.finite.all()) else ""
        return f"Chains({chains} chains of {draws} draws by {self.stats['scheme']}, step {self.stats['step']:g}{lost})"

    def expectation(self, fn: Callable[[Any], Any] | None = None) -> tuple[Any, Any]:
        r"""The mean of a function over all draws, and its standard error.

        The error is that of the chains' own means, which are independent of each other however much the draws of a
        chain are not: $\sqrt{\operatorname{Var}_c(\bar f_c)/C}$. It knows nothing of the way from the start: of that
        takes care a `burn_in` of several relaxation times; where many chains from one start remember it for
        longer, a warning says so.

        Args:
            fn: a function of a position; the position itself unless given.

        Raises:
            TypeError: if `fn` is no function.
            ValueError: if there is one chain only, or a chain that did not stay finite.
        """
        if fn is not None and not callable(fn):
            raise TypeError(f"expectation: `fn` must be a function of a position, got {in_a_line(fn)}")
        if not bool(self.finite.all()):
            lost = int((~self.finite).sum())
            raise ValueError(
                f"expectation: {lost} of {len(self.finite)} chains did not stay finite or ran away, which a mean over "
                f"the others would hide; {self.stats.get('needs', 'shorten the `step`')}"
            )
        chains = len(self.finite)
        if chains < 2:
            raise ValueError("expectation: one chain has no standard error; sample at least two")
        values = self.x if fn is None else jax.vmap(jax.vmap(fn))(self.x)
        means = jax.tree.map(lambda leaf: jnp.mean(leaf, axis=1), values)
        mean = jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), means)
        error = jax.tree.map(lambda leaf: jnp.std(leaf, axis=0, ddof=1) / jnp.sqrt(chains), means)
        if is_concrete(values) and self.stats.get("starts") == "one":
            _warn_of_the_start(self, values)
        return mean, error

    def plot(
        self, ax: Any = None, *, flow: Flow | None = None, figsize: Sequence[Number] | None = None,
        title: str | None = None,
    ) -> Any:  # fmt: skip
        """A figure: some chains' first coordinates over time, and the draws of all that stayed finite by how often.

        Args:
            ax: axes to draw into instead: one, for the first coordinate over time, or as many as there are panels.
            flow: the flow that was sampled: the density of its position is drawn beside, where it is known, e^(−E/T)
                over the line or a Gaussian on a quadratic.
            figsize: width and height in inches; without `ax`.
            title: a title; chosen unless given.

        Raises:
            TypeError: if `ax` isn't axes, or `flow` no flow; under jit, vmap or grad.
            ValueError: if they are not as many as the panels, `figsize` is given with them, or no chain stayed finite.
        """
        refuse_traced("plot", self.t)
        from gradientflow.analysis.plots.chains import plot_chains

        return plot_chains(self, flow, ax=ax, figsize=figsize, title=title)

    def to_xarray(self) -> Any:
        """An `xarray.Dataset` over `chain` and `draw`: one variable a leaf of the position, and the energy."""
        import xarray as xr

        chains, draws = self.energy.shape
        data: dict[str, Any] = {"energy": (("chain", "draw"), np.asarray(self.energy))}
        for path, leaf in jax.tree_util.tree_leaves_with_path(self.x):
            name = jax.tree_util.keystr(path, simple=True, separator=".") or "x"
            name = f"x.{name}" if name in {"energy", "chain", "draw", "t"} else name
            dims = ("chain", "draw", *(f"{name}_dim_{axis}" for axis in range(leaf.ndim - 2)))
            data[name] = (dims, np.asarray(leaf))
        coordinates = {"chain": np.arange(chains), "draw": np.arange(draws), "t": ("draw", np.asarray(self.t))}
        return xr.Dataset(data, coords=coordinates, attrs=dict(self.stats))

    def to_arviz(self) -> Any:
        """What ArviZ takes: `posterior` and, with the energy, `sample_stats`.

        That is an `xarray.DataTree`; where an ArviZ before 1.0 is installed, its own `InferenceData`.
        """
        import xarray as xr

        data = self.to_xarray()
        tree = xr.DataTree.from_dict({"posterior": data.drop_vars("energy"), "sample_stats": data[["energy"]]})
        try:
            import arviz
        except ImportError:
            return tree
        # From 1.0 on it takes the tree itself.
        convert = getattr(arviz, "from_datatree", None)
        return tree if convert is None else convert(tree)


def _warn_of_the_start(chains: Chains, values: Any) -> None:
    """Warns where the start is still felt: chains remember over their draws for longer than they were warmed up.

    How fast they forget is seen in the correlation, over chains, of the means of the first and the last draws.
    """
    draws, half = chains.energy.shape[1], chains.energy.shape[1] // 2
    if half < 1 or len(chains.finite) < _FEWEST_CHAINS:
        return
    for leaf in jax.tree.leaves(values):
        by_chain = np.asarray(leaf, float).reshape(*leaf.shape[:2], -1)
        halves = by_chain[:, :half].mean(axis=1), by_chain[:, -half:].mean(axis=1)
        first, last = (means - means.mean(axis=0) for means in halves)
        scale = np.sqrt((first**2).sum(axis=0) * (last**2).sum(axis=0))
        alike = float(((first * last).sum(axis=0)[scale > 0] / scale[scale > 0]).max(initial=0.0))
        if alike < _ALIKE:
            continue
        # In draws; a draw is `thin` steps.
        memory = (draws - half) / -math.log(min(alike, 1 - 1e-9))
        since = chains.stats["burn_in"] / chains.stats["thin"] + np.arange(1, draws + 1)
        left = float(np.exp(-since / memory).mean())
        if left > _LEFT:
            warnings.warn(
                f"expectation: the chains still remember their one start, which they forget in some {memory:,.0f} "
                f"draws: about {left:.0%} of it is in the mean, and the standard error does not know of that; a "
                f"`burn_in` of several times {memory * chains.stats['thin']:,.0f} steps forgets it",
                stacklevel=4,
            )
            return
