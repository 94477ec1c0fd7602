"""Files: what is written is all there or the old one is, and what is saved comes back as it was."""

import collections
import os
import pathlib
import random
import signal
import stat
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray

import gradientflow as gf
from gradientflow import _files

from .thorough import THOROUGH, part

Pair = collections.namedtuple("Pair", ["u", "v"])
E = gf.energy(lambda x: sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(x)))
POSITIONS = {
    "dots": {"a": {"b": jnp.ones(2)}, "a.b": jnp.full(2, 2.0)},
    "slashes": {"layer/1/w": jnp.ones(2), "layer∕1∕w": jnp.zeros(1)},
    "a name that an axis has": {"w": jnp.ones(2), "w_0": jnp.ones(3)},
    "twelve leaves": [jnp.asarray(float(i)) for i in range(12)],
    "nested": {"layers": [(jnp.ones((2, 3)), None), (jnp.zeros(1), {})], "x": jnp.asarray(1.0), 7: jnp.ones(1)},
    "one": jnp.ones((2, 2)),
    "no name": {"": jnp.ones(1)},
    "halves": jnp.ones(2, jnp.bfloat16),
}


@pytest.mark.parametrize("name", part(POSITIONS))
def test_what_is_saved_comes_back_with_every_leaf_in_its_place(name, tmp_path):
    x0 = POSITIONS[name]
    if name == "nested":
        x0 = {str(key): value for key, value in x0.items()}
    run = gf.iterate(gf.HeavyBall(E), gf.MomentumEuler(), x0, step=0.1, steps=2)
    run.save(tmp_path / "run.nc")
    again = gf.load(tmp_path / "run.nc")
    for kept, was in ((again.x, run.x), (again.state, run.state)):
        assert jax.tree.structure(kept) == jax.tree.structure(was)
        jax.tree.map(np.testing.assert_array_equal, kept, was)
        assert all(a.dtype == b.dtype for a, b in zip(*map(jax.tree.leaves, (kept, was)), strict=True))
    assert (again.t.dtype, again.status, again.stats) == (run.t.dtype, run.status, dict(run.stats))
    on = gf.iterate(gf.HeavyBall(E), gf.MomentumEuler(), None, step=0.1, steps=1, state=again.state[-1])
    as_before = gf.iterate(gf.HeavyBall(E), gf.MomentumEuler(), None, step=0.1, steps=1, state=run.state[-1])
    jax.tree.map(np.testing.assert_array_equal, on.x, as_before.x)


def test_a_class_of_the_users_own_comes_back_by_its_fields(tmp_path):
    run = gf.iterate(gf.GradientFlow(E), gf.ForwardEuler(), Pair(jnp.ones(2), jnp.zeros(1)), step=0.1, steps=1)
    run.save(tmp_path / "run.nc")
    np.testing.assert_array_equal(gf.load(tmp_path / "run.nc").x["u"], run.x.u)


