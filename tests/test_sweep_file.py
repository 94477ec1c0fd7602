"""`gradientflow sweep`: an experiment's file is the runs that it describes, kept, shown and written; or one line."""

import importlib.util
import itertools
import json
import pathlib
import re

import numpy as np
import pandas as pd
import pytest

import gradientflow as gf
from gradientflow.analysis.sweeps.progress import progress, silent
from gradientflow.analysis.sweeps.task import Task
from gradientflow.experiments.entries import read_with_sweep
from gradientflow.experiments.swept import read_swept

from .test_cli import call

FILE = """
energy = "rosenbrock"
methods = ["momentum"]
x0 = [-1.0, 1.0]

[sweep]
steps = 40

[sweep.over]
lr = { from = 1e-5, to = 1e-3, count = 6, scale = "log" }
beta = [0.5, 0.9]
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "momentum.toml"
    path.write_text(FILE)
    return path


def test_a_file_is_the_runs_that_it_describes_and_what_is_written_describes_them_again(file, tmp_path):
    E, out = gf.landscapes.rosenbrock(), tmp_path / "out"
    result = call("sweep", file, "--json", "--out", out, "--export", tmp_path / "all.csv")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    for row, (lr, beta) in zip(rows, itertools.product(np.geomspace(1e-5, 1e-3, 6), [0.5, 0.9]), strict=True):
        run = gf.optimizers.momentum(E, lr, beta).iterate([-1.0, 1.0], 40)
        assert (row["lr"], row["beta"], row["outcome"]) == (lr, beta, run.status.outcome)
        if run.status != "diverged":
            np.testing.assert_allclose(row["energy"], run.energy[-1], rtol=1e-9)
    table = pd.read_csv(tmp_path / "all.csv")
    assert list(table["outcome"]) == [row["outcome"] for row in rows]
    assert {entry.name for entry in out.iterdir()} == {"EXPERIMENT.toml", "table.csv", "data.nc", "figures"}
    assert (out / "figures" / "sweep.png").stat().st_size > 2_000
    again = call("sweep", out / "EXPERIMENT.toml")
    assert again.exit_code == 0, again.output
    assert again.stdout.startswith("Sweep over lr (6) × beta (2), measured\n")
    stable = table[table["outcome"] != "diverged"]
    assert f"longest step that did not diverge: lr = {stable['lr'].max():.6g}" in again.stdout


def test_what_was_interrupted_is_shown_kept_and_gone_on_with(file, tmp_path, monkeypatch):
    file.write_text(FILE.replace("steps = 40", "steps = 40\nchunk = 4"))
    original, seen, store = Task.run, [], tmp_path / "kept"

    def run(self, start, stop):
        if seen:
            raise KeyboardInterrupt
        seen.append(stop - start)
        return original(self, start, stop)

    with monkeypatch.context() as patched:
        patched.setattr(Task, "run", run)
        ended, again = (call("sweep", file, "--store", store) for store in (store, tmp_path / "other"))
    assert (again.exit_code, again.stdout) == (130, "")
    assert again.stderr == "gradientflow: interrupted; nothing was done by then\n"
    assert ended.exit_code == 130
    assert f"interrupted: {seen[0]} of 12 lanes were run" in ended.stdout
    assert f"interrupted; the same command goes on where {str(store)!r} ends" in ended.stderr
    told = call("sweep", file, "--store", store, "--status").stdout
    assert f"{seen[0]} of 12 lanes" in told
    whole = call("sweep", file, "--store", store, "--json")
    assert whole.exit_code == 0, whole.output
    assert whole.stdout == call("sweep", file, "--json").stdout
    assert "12 of 12 lanes" in call("sweep", file, "--store", store, "--status").stdout


def test_starts_on_a_grid_and_seeds_are_swept(tmp_path):
    file = tmp_path / "a.toml"
    rest = 'energy = "double_well"\nmethods = ["langevin:0.01:0.2"]\n[sweep]\nsteps = 20\n[sweep.over]\n'
    file.write_text(rest + "x0 = { from = [-2, 1], to = [2, 1], count = [3, 1] }\nseed = { count = 2 }\n")
    result = call("sweep", file, "--json")
    assert result.exit_code == 0, result.output
    E, starts = gf.landscapes.double_well(), [[-2.0, 1.0], [0.0, 1.0], [2.0, 1.0]]
    method = gf.Method(gf.Langevin(E, 0.2), gf.EulerMaruyama(), 0.01)
    plain = gf.sweep(lambda: method, over={"x0": starts, "key": [0, 1]}, steps=20)
    np.testing.assert_allclose([row["energy"] for row in json.loads(result.stdout)], plain.energy.ravel(), rtol=1e-9)


OVER = "[sweep.over]\nlr = [0.01]"
BAD = {
    # what is changed in the file, by what; what the message must name
    "no table": (r"(?s)\[sweep\].*", "", ("no table [sweep]",)),
    "unknown key": ("steps", "stepps", ("sweep: unknown key 'stepps'; did you mean 'steps'?",)),
    "unknown entry": ("x0", "x1", ("experiment: unknown key 'x1'; did you mean 'x0'?",)),
    "no steps": ("steps = 40", "", ("sweep.steps", "steps = 1000")),
    "no whole steps": ("steps = 40", "steps = 4.5", ("sweep.steps", "whole number", "4.5")),
    "steps of a word": ("steps = 40", 'steps = "many"', ("sweep.steps", "whole number", "'many'")),
    "no method": ('methods = .*', "", ("methods: a sweep is of one method", "got none")),
    "two methods": ('"momentum"', '"momentum", "adam"', ("methods: a sweep is of one method", "got 2")),
    "unknown method": ("momentum", "momentun", ("unknown method 'momentun'; did you mean 'momentum'?",)),
    "unknown parameter": ("beta", "bta", ("sweep.over: unknown parameter of momentum 'bta'; did you mean 'beta'?",)),
    "of another method": ('"momentum"', '"rk4"', ("sweep.over: unknown parameter of rk4 'beta'",)),
    "nothing swept": (r"(?s)\[sweep.over\].*", "", ("sweep.over: name what is swept", "got None")),
    "no step": ("lr = .*", "", ("momentum has no step", "momentum:0.01")),
    "two steps": ("beta = .*", "step = [0.1]", ("two words for one number",)),
    "twice": ('"momentum"', '"momentum:0.1"', ("sweep.over.lr", "0.1 stands after the method's name")),
    "one number": ("beta = .*", "beta = 0.5", ("sweep.over.beta", "must be numbers", "got 0.5")),
    "no numbers": ("beta = .*", 'beta = [0.5, "high"]', ("sweep.over.beta[1]", "finite number", "'high'")),
    "not finite": ("beta = .*", "beta = [nan]", ("sweep.over.beta[0]", "finite number", "nan")),
    "none": ("beta = .*", "beta = []", ("sweep.over.beta", "must be numbers", "got []")),
    "unknown end": ("to =", "too =", ("sweep.over.lr: unknown key 'too'; did you mean 'to'?",)),
    "no end": ("to = 1e-3, ", "", ("sweep.over.lr", "`to` is missing")),
    "no logarithm": ("from = 1e-5", "from = 0", ("sweep.over.lr.from", "positive ends", "got 0")),
    "unknown scale": ('"log"', '"logg"', ("sweep.over.lr.scale: unknown scale 'logg'; did you mean 'log'?",)),
    "no count": ("count = 6", "count = 0", ("sweep.over.lr.count", "whole number", "got 0")),
    "unknown row": ("steps = 40", 'steps = 40\nrecord = "enrgy"', ("sweep.record: unknown row 'enrgy'", "'energy'")),
    "unknown zip": ("steps = 40", 'steps = 40\nzipped = ["lr", "bta"]', ("sweep.zipped: unknown name 'bta'", "'beta'")),
    "lengths": ("steps = 40", "steps = 40\nzipped = true", ("zipped values must be equally many, got 6 of lr, 2 of",)),
    "a time": ('energy', 't1 = 3.0\nenergy', ("t1: a sweep takes `steps`", "leave `t1` out")),
    "no noise": ("beta = .*", "seed = [1]", ("sweep.over.seed: momentum has no noise",)),
    "no seeds": ("beta = .*", "seed = [1.5]", ("sweep.over.seed", "whole numbers", "[1.5]")),
    "uneven starts": ("beta = .*", "x0 = [[1.0, 2.0], [1.0]]", ("sweep.over.x0", "as many entries as the first, 2")),
    "uneven corners": (
        "beta = .*", "x0 = { from = [0, 0], to = [1, 1], count = [3] }", ("sweep.over.x0", "got 2, 2 and 1")),
    "negative": (r"\[0.5, 0.9\]", "[0.5, 1.9]", ("beta", "[0, 1)", "1.9")),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_in_the_file_is_one_line_that_names_it(name, file):
    old, new, words = BAD[name]
    text = re.sub(old, lambda _: new, FILE, count=1)
    assert text != FILE
    file.write_text(text)
    result = call("sweep", file)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert len(result.stderr.strip().splitlines()) == 1
    for word in words:
        assert word in result.stderr


def test_what_cannot_be_written_or_told_is_said_before_anything_is_run(file, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "pyarrow" else find(name, *a))
    cases = [
        (("--export", "a.txt"), "export: 'a.txt' must end in .csv or .parquet"),
        (("--export", "a.parquet"), "export: 'a.parquet' needs pyarrow, which is not installed"),
        (("--status",), "status: say of which store, --store DIR"),
        (("--status", "--store", tmp_path / "none"), "there is no store in"),
    ]
    for arguments, words in cases:
        result = call("sweep", file, *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert words in result.stderr
    refused = call("run", file)
    assert refused.exit_code == 2
    assert "run it by `gradientflow sweep`" in refused.stderr


def test_the_documentations_file_is_one():
    page = (pathlib.Path(__file__).parents[1] / "docs" / "many-runs.md").read_text()
    (text,) = re.findall(r"```toml\n(.*?)```", page, flags=re.S)
    swept = read_swept(*read_with_sweep(text))
    assert (swept.method, list(swept.over), swept.options) == ("momentum", ["lr", "beta"], {"steps": 1000})


def test_a_quiet_sweep_draws_no_line_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with progress("lanes", 2) as tell:
        tell(1)
    assert "lanes" in capsys.readouterr().err
    with silent(), progress("lanes", 2) as tell:
        tell(1)
    assert capsys.readouterr().err == ""
