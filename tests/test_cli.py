"""The command line: what it prints, writes and refuses."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import gradientflow as gf
from gradientflow.experiments.cli import app


def call(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


QUICK = ("--method", "gradient_descent:0.05", "--t1", "0.2")


def test_the_running_example_needs_no_options_but_takes_them():
    result = call("compare", *QUICK, "--json")
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert [row["method"] for row in rows] == ["flow", "gradient_descent h=0.05"]
    assert rows[1]["observed order"] == pytest.approx(1, abs=0.05)


def test_a_pipe_gets_no_control_characters():
    done = subprocess.run(
        [sys.executable, "-m", "gradientflow", "compare", *QUICK], capture_output=True, text=True, check=True
    )
    assert "gradient_descent" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr == ""


def test_an_experiment_file_reproduces_the_run(tmp_path):
    first = call("compare", "--energy", "himmelblau", *QUICK[:2], "--t1", "0.1", "--out", tmp_path / "a", "--quiet")
    assert (first.exit_code, first.output) == (0, "")
    again = call("run", tmp_path / "a" / "EXPERIMENT.toml", "--out", tmp_path / "b", "--json")
    assert again.exit_code == 0
    assert (tmp_path / "a" / "table.csv").read_text() == (tmp_path / "b" / "table.csv").read_text()
    assert (tmp_path / "a" / "EXPERIMENT.toml").read_text() == (tmp_path / "b" / "EXPERIMENT.toml").read_text()


def test_energies_from_a_formula_a_file_and_data(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def bowl(p):\n    return p[0] ** 2 + 3 * p[1] ** 2\n")
    for energy in ("x^2 + 3*y^2", f"{file}:bowl"):
        result = call("compare", "--energy", energy, "--x0", "1,2", *QUICK, "--json")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)[1]["energy"] == pytest.approx((0.9**4) ** 2 + 12 * (0.7**4) ** 2, rel=1e-12)
    rng = np.random.default_rng(0)
    table = np.column_stack([rng.normal(size=(30, 2)), rng.integers(0, 2, 30)])
    np.savetxt(tmp_path / "data.csv", table, delimiter=",", header="a,b,sick", comments="")
    fit = ("--data", tmp_path / "data.csv", "--target", "sick", "--model", "logistic", "--ridge", "0.1")
    result = call("compare", *fit, "--method", "gradient_descent", "--t1", "5", "--json")
    assert result.exit_code == 0, result.output


def test_list_shows_every_energy_and_method():
    names = json.loads(call("list", "--json").stdout)
    assert set(names["energies"]) == set(gf.landscapes.names())
    assert {"gradient_descent", "momentum", "rk4", "langevin", "adam"} <= set(names["methods of the command line"])
    assert all(text for table in names.values() for text in table.values())
    assert "rosenbrock" in call("list").stdout


def test_the_documentations_tables_are_what_the_code_lists():
    page = pathlib.Path(__file__).parents[1] / "docs" / "catalogue.md"
    assert call("list", "--markdown").stdout == page.read_text()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    (folder / "good.csv").write_text("a,b,y\n1,2,0\n2,1,1\n3,5,0\n")
    (folder / "text.csv").write_text("a,b,y\n1,2,0\n2,one,1\n")
    (folder / "short.csv").write_text("a,b,y\n1,2,0\n2,1\n")
    (folder / "nan.csv").write_text("a,b,y\n1,2,0\nnan,1,1\n")
    (folder / "constant.csv").write_text("a,y\n1,3\n2,3\n")
    (folder / "empty.csv").write_text("")
    (folder / "energy.py").write_text(
        "import jax.numpy as jnp\n"
        "def vector(x): return x\n"
        "def nan(x): return jnp.log(-jnp.sum(x**2))\n"
        "def bowl(x): return jnp.sum(x**2)\n"
    )
    (folder / "broken.py").write_text("import nothing_of_this_name\n")
    (folder / "unknown.toml").write_text('enrgy = "beale"\n')
    (folder / "type.toml").write_text('t1 = "long"\n')
    (folder / "invalid.toml").write_text("t1 = = 3\n")
    (folder / "file").write_text("a file, no directory")
    return folder


BAD = [
    # arguments, what the message must name
    (("compare", "--energy", "rosenbrok"), ("energy", "rosenbrok", "did you mean 'rosenbrock'?")),
    (("compare", "--method", "gradient_decent:0.1"), ("method", "did you mean 'gradient_descent'?")),
    (("compare", "--method", "gradient_descent:-0.1"), ("step", "positive", "-0.1")),
    (("compare", "--method", "gradient_descent:0"), ("step", "positive", "0.0")),
    (("compare", "--method", "gradient_descent:inf"), ("step", "finite", "inf")),
    (("compare", "--method", "gradient_descent:fast"), ("method", "NAME[:step[:parameter]]", "fast")),
    (("compare", "--method", "rk4:0.1:2"), ("method", "rk4 takes a step")),
    (("compare", "--method", "momentum:0.1:1.5"), ("beta", "[0, 1)", "1.5")),
    (("compare", "--x0", "1,2,3"), ("x0", "(3,)")),
    (("compare", "--x0", "1,nan"), ("x0", "finite")),
    (("compare", "--x0", "1;2"), ("x0", "numbers separated by commas", "1;2")),
    (("compare", "--t1", "-1"), ("t1", "positive", "-1")),
    (("compare", "--t1", "0"), ("t1", "positive")),
    (("compare", "--precision", "float16"), ("precision", "float16", "float64 or float32")),
    (("compare", "--device", "abacus"), ("device", "abacus", "cpu, gpu or tpu")),
    (("compare", "--solver", "tsit6"), ("solver", "did you mean 'tsit5'?")),
    (("compare", "--energy", "{}/energy.py:bowl"), ("x0", "--x0 1,2")),
    (("compare", "--energy", "{}/energy.py:bow", "--x0", "1"), ("energy", "did you mean 'bowl'?")),
    (("compare", "--energy", "{}/energy.py:vector", "--x0", "1,2"), ("one real scalar", "float64[2]")),
    (("compare", "--energy", "{}/energy.py:nan", "--x0", "1,2"), ("energy is nan", "x0")),
    (("compare", "--energy", "{}/nowhere.py:f", "--x0", "1"), ("energy", "no file")),
    (("compare", "--energy", "{}/broken.py:f", "--x0", "1"), ("can't be run", "nothing_of_this_name")),
    (("compare", "--energy", "__import__('os').remove('x')"), ("expression", "not allowed")),
    (("compare", "--energy", "x^2 +"), ("expression", "not a formula")),
    (("compare", "--data", "{}/missing.csv", "--target", "y"), ("data", "missing.csv", "No such file")),
    (("compare", "--data", "{}/good.csv"), ("target", "column")),
    (("compare", "--data", "{}/good.csv", "--target", "why"), ("target", "'why'", "Known: a, b, y")),
    (("compare", "--data", "{}/text.csv", "--target", "y"), ("line 3", "column 'b'", "'one'")),
    (("compare", "--data", "{}/short.csv", "--target", "y"), ("line 3", "2 cells", "has 3")),
    (("compare", "--data", "{}/nan.csv", "--target", "y"), ("line 3", "column 'a'", "nan")),
    (("compare", "--data", "{}/constant.csv", "--target", "y"), ("target", "constant")),
    (("compare", "--data", "{}/empty.csv", "--target", "y"), ("data", "header")),
    (("compare", "--data", "{}/good.csv", "--target", "y", "--model", "logit"), ("model", "'logistic'")),
    (("compare", "--data", "{}/good.csv", "--target", "a", "--model", "logistic"), ("y", "two distinct labels", "3")),
    (("compare", "--data", "{}/good.csv", "--target", "y", "--ridge", "-1", "--model", "ridge"), ("ridge", "negative")),
    (("compare", "--data", "{}/good.csv", "--target", "y", "--energy", "beale"), ("energy", "not both")),
    (("compare", *QUICK, "--out", "{}/file"), ("out", "can't be written")),
    (("run", "{}/none.toml"), ("experiment", "can't be read")),
    (("run", "{}/unknown.toml"), ("experiment", "'enrgy'", "did you mean 'energy'?")),
    (("run", "{}/type.toml"), ("experiment", "t1", "wrong type", "long")),
    (("run", "{}/invalid.toml"), ("experiment", "not valid TOML")),
    (("compare", "--energy", "rosenbrock", "--method", "exact:0.1"), ("solution", "no closed form", "fit")),
]


@pytest.mark.parametrize(("arguments", "named"), BAD, ids=[" ".join(arguments)[:60] for arguments, _ in BAD])
def test_bad_input_is_one_line_and_nothing_is_written(arguments, named, files, tmp_path):
    out = tmp_path / "out"
    extra = () if "--out" in arguments else ("--out", out)
    result = call(*(a.format(files) if isinstance(a, str) else a for a in arguments), *extra)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1
    for word in named:
        assert word in result.stderr
    assert not list(pathlib.Path(out).rglob("*.html"))


def test_the_version():
    assert call("--version").stdout == f"gradientflow {gf.__version__}\n"


def test_an_unknown_option_is_refused_too():
    assert call("compare", "--stepp", "1").exit_code == 2


def test_stability_proves_its_limits_and_draws_them(tmp_path):
    result = call("stability", "--method", "rk4:0.02", "--method", "momentum:0.01:0.9", "--json", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    rk4, momentum = json.loads(result.stdout)
    assert (rk4["grade"], momentum["grade"]) == ("proved", "proved")
    greatest = (27 + 245**0.5) / 2
    assert rk4["limit of h"] == pytest.approx(2.78529356340528 / greatest, rel=1e-9)
    assert momentum["limit of lr"] == pytest.approx(2 * 1.9 / greatest, rel=1e-9)
    assert (rk4["formula"], momentum["from everywhere"]) == ("2.78529/lambda", momentum["limit of h"])
    assert {file.name for file in tmp_path.iterdir()} == {"report.html", "table.csv", "figures", "EXPERIMENT.toml"}
    again = call("run", tmp_path / "EXPERIMENT.toml", "--json")
    assert json.loads(again.stdout) == [rk4, momentum]


def test_stability_finds_the_minimizer_of_a_formula_or_says_that_there_is_none():
    result = call("stability", "--energy", "(x-2)^4 + (x-2)^2 + y^2", "--method", "gradient_descent", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)[0]["limit of h"] == pytest.approx(1, rel=1e-6)
    lost = call("stability", "--energy", "exp(-x)", "--x0", "1", "--method", "gradient_descent:0.1")
    assert lost.exit_code == 2
    assert "finds no minimizer" in lost.stderr


def test_verify_proves_and_measures(tmp_path):
    result = call("verify", "--method", "gradient_descent:0.01", "--t1", "0.5", "--json", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    claims = json.loads(result.stdout)
    assert {claim["grade"] for claim in claims} == {"proved", "measured"}
    assert all(c["false sibling"].startswith("refuted") for c in claims if c["grade"] == "proved")
    assert {file.name for file in tmp_path.iterdir()} == {"report.html", "table.csv", "figures", "EXPERIMENT.toml"}
    assert call("verify", "--method", "gradient_descent:0.01", "--t1", "0.5").stdout.count("proved ") >= 9


def test_an_unknown_question_in_a_file(tmp_path):
    (tmp_path / "a.toml").write_text('question = "stabillity"')
    result = call("run", tmp_path / "a.toml")
    assert result.exit_code == 2
    assert "did you mean 'stability'?" in result.stderr
