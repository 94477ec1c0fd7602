"""A sweep for other processes to run: its function is found by name."""

from concurrent.futures import ProcessPoolExecutor

import numpy as np

import gradientflow as gf

from .scripts import FORKS

E = gf.landscapes.bowl()
LANES = 480


def make(lr):
    return gf.optimizers.gradient_descent(E, lr=lr)


def swept(store=None, **options):
    lrs = np.geomspace(1e-3, 0.3, LANES)
    return gf.sweep(make, [3.0, 1.0], over={"lr": lrs}, steps=40, store=store, chunk=24, **options)


def pool():
    return ProcessPoolExecutor(1, mp_context=FORKS)
