"""The command line: what it prints, writes and refuses."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import sympy
from typer.testing import CliRunner

import gradientflow as gf
from gradientflow.discretizers import TABLEAUS
from gradientflow.experiments import vocabulary
from gradientflow.experiments.cli import app
from gradientflow.flows.energies import tables
from gradientflow.flows.solving import choice

from . import scripts
from .thorough import THOROUGH


def call(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


QUICK = ("--method", "gradient_descent:0.05", "--t1", "0.2")


def test_the_running_example_needs_no_options_but_takes_them():
    result = call("compare", *QUICK, "--json")
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert [row["method"] for row in rows] == ["flow", "gradient_descent h=0.05"]
    assert rows[1]["observed order"] == pytest.approx(1, abs=0.05)


def test_what_is_no_terminal_gets_no_control_characters(tmp_path):
    words = ["gradientflow", "compare", *QUICK]
    (tmp_path / "call.py").write_text(
        f"import sys\nfrom gradientflow.experiments.cli import main\nsys.argv = {words}\nmain()\n"
    )
    done = scripts.run(tmp_path / "call.py", tmp_path)
    assert done.returncode == 0
    assert "gradient_descent" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr == ""


def test_an_experiment_file_reproduces_the_run(tmp_path):
    bowl = ("--energy", "x^2 + 3*y^2", "--x0", "1,2")
    first = call("compare", *bowl, *QUICK, "--out", tmp_path / "a", "--quiet")
    assert (first.exit_code, first.output) == (0, "")
    written = ("--out", tmp_path / "b") if THOROUGH else ()
    again = call("run", tmp_path / "a" / "EXPERIMENT.toml", *written, "--json")
    assert again.exit_code == 0
    assert json.loads(again.stdout)[1]["energy"] == pytest.approx((0.9**4) ** 2 + 12 * (0.7**4) ** 2, rel=1e-12)
    # That all the rest is written as before too, takes as long once more.
    if written:
        assert (tmp_path / "a" / "table.csv").read_text() == (tmp_path / "b" / "table.csv").read_text()
        assert (tmp_path / "a" / "EXPERIMENT.toml").read_text() == (tmp_path / "b" / "EXPERIMENT.toml").read_text()


def test_energies_from_a_formula_a_file_and_data(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def bowl(p):\n    return p[0] ** 2 + 3 * p[1] ** 2\n")
    # A formula and a file are run by the tests of experiments, too.
    for energy in ("x^2 + 3*y^2", f"{file}:bowl") if THOROUGH else ():
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
    only = call("list", "optimizers").stdout
    assert "momentum" in only
    assert "rosenbrock" not in only
    assert json.loads(call("list", "step rules", "--json").stdout) == {"step rules": names["step rules"]}
    assert "kind: unknown table 'optimisers'; did you mean 'optimizers'?" in call("list", "optimisers").stderr


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
    (folder / "methods.toml").write_text('[[methods]]\nname = "adam"\n')
    (folder / "invalid.toml").write_text("t1 = = 3\n")
    (folder / "semicolons.csv").write_text("a;y\n1,5;0\n2,5;1\n4,0;0\n")
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
    (("compare", "--energy", "mine.py"), ("expression", "'mine.py'", "of a file name its function, FILE.py:FUNCTION")),
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
    (("run", "{}/type.toml"), ("experiment", "t1", "must be a number", "long")),
    (("run", "{}/methods.toml"), ("experiment", "`methods` must be a list of texts", '["adam:0.01"')),
    (("run", "{}/invalid.toml"), ("experiment", "not valid TOML")),
    (("compare", "--energy", "rosenbrock", "--method", "exact:0.1"), ("solution", "no closed form", "fit")),
    (("compare", "--seed", str(10**24)), ("seed", "64 bits", str(10**24))),
    (("compare", "--method", "rk4:1e-320"), ("step", "0 to a processor below", "1e-320")),
    (("compare", "--method", "rk4:1e-300", "--t1", "1"), ("1e+300 steps", "raise the step")),
    (("compare", "--method", "momentum:0.1:nan"), ("parameter", "finite", "nan")),
    (("compare", "--energy", "1/0*x"), ("expression", "'1 / 0' is not a finite number")),
    (("compare", "--energy", "x/(2-2)"), ("expression", "divides by 0")),
    (("compare", "--energy", "9^9^9^9*x"), ("expression", "not a finite number")),
    (("compare", "--energy", "sin + x"), ("expression", "sin(x)")),
    (("compare", "--energy", "+".join(["x^3"] * 480)), ("expression", "959 operations", "at most 200")),
    (("compare", "--target", "y"), ("target", "--data FILE.csv")),
    (("compare", "--model", "ridge"), ("model", "--data FILE.csv")),
    (("compare", "--sep", ";"), ("sep", "--data FILE.csv")),
    (("verify", "--t1", "nan"), ("t1", "finite", "nan")),
    (("compare", "--data", "{}", "--target", "y"), ("data", "can't be read", "directory")),
    (("compare", "--data", "{}/semicolons.csv", "--target", "y", "--sep", ";"), ("decimal", "'1,5'")),
    (("run", "{}"), ("experiment", "can't be read", "directory")),
    (("run", "/dev/zero"), ("experiment", "too long")),
    (("compare", "--stepp", "1"), ("--stepp", "No such option")),
    (("comprae",), ("comprae", "Did you mean 'compare'?")),
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
    if THOROUGH:
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
    if THOROUGH:
        assert call("verify", "--method", "gradient_descent:0.01", "--t1", "0.5").stdout.count("proved ") >= 9


def test_an_unknown_question_in_a_file(tmp_path):
    (tmp_path / "a.toml").write_text('question = "stabillity"')
    result = call("run", tmp_path / "a.toml")
    assert result.exit_code == 2
    assert "did you mean 'stability'?" in result.stderr


def test_a_typo_imports_nothing_numerical():
    program = """
