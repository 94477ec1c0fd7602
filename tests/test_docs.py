"""The documentation site: every public name has its place, and what a page prints is what its code prints."""

import importlib.util
import pathlib
import re

import pytest

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
