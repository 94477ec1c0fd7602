"""The documentation site: `make docs` builds it into out/site, and nothing in it asks the network."""

import sys
from pathlib import Path

import sphinxcontrib.katex

import gradientflow

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_site"))

project = "gradientflow"
version = release = gradientflow.__version__
html_title = f"gradientflow {version}"
copyright = "the authors of gradientflow; Apache 2.0"

extensions = [
    "gallery",
    "public",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinxcontrib.katex",
]
# index.md is README.md with a table of contents.
exclude_patterns = ["README.md", "_site"]
nitpicky = True
# A type of another library, in solvers' signatures.
nitpick_ignore = [("py:class", "diffrax.ODETerm")]

autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autosummary_generate = False
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True
# x' is a prime: dashes alone are set.
smartquotes_action = "D"
# A name in the margin is short.
toc_object_entries_show_parents = "hide"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
# Excerpts are fetched, which a browser refuses to pages on a disk.
html_show_search_summary = False

# Style and fonts of KaTeX lie in _static/katex; its program comes with the extension and has to be of the same version.
katex_css_path = "katex/katex.min.css"
katex_options = "macros: {}, throwOnError: false"
if f"{sphinxcontrib.katex.katex_version}" not in (DOCS / "_static/katex/VERSION").read_text():
    raise RuntimeError(
        f"docs/_static/katex is another version than sphinxcontrib-katex brings, {sphinxcontrib.katex.katex_version}; "
        "copy katex.min.css and fonts/*.woff2 of that version of the npm package katex there"
    )
