"""The documentation site: every public name has its place, and what a page prints is what its code prints."""

import dataclasses
import enum
import importlib.util
import inspect
import json
import pathlib
import re
import subprocess
import tomllib

import equinox as eqx
import pytest

import gradientflow as gf

from .in_node import NODE, needs_node

DOCS = pathlib.Path(__file__).parents[1] / "docs"


def _public_names():
    pytest.importorskip("sphinx")
    specification = importlib.util.spec_from_file_location("public", DOCS / "_site" / "public.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.public_names()


def test_every_public_name_is_on_one_page():
    """A new name goes where a reader would look for it: into a list of docs/api."""
    lists = [
        re.findall(r"```\{public\}\n(.*?)```", page.read_text(), flags=re.DOTALL) for page in DOCS.glob("api/*.md")
    ]
    listed = [name for blocks in lists for block in blocks for name in block.split()]
    assert set(_public_names()) - set(listed) == set(), "put them into a list of docs/api"
    assert sorted(listed) == sorted(_public_names())


FORMULAS = ("constraints", "landscapes", "norms", "optimizers", "penalties", "potentials", "schedules", "solvers")


def _is_made(thing):
    """What an analysis returns, and what can go wrong, is told where it comes from."""
    if not inspect.isclass(thing):
        return False
    is_result = dataclasses.is_dataclass(thing) and not issubclass(thing, eqx.Module)
    return is_result or issubclass(thing, (Exception, enum.Enum))


def _has_an_equation(name, thing):
    prose = (inspect.getdoc(thing) or "").split(">>>")[0]
    kinds = (gf.Flow, gf.Discretizer, gf.StepRule, gf.Energy)
    wants = name.split(".")[0] in FORMULAS or (inspect.isclass(thing) and issubclass(thing, kinds))
    told = re.search(r"\$[^$]+\$|\S ?[=≤≥∈←↦] ?\S|[ẋẍż]|[²³⁴Σ]", prose) or getattr(thing, "equation", None)
    return bool(told) or not wants


def test_what_the_docstrings_of_public_names_lack():
    """An example that runs, an equation where there is one to write, a source: all but those of lacking.toml."""
    lacking = tomllib.loads((pathlib.Path(__file__).parent / "lacking.toml").read_text())
    names = {name: thing for name, thing in _public_names().items() if not _is_made(thing)}
    told = {name: inspect.getdoc(thing) or "" for name, thing in names.items()}
    assert {name for name in names if ">>>" not in told[name]} == set(lacking["example"].split())
    assert {name for name in names if not _has_an_equation(name, names[name])} == set(lacking["equation"].split())
    wanted, none = (set(lacking[key].split()) for key in ("source", "without_source"))
    assert not wanted & none
    assert {name for name in names if "References:" not in told[name]} == wanted | none


def _formulas():
    """What stands between dollars, in pages and in docstrings, outside of code."""
    pages = [page.read_text() for page in DOCS.glob("*.md")]
    docstrings = [inspect.getdoc(thing) or "" for thing in _public_names().values()]
    for text in [*pages, *(text.split(">>>")[0] for text in docstrings)]:
        prose = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
        yield from (match["formula"] for match in re.finditer(r"(\${1,2})(?P<formula>[^$]+)\1", prose))


@needs_node
def test_every_formula_can_be_set():
    """The site sets them in the browser, where a wrong one is red and no warning of the build."""
    katex = pytest.importorskip("sphinxcontrib.katex").SRC_DIR / "katex.min.js"
    program = f"""
        const katex = require({json.dumps(str(katex))});
        const wrong = {json.dumps(list(_formulas()))}.filter((text) => {{
            try {{ katex.renderToString(text); return false; }} catch {{ return true; }}
        }});
        console.log(JSON.stringify(wrong));
    """
    done = subprocess.run([NODE, "-"], input=program, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
