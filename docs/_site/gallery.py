"""The gallery: a page for each script of examples/, with its question, its figure, its code and what it prints.

The scripts are not run here: `make examples` leaves figures and words in out/examples, and what is there is shown.
"""

import ast
import os
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from PIL import Image
from sphinx.addnodes import download_reference, pending_xref
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.fileutil import copy_asset

ROOT = Path(__file__).parents[2]
LEFT = ROOT / "out" / "examples"
# Pages on which scripts run: the laboratory, and those that examples leave.
LIVE = ROOT / "out" / "live"
THUMBNAIL = (560, 420)


def scripts() -> list[Path]:
    """The examples."""
    return sorted(file for file in (ROOT / "examples").glob("[!_]*.py") if file.name != "demo.py")


def question_of(script: Path) -> str:
    """The first line of an example."""
    return (ast.get_docstring(ast.parse(script.read_text())) or "").splitlines()[0]


def page_of(script: Path) -> str:
    """An example in Markdown."""
    text = script.read_text()
    tree = ast.parse(text)
    question, _, rest = (ast.get_docstring(tree) or "").partition("\n")
    code = "\n".join(text.splitlines()[tree.body[0].end_lineno :]).strip()
    figure, page, said = (LEFT / f"{script.stem}.{kind}" for kind in ("png", "html", "txt"))
    lines = [f"# {question}", "", rest.strip(), ""]
    if figure.exists():
        lines += [f"![The figure of this example.](/../out/examples/{figure.name})", ""]
    if page.exists():
        lines += [f'<iframe class="live" src="../live/{page.name}" title="{question}"></iframe>', ""]
    if said.exists():
        told = [line for line in said.read_text().splitlines() if not line.startswith(("figure: ", "page: "))]
        lines += ["It prints:", "", "````text", *told, "````", ""]
    lines += [f"From {{download}}`examples/{script.name} </../examples/{script.name}>`:", ""]
    return "\n".join([*lines, "```python", code, "```", ""])


def write(file: Path, text: str) -> None:
    """Writes a page, if it is another than before: what did not change is not read again."""
    if not file.exists() or file.read_text() != text:
        file.write_text(text)


def write_pages(app: Sphinx) -> None:
    """Writes docs/gallery, and the thumbnails."""
    folder, thumbnails = Path(app.srcdir) / "gallery", LEFT / "thumbnails"
    folder.mkdir(exist_ok=True)
    thumbnails.mkdir(parents=True, exist_ok=True)
    for page in folder.glob("*.md"):
        if not (ROOT / "examples" / f"{page.stem}.py").exists():
            page.unlink()
    for script in scripts():
        write(folder / f"{script.stem}.md", page_of(script))
        figure, thumbnail = LEFT / f"{script.stem}.png", thumbnails / f"{script.stem}.png"
        if figure.exists() and (not thumbnail.exists() or thumbnail.stat().st_mtime < figure.stat().st_mtime):
            with Image.open(figure) as image:
                small = image.convert("RGB")
            small.thumbnail(THUMBNAIL)
            small.quantize(128).save(thumbnail)


class Examples(SphinxDirective):
    """Cards of the examples that are its lines; `:large:` shows whole figures, `:pages:` puts their pages below."""

    has_content = True
    option_spec: ClassVar = {"pages": directives.flag, "large": directives.flag}

    def run(self) -> list[nodes.Node]:
        """A picture and a question each."""
        names = [line.strip() for line in self.content if line.strip()]
        # Figures may have come since.
        self.env.note_reread()
        kind, folder = ("figures", LEFT) if "large" in self.options else ("gallery", LEFT / "thumbnails")
        cards = []
        for name in names:
            picture, question = folder / f"{name}.png", question_of(ROOT / "examples" / f"{name}.py")
            shown = f"![]({os.path.relpath(picture, self.env.srcdir)})<br>" if picture.exists() else ""
            cards.append(f"[{shown}{question}](/gallery/{name}.md)")
        below = (
            ["```{toctree}", ":hidden:", *(f"/gallery/{name}" for name in names), "```"]
            if "pages" in self.options
            else []
        )
        grid = nodes.container("", *self.parse_text_to_nodes("\n\n".join(cards)), classes=[kind])
        return [grid, *self.parse_text_to_nodes("\n".join(below))]


def link_pages(app: Sphinx, doctree: nodes.document) -> None:
    """What a page links to as GitHub shows it, examples/x.py or CONTRIBUTING.md, leads to its page of the site."""
    if app.env.docname.startswith("gallery/"):
        return
    pages = {script.name: f"/gallery/{script.stem}" for script in scripts()}
    pages |= {"CONTRIBUTING": "/contributing", "CHANGELOG": "/changelog"}
    for link in [*doctree.findall(download_reference), *doctree.findall(pending_xref)]:
        page = pages.get(Path(link["reftarget"]).name)
        if page:
            where = {"refdomain": "std", "reftype": "doc", "reftarget": page, "refdoc": app.env.docname}
            link.replace_self(pending_xref("", *link.children, refexplicit=True, **where))


def copy_live_pages(app: Sphinx, failed: Exception | None) -> None:
    """The laboratory, and the pages that examples leave."""
    if not failed:
        for page in [*LIVE.glob("*.html"), *LEFT.glob("*.html")]:
            copy_asset(page, Path(app.outdir) / "live")


def setup(app: Sphinx) -> dict[str, bool]:
    """The extension."""
    app.add_directive("examples", Examples)
    app.connect("builder-inited", write_pages)
    app.connect("doctree-read", link_pages)
    app.connect("build-finished", copy_live_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
