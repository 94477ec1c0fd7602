"""Many short chains of unadjusted Langevin: `sample` beside a scan by hand, NumPy and diffrax, on the same work."""

import time

import diffrax
import jax
import jax.numpy as jnp
import lineax
import numpy as np

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
STEPS, H = 100, 0.05


def best(run, repeats=7):
    run(0)
    times = []
    for seed in range(1, repeats + 1):
        start = time.perf_counter()
        run(seed)
        times.append(time.perf_counter() - start)
    return min(times)


@jax.jit
def by_hand(key, x):
    def one(x, k):
        noise = jax.random.normal(jax.random.fold_in(key, k), x.shape)
        return x - H * x + jnp.sqrt(2 * H) * noise, None

    return jax.lax.scan(one, x, jnp.arange(STEPS))[0]


def numpy(seed, shape):
    rng, x = np.random.default_rng(seed), np.zeros(shape)
    for _ in range(STEPS):
        x = x - H * x + np.sqrt(2 * H) * rng.standard_normal(shape)
    return x


@jax.jit
def by_diffrax(keys, x):
    """Fixed steps of Euler along diffrax's own Brownian tree, resolved to half a step."""
    t1 = STEPS * H

    def one(key, x):
        tree = diffrax.VirtualBrownianTree(0.0, t1, tol=H / 2, shape=x.shape, key=key)
        noise = lineax.DiagonalLinearOperator(jnp.full(x.shape, jnp.sqrt(2.0)))
        terms = diffrax.MultiTerm(diffrax.ODETerm(lambda t, x, _: -x), diffrax.ControlTerm(lambda t, x, _: noise, tree))
        end = diffrax.diffeqsolve(
            terms, diffrax.Euler(), 0.0, t1, H, x, adjoint=diffrax.DirectAdjoint(), max_steps=STEPS + 1
        )
        return end.ys[0]

    return jax.vmap(one)(keys, x)


def main():
    flow = gf.Langevin(gf.energy(lambda x: x @ x / 2))
    for chains, d in ((100_000, 2), (10_000, 100)):

        def ours(seed, dtype=None, d=d, chains=chains):
            drawn = gf.sample(
                flow, gf.EulerMaruyama(), jnp.zeros(d),
                step=H, draws=1, burn_in=STEPS - 1, chains=chains, key=jax.random.key(seed), noise_dtype=dtype,
            )  # fmt: skip
            return drawn.x.block_until_ready()

        hand = best(
            lambda seed, d=d, chains=chains: by_hand(jax.random.key(seed), jnp.zeros((chains, d))).block_until_ready()
        )
        tree = best(
            lambda seed, d=d, chains=chains: by_diffrax(
                jax.random.split(jax.random.key(seed), chains), jnp.zeros((chains, d))
            ).block_until_ready(),
            repeats=3,
        )
        plain = best(lambda seed, d=d, chains=chains: numpy(seed, (chains, d)))
        for label, dtype in (("double", None), ("single-precision noise", jnp.float32)):
            seconds = best(lambda seed, ours=ours, dtype=dtype: ours(seed, dtype))
            print(
                f"{chains} chains, {STEPS} steps, d = {d}, {label}: {seconds:.3f} s; "
                f"{seconds / hand:.2f} of a hand-written scan in double, {seconds / plain:.2f} of NumPy; "
                f"diffrax's tree takes {tree / seconds:.0f} times as long"
            )


if __name__ == "__main__":
    main()
