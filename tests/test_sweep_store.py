"""A stored sweep: killed and resumed it is the undisturbed one to the last byte; what is not its own is let alone."""

import json
import os
import random
import subprocess
import sys
import time

import numpy as np
import pytest

import gradientflow as gf

from . import scripts, swept
from .thorough import THOROUGH

KILLS = 10 if THOROUGH else 1


def files(folder):
    return {entry.name: entry.read_bytes() for entry in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores") / "whole"
    return folder, swept.swept(folder)


def test_killed_and_resumed_it_is_the_same_to_the_last_byte(undisturbed, tmp_path):
    folder, draw = tmp_path / "killed", random.Random(5)
    for _ in range(KILLS):
        before = len(list(folder.glob("chunk-*")))
        process = scripts.FORKS.Process(target=swept.swept, args=(folder,))
        process.start()
        # As soon as it has got ahead, and a random moment more.
        while len(list(folder.glob("chunk-*"))) <= before and process.is_alive():
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.05))
        process.kill()
        process.join()
    left = len(list(folder.glob("chunk-*")))
    resumed = swept.swept(folder)
    assert left > 0
    assert files(folder) == files(undisturbed[0])
    np.testing.assert_array_equal(resumed.energy, undisturbed[1].energy)
    np.testing.assert_array_equal(resumed.outcome, undisturbed[1].outcome)


def test_what_is_stored_is_what_is_found_without_a_store(undisturbed):
    plain = swept.swept()
    for name in ("x", "energy", "grad_norm", "code", "step", "steps", "t"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(undisturbed[1], name))


def test_other_processes_find_the_same(undisturbed):
    with swept.pool() as executor:
        found = swept.swept(executor=executor)
        np.testing.assert_array_equal(found.energy, undisturbed[1].energy)
        with pytest.raises(TypeError, match="define `make` at the top of a module"):
            gf.sweep(lambda lr: swept.make(lr), [3.0, 1.0], over={"lr": [0.1]}, steps=4, executor=executor)


def test_another_sweep_is_not_written_over(undisturbed):
    folder, _ = undisturbed
    before = files(folder)
    with pytest.raises(ValueError, match=r"that of another sweep: 'over', 'chunks' differ; name a new folder"):
        gf.sweep(swept.make, [3.0, 1.0], over={"lr": [0.1]}, steps=40, store=folder)
    with pytest.raises(ValueError, match="'steps' differs"):
        gf.sweep(
            swept.make, [3.0, 1.0], over={"lr": np.geomspace(1e-3, 0.3, swept.LANES)}, steps=41, store=folder, chunk=24
        )
    assert files(folder) == before


def test_a_folder_of_something_else_is_let_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"is no sweep's: it holds 'mine.txt'"):
        gf.sweep(swept.make, [3.0, 1.0], over={"lr": [0.1]}, steps=4, store=tmp_path)
    assert files(tmp_path) == {"mine.txt": b"mine"}


def test_a_damaged_chunk_is_named_and_run_again_once_it_is_removed(tmp_path):
    over = {"lr": [0.1, 0.2, 0.3]}
    whole = gf.sweep(swept.make, [3.0, 1.0], over=over, steps=4, store=tmp_path, chunk=2)
    damaged = tmp_path / "chunk-000001.nc"
    sound = damaged.read_bytes()
    damaged.write_bytes(sound[: len(sound) // 2])
    with pytest.raises(ValueError, match=r"chunk-000001.nc' is damaged; remove it"):
        gf.sweep(swept.make, [3.0, 1.0], over=over, steps=4, store=tmp_path, chunk=2)
    damaged.unlink()
    again = gf.sweep(swept.make, [3.0, 1.0], over=over, steps=4, store=tmp_path, chunk=2)
    np.testing.assert_array_equal(again.x, whole.x)
    assert damaged.read_bytes() == sound


def test_a_store_in_use_is_refused_and_a_dead_process_holds_none(tmp_path):
    import socket

    lock = tmp_path / "lock"
    lock.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
    with pytest.raises(BlockingIOError, match=f"in use by process {os.getpid()} on"):
        gf.sweep(swept.make, [3.0, 1.0], over={"lr": [0.1]}, steps=4, store=tmp_path)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    lock.write_text(json.dumps({"pid": dead.pid, "host": socket.gethostname()}))
    assert gf.sweep(swept.make, [3.0, 1.0], over={"lr": [0.1]}, steps=4, store=tmp_path).done == 1
    assert not lock.exists()


def test_a_pytree_and_its_rows_come_back(tmp_path):
    E = gf.energy(lambda p: p["w"] ** 2 / 2 + p["b"][0] ** 2)
    options = dict(over={"lr": [0.1, 0.2]}, steps=6, record=("x", "energy"), save_every=2)

    def once(store):
        return gf.sweep(
            lambda lr: gf.optimizers.gradient_descent(E, lr=lr), {"w": 1.0, "b": [2.0]}, store=store, **options
        )

    stored, plain = once(tmp_path / "a"), once(None)
    assert once(tmp_path / "a").to_xarray().identical(stored.to_xarray())
    assert stored.to_xarray().identical(plain.to_xarray())


def test_a_store_knows_what_its_function_reads(tmp_path):
    def sweep_with(scale):
        def make(lr):
            return gf.optimizers.gradient_descent(gf.energy(lambda x: scale * x[0] ** 2), lr=lr)

        return gf.sweep(make, [3.0], over={"lr": [0.1]}, steps=2, store=tmp_path)

    sweep_with(1.0)
    with pytest.raises(ValueError, match="'make' differs"):
        sweep_with(2.0)