def test_what_is_no_trajectory_is_said_in_a_line(tmp_path):
    (tmp_path / "text.nc").write_text("no trajectory\n")
    (tmp_path / "empty.nc").write_bytes(b"")
    run = gf.iterate(gf.GradientFlow(E), gf.ForwardEuler(), jnp.ones(2), step=0.1, steps=1)
    run.save(tmp_path / "run.nc")
    (tmp_path / "half.nc").write_bytes((tmp_path / "run.nc").read_bytes()[:3000])
    xarray.Dataset({"energy": ("t", np.ones(2))}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    cases = {
        "text.nc": (ValueError, "no NetCDF file"), "empty.nc": (ValueError, "no NetCDF file"),
        "half.nc": (ValueError, "no NetCDF file"), ".": (ValueError, "is no file"),
        "other.nc": (ValueError, "not a trajectory saved by"), "none.nc": (FileNotFoundError, "no file"),
    }  # fmt: skip
    for name, (kind, words) in cases.items():
        with pytest.raises(kind, match=words) as caught:
            gf.load(tmp_path / name)
        assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(ValueError, match="take a lane"):
        jax.tree.map(lambda a: jnp.stack([a, a]), run).save(tmp_path / "batch.nc")


def _fill(text):
    def fill(folder):
        for name in ("table.csv", "report.html", "figures/a.png"):
            (folder / name).write_text(text)

    return fill


def _texts(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def _all(text):
    return dict.fromkeys(("table.csv", "report.html", "figures/a.png"), text)


def test_modes_are_the_umasks_and_a_folders_own_stays(tmp_path):
    old = os.umask(0o027)
    try:
        _files.write_folder(tmp_path / "new", _fill("1"))
        _files.write_file("save", tmp_path / "file", b"1")
    finally:
        os.umask(old)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new", *tmp_path.rglob("*"))}
    assert modes == {
        "new": 0o750, "figures": 0o750, "a.png": 0o640, "table.csv": 0o640, "report.html": 0o640, "file": 0o640,
    }  # fmt: skip
    (tmp_path / "new").chmod(0o1775)
    (tmp_path / "file").chmod(0o604)
    _files.write_folder(tmp_path / "new", _fill("2"))
    _files.write_file("save", tmp_path / "file", b"2")
    assert _texts(tmp_path) == {f"new/{name}": text for name, text in _all("2").items()} | {"file": "2"}
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("new", "file")] == [0o1775, 0o604]


def test_what_else_a_folder_holds_stays(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "out")
    for text in "12":
        _files.write_folder(tmp_path / "link", _fill(text))
        assert _texts(tmp_path / "out") == _all(text) | {"notes.txt": "mine"}
    assert {path.name for path in tmp_path.iterdir()} == {"out", "link"}
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("exchange", [True, False])
def test_a_failure_leaves_the_old_result_and_nothing_else(tmp_path, exchange, monkeypatch):
    if not exchange:
        monkeypatch.setattr(_files, "_exchanged", lambda *_: False)
    _files.write_folder(tmp_path / "out", _fill("1"))

    def full(folder):
        _fill("2")(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(ValueError, match="No space left on device; what was there is unchanged") as caught:
        _files.write_folder(tmp_path / "out", full)
    assert len(str(caught.value).splitlines()) == 1
    assert _texts(tmp_path) == {f"out/{name}": text for name, text in _all("1").items()}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    _files.write_folder(tmp_path / "out", _fill("3"))
    assert _texts(tmp_path / "out") == _all("3")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.fixture
def small(tmp_path):
    """A file system of 256 KB, where one can be mounted."""
    place = tmp_path / "small"
    place.mkdir()
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True)
    except OSError:
        done = None
    if done is None or done.returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_one_line_and_the_old_result_stays(small):
    run = gf.iterate(gf.GradientFlow(E), gf.ForwardEuler(), jnp.ones(2), step=0.1, steps=2)
    run.save(small / "run.nc")
    _files.write_folder(small / "out", _fill("1"))
    before = (small / "run.nc").read_bytes()
    (small / "filler").write_bytes(bytes(_free_bytes(small) - 4096))
    with pytest.raises(OSError, match=r"save: .* can't be written: No space left on device; what was there") as caught:
        run.save(small / "run.nc")
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(ValueError, match="No space left on device; what was there is unchanged"):
        _files.write_folder(small / "out", _fill("2" * 20_000))
    assert (small / "run.nc").read_bytes() == before
    assert _texts(small / "out") == _all("1")
    assert {path.name for path in small.iterdir()} == {"run.nc", "out", "filler"}


def test_a_read_only_place_is_one_line(small):
    _files.write_folder(small / "out", _fill("1"))
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    run = gf.iterate(gf.GradientFlow(E), gf.ForwardEuler(), jnp.ones(2), step=0.1, steps=2)
    with pytest.raises(OSError, match=r"save: .* can't be written: Read-only file system"):
        run.save(small / "run.nc")
    with pytest.raises(ValueError, match=r"out: directory .* can't be written: Read-only file system"):
        _files.write_folder(small / "out", _fill("2"))
    assert _texts(small / "out") == _all("1")


def _free_bytes(place):
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize


MOMENTS = 20 if THOROUGH else 1
WRITER = """
import sys
from itertools import count
from gradientflow import _files
from gradientflow.experiments.signals import end_at_signals
end_at_signals()
def fill(text):
    def into(folder):
        for name in ("table.csv", "report.html", "figures/a.png"):
            (folder / name).write_text(text)
    return into
for n in count():
    _files.write_folder(sys.argv[1], fill(str(n)))
    _files.write_file("save", sys.argv[1] + ".nc", str(n).encode() * 1000)
    if n == 0:
        print("started", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_signal_at_any_moment_leaves_one_whole_result(tmp_path, number):
    moments = random.Random(int(number))
    out = tmp_path / "out"
    for _ in range(MOMENTS):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert writer.stdout.readline() == "started\n"
        time.sleep(moments.uniform(0, 0.1))
        writer.send_signal(number)
        _, said = writer.communicate(timeout=60)
        texts = set(_texts(out).values())
        assert len(texts) == 1, texts
        assert set(_texts(out)) == set(_all(""))
        saved = pathlib.Path(f"{out}.nc").read_text()
        assert saved == saved[: len(saved) // 1000] * 1000
        if number == signal.SIGINT:
            assert (writer.returncode, said) == (130, "gradientflow: interrupted\n")
            assert {path.name for path in tmp_path.iterdir()} == {"out", "out.nc"}


def test_an_interrupt_while_computing_ends_with_130_and_one_line():
    moments = random.Random(0)
    for _ in range(MOMENTS):
        command = [sys.executable, "-m", "gradientflow", "compare", "--energy", "rosenbrock", "--t1", "0.1"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(moments.uniform(1, 4))
        process.send_signal(signal.SIGINT)
        said, complained = process.communicate(timeout=60)
        assert (process.returncode, said, complained) == (130, "", "gradientflow: interrupted\n")


def test_signals_are_heard_before_anything_else_is_imported():
    """An interrupt while typer, rich or JAX are imported was Python's own, with a traceback, or was swallowed."""
    code = (
        "import sys; import gradientflow.__main__;"
        "print({'typer', 'rich', 'jax', 'numpy'} & sys.modules.keys(), flush=True);"
        "from gradientflow.experiments.signals import end_at_signals;"
        "end_at_signals(); import os, signal; os.kill(os.getpid(), signal.SIGINT); import time; time.sleep(20)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "gradientflow: interrupted\n")
    assert done.stdout == "set()\n"


def test_an_interrupt_that_is_over_before_its_thread_has_heard_of_it_is_the_first_still():
    """The thread took it for a second one, and ended the process with what was done."""
    code = """
import contextlib, os, signal, sys, time
from gradientflow.experiments.signals import end_at_signals, first_interrupt_raises
end_at_signals()
# The thread waits for its turn for as long as this one has anything to do.
sys.setswitchinterval(10)
with first_interrupt_raises("once\\n"), contextlib.suppress(KeyboardInterrupt):
    os.kill(os.getpid(), signal.SIGINT)
time.sleep(0.5)
print("what is done")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "what is done\n", "once\n")


def test_a_device_is_written_to_and_not_replaced():
    _files.write_file("save", "/dev/null", b"1")
    assert stat.S_ISCHR(pathlib.Path("/dev/null").stat().st_mode)
