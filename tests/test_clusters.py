"""Sweeps whose chunks are done elsewhere: by jobs of a queue, by Dask's workers, some of which are killed."""

import concurrent.futures
import os
import pathlib
import pickle
import signal
import threading
import time

import numpy as np
import pytest

import gradientflow as gf
from gradientflow.analysis.sweeps import work
from gradientflow.experiments import clusters

from .thorough import thorough

E = gf.landscapes.rosenbrock()
OVER = {"lr": np.geomspace(1e-5, 1e-2, 16), "beta": [0.0, 0.5, 0.9]}


def momentum(lr, beta):
    return gf.optimizers.momentum(E, lr=lr, beta=beta)


def swept(folder, executor=None, steps=40):
    return gf.sweep(momentum, [-1.2, 1.0], over=OVER, steps=steps, chunk=12, store=str(folder), executor=executor)


def files(folder):
    return {path.name: path.read_bytes() for path in pathlib.Path(folder).glob("*.nc")}


class Job:
    """What a queue gives back: no future, and asked whether it is done."""

    def __init__(self, call):
        self._call, self._asked = call, 0

    def done(self):
        self._asked += 1
        return self._asked > 1

    def result(self):
        return self._call()

    def cancel(self):
        pass


class Queue:
    def submit(self, fn, *args):
        fn, args = pickle.loads(pickle.dumps((fn, args)))
        return Job(lambda: fn(*args))


def test_jobs_that_can_only_be_asked_whether_they_are_done_do_a_sweep(tmp_path, monkeypatch):
    monkeypatch.setattr(work, "_ASKED_EVERY", 0.001)
    here, there = swept(tmp_path / "here"), swept(tmp_path / "there", Queue())
    np.testing.assert_array_equal(here.energy, there.energy)
    assert files(tmp_path / "here") == files(tmp_path / "there")
    assert len(files(tmp_path / "here")) > 3


@pytest.mark.parametrize(("field", "value"), [("jax", "0.0.1"), ("gradientflow", "0.0.1")])
def test_a_worker_of_another_version_is_named(field, value):

    class FromElsewhere(Queue):
        def submit(self, fn, task, asked, *chunk):
            return super().submit(fn, task, asked._replace(**{field: value}), *chunk)

    with pytest.raises(ValueError, match=rf"^sweep: a worker on .* has {field} .*, not 0.0.1: all must have"):
        gf.sweep(momentum, [-1.2, 1.0], over=OVER, steps=3, executor=FromElsewhere())


def test_what_reads_the_package_by_a_name_travels():
    """A function of a notebook takes along what it reads: `gf` goes by its name, as other modules do."""
    cloudpickle = pytest.importorskip("cloudpickle")
    sent = cloudpickle.loads(cloudpickle.dumps(lambda lr: gf.optimizers.gradient_descent(gf.landscapes.bowl(), lr)))
    assert sent(0.5).step == 0.5
    for module in (gf, gf.analysis, gf.optimizers, gf.landscapes):
        assert pickle.loads(pickle.dumps(module)) is module


BAD = {
    "both": (("tcp://a:1", "a=b", "store"), "sweep: give --dask or --slurm, not both"),
    "no store": (("", "cluster=local", ""), "slurm: give --store DIR too"),
    "no Slurm": (("", "slurm_partition=cpu", "store"), "slurm: there is no Slurm here, srun is not found"),
    "no parameter": (("", "cluster", "store"), "slurm: parameters are written name=value,name=value, got 'cluster'"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_can_t_be_sent_anywhere_is_refused_before_it_is_run(name, monkeypatch):
    monkeypatch.setattr(clusters.shutil, "which", lambda _: None)
    asked, message = BAD[name]
    with pytest.raises(ValueError, match=message) as caught:
        clusters.check_clusters(*asked)
    assert "\n" not in str(caught.value)


def test_parameters_are_read_as_numbers_where_they_are_some():
    assert clusters.parameters_of("slurm_partition=cpu, timeout_min=60") == {
        "slurm_partition": "cpu",
        "timeout_min": 60,
    }


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(clusters, "_PATIENCE", 0.5)
    with pytest.raises(ValueError, match=r"^dask: no scheduler answers at 'tcp://127.0.0.1:9' within"), \
            clusters.executor_of("tcp://127.0.0.1:9", "", ""):  # fmt: skip
        pass


@thorough
def test_dask_s_workers_do_a_sweep_though_one_is_killed(tmp_path):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        first, *_ = client.run(os.getpid).values()

        def kill():
            time.sleep(8)
            os.kill(first, signal.SIGKILL)

        threading.Thread(target=kill).start()
        swept(tmp_path / "there", client.get_executor(), steps=200_000)
    swept(tmp_path / "here", steps=200_000)
    assert files(tmp_path / "here") == files(tmp_path / "there")


@thorough
def test_submitit_s_jobs_do_a_sweep(tmp_path):
    pytest.importorskip("submitit")
    with clusters.executor_of("", "cluster=local,timeout_min=5", str(tmp_path / "there")) as executor:
        swept(tmp_path / "there", executor)
    swept(tmp_path / "here")
    assert files(tmp_path / "here") == files(tmp_path / "there")
    assert (tmp_path / "there-jobs").is_dir()
    with pytest.raises(ValueError, match=r"^slurm: .*nonsense"), \
            clusters.executor_of("", "cluster=local,nonsense=3", str(tmp_path / "x")):  # fmt: skip
        pass


def test_futures_are_waited_for_and_not_asked(tmp_path):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        swept(tmp_path / "there", pool)
    swept(tmp_path / "here")
    assert files(tmp_path / "here") == files(tmp_path / "there")
