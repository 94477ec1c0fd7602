"""Every example runs, its own assertions hold, and it leaves its figure."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
# The demo is run by the continuous integration itself; these take ten seconds and more, and are run by hand.
BY_HAND = {
    "demo.py", "c14_batch_size.py", "c15_schedules.py", "c16_clipping_in_an_rnn.py", "c17_data_parallel.py",
    "c19_trust_region.py", "saddle_escape_along_the_unstable_direction.py",
}  # fmt: skip
# These compute more than they compile, so that compiling less carefully does not pay.
COMPUTE = {"c13_ill_conditioned_least_squares.py", "logistic_posterior_by_three_schemes.py"}
EXAMPLES = sorted(file for file in (ROOT / "examples").glob("[!_]*.py") if file.name not in BY_HAND)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_runs(file, tmp_path):
    environment = os.environ | {"GRADIENTFLOW_OUT": str(tmp_path)}
    if file.name in COMPUTE:
        environment.pop("XLA_FLAGS", None)
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert [p.suffix for p in tmp_path.iterdir()] == [".png"]
    assert len(file.read_text().splitlines()) <= 60


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_python_of_a_page_runs_and_its_pictures_are_there(page):
    text = page.read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    done = subprocess.run([sys.executable, "-c", "\n".join(blocks)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert bool(done.stdout) == bool(blocks)
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert link.startswith("http") or (page.parent / link).exists(), link
