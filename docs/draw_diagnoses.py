"""Draws two diagnoses, for `my-training-diverges.md`: run by hand, `python docs/draw_diagnoses.py`, from the root."""

import pathlib
import sys

import numpy as np
import optax

import gradientflow as gf

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
import planted  # noqa: E402

loss, params, _, batches = planted.healthy("mlp", "sgd")
bad = list(batches)
bad[13] = (bad[13][0] * np.float32(1e4), bad[13][1])
cnn_loss, cnn_params, _, _ = planted.healthy("cnn", "sgd")
RUNS = {
    "beyond_stability": (loss, params, optax.sgd(3.0), batches),
    "bad_batch": (cnn_loss, cnn_params, optax.sgd(0.1), bad),
}
for name, run in RUNS.items():
    found = gf.why(*run, steps=200)
    print(found.cause, found.happened)
    found.plot(figsize=(11, 7)).savefig(ROOT / "docs" / "figures" / f"why_{name}.png", dpi=80)
