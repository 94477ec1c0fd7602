"""The draws of many independent chains, their means and their figure."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from gradientflow.flows import Flow, Number, Stats, refuse_traced
from gradientflow.flows.checks import in_a_line


class Chains(eqx.Module):
    """Draws of independent chains.

    Attributes:
        x: the positions, with leading axes (chains, draws).
        t: the times of the draws [T], of shape (draws,).
        energy: E at the draws, of shape (chains, draws).
        finite: which chains stayed finite, all their draws and energies, and did not run away, of shape (chains,): one
            is lost too whose state is so large that a step's noise is below its rounding, or whose energy rose above
            the start's by a million times all that it changes from draw to draw, and h‖∇E‖² at the start.
        stats: scheme, step, burn-in, thinning, precision.

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
        takes care a `burn_in` of several relaxation times.

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