import sys
from gradientflow.experiments.cli import app
for arguments in (["--method", "rk5"], ["--energy", "rosenbrok"], ["--energy", "x^"], ["--solver", "x"], ["--t1", "0"]):
    try:
        app(["compare", *arguments])
    except SystemExit as end:
        print(end.code, [name for name in ("jax", "numpy", "scipy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["2 []"] * 5


def test_the_names_read_from_the_sources_are_those_that_there_are():
    assert vocabulary.landscapes() == gf.landscapes.names()
    assert vocabulary.tableaus() == {name: tableau.order for name, tableau in TABLEAUS.items()}
    assert vocabulary.solvers() == sorted(choice._NAMED)
    assert vocabulary.models() == sorted(tables.MODELS)


def test_an_experiment_runs_a_python_file_beside_it_and_another_only_if_allowed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    code = "def bowl(p):\n    return p @ p\n"
    rest = 'question = "stability"\nx0 = [1.0]\nmethods = ["gradient_descent:0.1"]\n'
    for folder in (".", "elsewhere"):
        (tmp_path / folder / "mine.py").write_text(code)
        (tmp_path / f"{folder[:4]}.toml").write_text(f'energy = "{folder}/mine.py:bowl"\n{rest}')
    refused = call("run", tmp_path / "else.toml")
    assert (refused.exit_code, len(refused.stderr.splitlines())) == (2, 1)
    assert "does not lie beside it; give --allow-code" in refused.stderr
    for arguments in ([tmp_path / "..toml"], [tmp_path / "else.toml", "--allow-code"]):
        result = call("run", *arguments, "--json")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)[0]["limit of h"] == pytest.approx(1)


def test_a_table_with_semicolons_and_decimal_commas(tmp_path):
    (tmp_path / "a.csv").write_text("a;y\n1,5;0,5\n2,5;1\n4,0;0\n")
    given = ("--data", tmp_path / "a.csv", "--target", "y", "--sep", ";", "--decimal", ",")
    result = call("stability", *given, "--method", "gradient_descent", "--json", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert json.loads(call("run", tmp_path / "out" / "EXPERIMENT.toml", "--json").stdout) == json.loads(result.stdout)


def test_an_endless_table_is_not_read_for_ever(monkeypatch):
    monkeypatch.setattr(tables, "_LARGEST", 1000)
    with pytest.raises(ValueError, match="'/dev/zero' is longer than"):
        gf.flows.read_table("/dev/zero", "y")


def test_a_formula_of_second_degree_is_proved_as_the_quadratic_that_it_is():
    E = gf.from_expression("0.1*x^2 + x*y/3 + (y-1)^2 + 2*3")
    assert isinstance(E, gf.Quadratic)
    np.testing.assert_array_equal(E.H, [[0.2, 1 / 3], [1 / 3, 2]])
    np.testing.assert_array_equal(E.b, [0, 2])
    assert E.c == 7
    assert float(E([1.0, 2.0])) == pytest.approx(0.1 + 2 / 3 + 1 + 6, rel=1e-15)
    found = gf.stability(gf.GradientFlow(gf.from_expression("x^2+10*y^2")), gf.ForwardEuler())
    assert (found.grade, float(found.limit)) == ("proved", 0.1)
    long = gf.from_expression("+".join(["x^2-y"] * 333) + "+y")
    assert (float(long.H[0, 0]), float(long.b[1])) == (666, 332)
    assert float(long([2.0, 1.0])) == 4 * 333 - 332
    assert float(gf.from_expression("(x-1e8)^2")([1e8 + 1])) == 1
    for other in ("x^3", "1/x", "abs(x)", "x^2*y", "x^0.5", "2^x", "x^4"):
        assert not isinstance(gf.from_expression(other), gf.Quadratic)


def test_a_sympy_expression_of_second_degree_too():
    x, y, a = sympy.symbols("x y a")
    E = gf.from_sympy((x - y / 3) ** 2 + sympy.Rational(1, 2) * y + 4, [x, y])
    assert isinstance(E, gf.Quadratic)
    np.testing.assert_allclose(E.H, [[2, -2 / 3], [-2 / 3, 2 / 9]], rtol=1e-16)
    np.testing.assert_array_equal(E.b, [0, -0.5])
    for other in (x**3, sympy.sqrt(x), sympy.Max(x, 0), sympy.exp(x), x * y * (x + 1)):
        assert not isinstance(gf.from_sympy(other, [x, y]), gf.Quadratic)
    with pytest.raises(ValueError, match="variable a is not among"):
        gf.from_sympy(a * x, [x])


def test_whole_numbers_of_any_length_are_numbers():
    E = gf.from_expression("99999999999*99999999999*99999999999*x^4")
    assert float(E([1.0])) == pytest.approx(1e33, rel=1e-9)


def test_help_says_all_that_it_is_written_to_say():
    """Brackets are marks to who draws the help; and what a command lacks its help doesn't speak of."""
    assert "table [sweep]" in " ".join(call("sweep", "--help").output.split())
    assert "--json" not in call("lab", "--help").output


def test_an_unknown_command_is_told_which_there_are():
    assert "There are: compare, stability, verify, run, sweep, why, lab, list." in call("solve").output
