"""A sweep for other processes to run: its function is found by name."""

import pathlib
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import jax
import numpy as np

import gradientflow as gf

E = gf.landscapes.bowl()
LANES = 960


def make(lr):
    return gf.optimizers.gradient_descent(E, lr=lr)


def swept(store=None, **options):
    lrs = np.geomspace(1e-3, 0.3, LANES)
    return gf.sweep(make, [3.0, 1.0], over={"lr": lrs}, steps=40, store=store, chunk=24, **options)


def pool():
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    print(swept(pathlib.Path(sys.argv[1])).done)
