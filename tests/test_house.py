"""The house itself: imports only go down, names are lazy, everything public is documented."""

import ast
import dataclasses
import doctest
import enum
import graphlib
import importlib
import inspect
import pathlib
import pkgutil
import subprocess
import sys

import equinox as eqx
import pytest

import gradientflow as gf
from gradientflow._names import MOVED

from .thorough import part

SOURCES = pathlib.Path(gf.__file__).parent
FLOORS = ("flows", "discretizers", "analysis", "experiments")
# Lazy imports that run upstairs: only when the method is called.
ALLOWED_UPSTAIRS = {
    ("discretizers/running/chains.py", "gradientflow.analysis.plots.chains"),
    ("flows/energies/energy.py", "gradientflow.analysis.plots.landscape"),
    ("flows/flow.py", "gradientflow.analysis.plots.landscape"),
    ("flows/trajectory.py", "gradientflow.analysis.comparison.figures"),
    ("flows/trajectory.py", "gradientflow.analysis.results.html"),
}
SECOND_FLOOR_ONLY = ("sympy", "matplotlib", "clarabel", "pandas", "jinja2")
MODULES = [m.name for m in pkgutil.walk_packages(gf.__path__, "gradientflow.")]


def _module_name(file):
    parts = ("gradientflow", *file.relative_to(SOURCES).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(file, module_level_only):
    """The modules that a file imports, relative ones by their full names; a name that is a module is that module."""
    tree = ast.parse(file.read_text())
    package = _module_name(file).split(".")
    package = package if file.name == "__init__.py" else package[:-1]
    for node in tree.body if module_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            submodules = [name for alias in node.names if (name := f"{base}.{alias.name}") in MODULES]
            yield from submodules or [base]


@pytest.mark.parametrize("floor", FLOORS)
def test_imports_only_go_down(floor):
    above = FLOORS[FLOORS.index(floor) + 1 :]
    found = set()
    for file in (SOURCES / floor).rglob("*.py"):
        for name in _imports(file, module_level_only=False):
            if any(f"{name}.".startswith(f"gradientflow.{upper}.") for upper in above):
                found.add((file.relative_to(SOURCES).as_posix(), name))
    assert found == {pair for pair in ALLOWED_UPSTAIRS if pair[0].startswith(floor)}


def test_no_files_import_each_other():
    """Nothing depends on the order in which a face imports its rooms."""
    files = [file for file in SOURCES.rglob("*.py") if file.name != "__init__.py"]
    graph = {_module_name(file): set(_imports(file, module_level_only=True)) & set(MODULES) for file in files}
    assert list(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("floor", ["flows", "discretizers"])
def test_inside_a_floor_files_are_imported_and_not_faces(floor):
    faces = {_module_name(file) for file in (SOURCES / floor).rglob("__init__.py")}
    for file in (SOURCES / floor).rglob("*.py"):
        if file.name != "__init__.py":
            assert faces.isdisjoint(_imports(file, module_level_only=True)), file


@pytest.mark.parametrize("floor", ["flows", "discretizers"])
def test_nothing_below_the_second_floor_imports_its_libraries(floor):
    for file in (SOURCES / floor).rglob("*.py"):
        for name in _imports(file, module_level_only=True):
            assert name.split(".")[0] not in SECOND_FLOOR_ONLY, file


def test_the_links_at_the_root_show_the_floors():
    root = SOURCES.parents[1]
    for floor in ("flows", "discretizers", "analysis"):
        assert (root / floor).resolve() == SOURCES / floor


@pytest.mark.parametrize(
    "code",
    ["import gradientflow", "import sys; sys.argv = ['gradientflow', '--help']; import gradientflow.experiments.cli"],
)
def test_importing_is_lazy(code):
    program = f"import sys\n{code}\nprint([n for n in ('jax', 'sympy', 'matplotlib', 'diffrax') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_lazy_name_resolves_and_is_in_the_stub():
    stub = ast.parse((SOURCES / "__init__.pyi").read_text())
    declared = {alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert declared == set(gf.__all__)
    for name in gf.__all__:
        assert getattr(gf, name) is not None
    listed = dir(gf)
    assert set(gf.__all__) <= set(listed)
    assert len(set(listed)) == len(listed)
    with pytest.raises(AttributeError, match="no attribute 'grad_flow'"):
        _ = gf.grad_flow


def test_the_front_door_has_few_names_and_the_old_ones_lead_to_where_they_went():
    assert len(gf.__all__) <= 140
    assert not set(MOVED) & set(gf.__all__)
    for old, now in MOVED.items():
        thing = gf
        for step in now.split("."):
            thing = getattr(thing, step)
        assert getattr(gf, old) is thing
    for room in (gf.flows, gf.discretizers, gf.analysis):
        with pytest.raises(AttributeError, match="no attribute 'grad_flow'"):
            _ = room.grad_flow


def _public():
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name, thing in vars(module).items():
            own = getattr(thing, "__module__", None) == module_name
            if own and not name.startswith("_") and (inspect.isclass(thing) or inspect.isfunction(thing)):
                yield f"{module_name}.{name}", thing


def test_everything_public_is_documented():
    undocumented = [name for name, thing in _public() if not inspect.getdoc(thing)]
    for name, thing in _public():
        if inspect.isclass(thing):
            undocumented += [
                f"{name}.{key}"
                for key, member in vars(thing).items()
                if not key.startswith("_") and inspect.isfunction(member) and not inspect.getdoc(member)
            ]
    assert undocumented == []


@pytest.mark.parametrize("name", [n for n in gf.__all__ if inspect.isclass(getattr(gf, n)) or callable(getattr(gf, n))])
def test_public_flows_schemes_and_functions_show_an_example(name):
    thing = getattr(gf, name)
    abstract = inspect.isabstract(thing) and not issubclass(thing, gf.Discretizer)
    # What an analysis returns, and what can go wrong, is shown where it comes from.
    is_result = dataclasses.is_dataclass(thing) and not issubclass(thing, eqx.Module)
    is_outcome = inspect.isclass(thing) and issubclass(thing, (Exception, enum.Enum))
    small = {"Mode"}
    is_state = inspect.isclass(thing) and issubclass(thing, gf.Vector)
    if not (abstract or is_result or is_outcome or is_state or name in small):
        assert ">>>" in inspect.getdoc(thing)


def test_every_flow_scheme_and_step_rule_says_its_equation():
    classes = [getattr(gf, name) for name in gf.__all__ if inspect.isclass(getattr(gf, name))]
    ours = [c for c in classes if issubclass(c, (gf.Flow, gf.Discretizer, gf.StepRule)) and not inspect.isabstract(c)]
    assert [c.__name__ for c in ours if not c.equation] == []


SHOWING = [name for name in MODULES if ">>>" in inspect.getsource(importlib.import_module(name))]


@pytest.mark.parametrize("module_name", part(SHOWING, 6))
def test_docstring_examples_run(module_name):
    failures, _ = doctest.testmod(
        importlib.import_module(module_name), optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    )
    assert failures == 0


def test_no_file_needs_scrolling_to_find_its_point():
    lengths = {f.relative_to(SOURCES).as_posix(): len(f.read_text().splitlines()) for f in SOURCES.rglob("*.py")}
    assert {name: n for name, n in lengths.items() if n > 350} == {}


def test_the_readme_names_what_the_command_line_has():
    from typer.main import get_command

    from gradientflow.experiments.cli import app

    readme = (SOURCES.parents[1] / "README.md").read_text()
    for command in get_command(app).commands:
        assert f"gradientflow {command}" in readme
