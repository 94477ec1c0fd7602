"""Examples run, their own assertions hold, and they leave their figures; and the Python of every page runs."""

import importlib.util
import pathlib
import re

import pytest

from .scripts import run, run_here
from .thorough import THOROUGH, part

ROOT = pathlib.Path(__file__).parents[1]
# The demo is run by the continuous integration itself; these take ten seconds and more.
SLOW = {
    "c06_a_network_by_hand.py", "c07_batch_norm_and_curvature.py", "c08_residual_gradient_norms.py",
    "c14_batch_size.py", "c15_schedules.py", "c16_clipping_in_an_rnn.py", "c17_data_parallel.py",
    "c18_hessian_spectrum.py", "c19_trust_region.py", "c20_initialization.py",
    "logistic_posterior_by_three_schemes.py", "noise_leaves_sharp_minima.py",
    "saddle_escape_along_the_unstable_direction.py", "training_page.py",
}  # fmt: skip
# These compute more than they compile, so that compiling less carefully does not pay.
COMPUTE = {"c13_ill_conditioned_least_squares.py", "logistic_posterior_by_three_schemes.py"}
ALL = sorted(file for file in (ROOT / "examples").glob("[!_]*.py") if file.name != "demo.py")
# A sixth of them in every run. One is in a process of its own there, as all are in a thorough run; what the others and
# the pages share is compiled once.
EXAMPLES = ALL if THOROUGH else [file for file in ALL if file.name not in SLOW][::6]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_runs(file, tmp_path):
    environment = {"GRADIENTFLOW_OUT": str(tmp_path)} | ({"XLA_FLAGS": None} if file.name in COMPUTE else {})
    done = (run if THOROUGH or file == EXAMPLES[0] else run_here)(file, tmp_path, environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert [p.suffix for p in tmp_path.iterdir()] in ([".png"], [".html"])
    text = file.read_text()
    assert len(text.splitlines()) <= 60
    if "_table.settle(" in text:
        assert done.stdout.count("  holds\n") >= 3


@pytest.mark.parametrize("turned", range(3))
def test_an_example_ends_at_a_claim_that_fails(turned, capsys):
    specification = importlib.util.spec_from_file_location("_table", ROOT / "examples" / "_table.py")
    table = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(table)
    claims = [(f"claim {i}", 0.5, True) for i in range(3)]
    table.settle(*claims)
    claims[turned] = (f"claim {turned}", 0.25, False)
    capsys.readouterr()
    with pytest.raises(AssertionError, match=rf"^claim {turned}: 0\.25"):
        table.settle(*claims)
    # All are told, whichever fails.
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()].count("holds") == 2


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


# The README's in every run, and a third of the others'.
@pytest.mark.parametrize("page", [PAGES[0], *part(PAGES[1:], 3)], ids=lambda page: page.stem)
def test_the_python_of_a_page_runs(page, tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    if blocks:
        (script := tmp_path / f"{page.stem}.py").write_text("\n".join(blocks))
        done = (run if THOROUGH else run_here)(script, ROOT)
        assert done.returncode == 0, done.stderr
        assert done.stdout
        # What stands below code as its output is what it prints, in this order.
        said = _without_trailing_spaces(done.stdout)
        for printed in re.findall(r"```\n\n```text\n(.*?)```", page.read_text(), flags=re.DOTALL):
            before, found, said = said.partition(_without_trailing_spaces(printed))
            assert found, (printed, before)


def _without_trailing_spaces(text):
    return "\n".join(line.rstrip() for line in text.splitlines())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_links_and_pictures_of_a_page_are_there(page):
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        assert link.startswith("http") or (page.parent / link).exists(), link
