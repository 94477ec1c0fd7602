"""Where the examples put their figures and pages."""

import os
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure


def save(figure: Figure, script: str) -> None:
    """Writes the figure as a PNG named after the script, into the directory `GRADIENTFLOW_OUT`.

    Args:
        figure: the figure.
        script: the script's `__file__`.
    """
    file = _place(script, ".png")
    figure.savefig(file, dpi=130)
    print(f"figure: {file}")


def save_page(page: Any, script: str) -> None:
    """Writes a page of the laboratory, named after the script, there.

    Args:
        page: the page.
        script: the script's `__file__`.
    """
    file = _place(script, ".html")
    page.save(file)
    print(f"page: {file}")


def _place(script: str, suffix: str) -> Path:
    directory = Path(os.environ.get("GRADIENTFLOW_OUT", "out/examples"))
    directory.mkdir(parents=True, exist_ok=True)
    return directory / Path(script).with_suffix(suffix).name
