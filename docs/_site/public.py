"""Public names: a directive that documents them, what their docstrings are in RST, and links to them from any page."""

import dataclasses
import functools
import inspect
import re
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

import equinox as eqx
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config, GoogleDocstring
from sphinx.util.docutils import SphinxDirective

import gradientflow
from gradientflow._names import MOVED

# Rooms that are asked for their names: gf.optimizers.momentum.
ROOMS = ("constraints", "landscapes", "norms", "optimizers", "penalties", "plots", "potentials", "schedules", "solvers")
# `code`, $formula$, F_{μ,L}, and what is no mark of emphasis: x*, |x|, a backslash, x_ at the end of a word.
MARKS = (
    r"`+(?P<code>[^`]+)`+|\$(?P<formula>[^$]+)\$|(?P<index>\b\w_\{[^}]*\})"
    r"|(?P<emphasis>(?<!\w)\*\w[^*\n]*\w\*(?!\w))|(?P<sign>[*|\\]|(?<=\w)_(?!\w))"
)
TABLES = ("catalogue", "optimizers")
SECTIONS = Config(napoleon_use_ivar=True, napoleon_attr_annotations=False)
# Everyday words stand for themselves; as names of ours they are written gf.energy.
WORDS = {"energy", "field", "load", "order", "prox", "report", "sample", "settle", "watch", "curvature", "lab"}


@functools.cache
def public_names() -> dict[str, Any]:
    """What a user calls by name, as it is called behind `gf.`, and what it is."""
    at_the_door = {*gradientflow.__all__, *(name for name, now in MOVED.items() if now.split(".")[-1] == name)}
    found = {name: getattr(gradientflow, name) for name in sorted(at_the_door)}
    for room in ROOMS:
        module = getattr(gradientflow, room)
        for name, thing in vars(module).items():
            own = getattr(thing, "__module__", "").startswith(module.__name__) and not name.startswith("_")
            if own and (inspect.isclass(thing) or inspect.isfunction(inspect.unwrap(thing))):
                found[f"{room}.{name}"] = thing
    return {name: thing for name, thing in found.items() if not isinstance(thing, ModuleType)}


class Public(SphinxDirective):
    """Documents the names that are its lines: a table of their first sentences, then each in full."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Writes the directives of autodoc."""
        names = [f"gradientflow.{line.strip()}" for line in self.content if line.strip()]
        lines = ["```{eval-rst}", ".. autosummary::", "   :nosignatures:", ""]
        lines += [f"   ~{name}" for name in names] + [""]
        for name in names:
            kind = "class" if inspect.isclass(public_names()[name.removeprefix("gradientflow.")]) else "function"
            lines += [f".. auto{kind}:: {name}", *(["   :members:"] if kind == "class" else []), ""]
        return self.parse_text_to_nodes("\n".join([*lines, "```"]))


def as_rst(text: str) -> str:
    """A docstring in RST: `code` and $formulas$ are marked as such; what else RST would read as a mark is a sign.

    Examples stay as they are.
    """

    def mark(found: re.Match[str]) -> str:
        if found["emphasis"] or found["sign"]:
            return found["emphasis"] or f"\\{found['sign']}"
        formula = found["formula"] or found["index"]
        marked = f":math:`{' '.join(formula.split())}`" if formula else f"``{found['code']}``"
        # Marks end at a space, or at one that is not shown.
        before, after = found.string[: found.start()][-1:], found.string[found.end() :][:1]
        ends = not after or not (after.isalnum() or after in "([{")
        return ("\\ " if before.strip() else "") + marked + ("" if ends else "\\ ")

    blocks = []
    for block in re.split(r"(\n\s*\n)", text):
        prose, prompt, example = block.partition(">>>")
        prose = re.sub(MARKS, mark, prose)
        # Initials are no numbers of a list.
        blocks.append(re.sub(r"^(\s*\w+)\.(?= )", r"\1\\.", prose, flags=re.MULTILINE) + prompt + example)
    return "".join(blocks)


def process_docstring(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Autodoc's hook. Napoleon reads the sections; what stands before a colon is no type to us."""
    text = re.sub(r"^Returns:\n\s+(.*(?:\n .*)*)", r":returns: \1", as_rst("\n".join(lines)), flags=re.MULTILINE)
    lines[:] = GoogleDocstring(text.split("\n"), SECTIONS, app, "method", name, thing).lines()


def process_signature(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, None] | None:
    """What an analysis returns is made by it: nobody calls the class."""
    made = inspect.isclass(thing) and dataclasses.is_dataclass(thing) and not issubclass(thing, eqx.Module)
    return ("", None) if made else None


def leave_out_members(app: Sphinx, domain: str, kind: str, content: nodes.Element) -> None:
    """In the margin a class stands alone: in the trees of all pages methods would cost a third of the time."""
    if kind in ("attribute", "classmethod", "method", "property", "staticmethod"):
        content.parent["no-contents-entry"] = True


def link_names(app: Sphinx, doctree: nodes.document) -> None:
    """Makes `Name`, `gf.name` and `room.name` in any text a link to where it is documented."""
    known = public_names()
    # Pages of tables, which name what is in the rooms without the room.
    inside = {name.split(".")[1]: name for name in known if "." in name} if app.env.docname in TABLES else {}
    for literal in list(doctree.findall(nodes.literal)):
        text = literal.astext()
        name = re.sub(r"^(gf\.|gradientflow\.)|\(.*\)$", "", text)
        name = name if name in known else inside.get(name, name)
        is_word = name in WORDS and not text.startswith("gf.")
        if name not in known or is_word or isinstance(literal.parent, (nodes.reference, pending_xref, nodes.title)):
            continue
        where = {"refdomain": "py", "reftype": "obj", "reftarget": f"gradientflow.{name}", "refdoc": app.env.docname}
        link = pending_xref("", refexplicit=True, **where)
        literal.replace_self(link)
        link += literal


def setup(app: Sphinx) -> dict[str, int]:
    """The extension."""
    app.setup_extension("sphinx.ext.autodoc")
    app.add_directive("public", Public)
    app.connect("autodoc-process-docstring", process_docstring)
    app.connect("autodoc-process-signature", process_signature)
    app.connect("object-description-transform", leave_out_members)
    app.connect("doctree-read", link_names)
    # What was read by another version of this file is read again.
    version = zlib.crc32(Path(__file__).read_bytes())
    return {"env_version": version, "parallel_read_safe": True, "parallel_write_safe": True}
