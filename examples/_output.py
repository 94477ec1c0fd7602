"""Where the examples put their figures."""

import os
from pathlib import Path

from matplotlib.figure import Figure


def save(figure: Figure, script: str) -> None:
    """Writes the figure as a PNG named after the script, into the directory `GRADIENTFLOW_OUT`.

    Args:
        figure: the figure.
        script: the script's `__file__`.
    """
    directory = Path(os.environ.get("GRADIENTFLOW_OUT", "out/examples"))
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / Path(script).with_suffix(".png").name
    figure.savefig(file, dpi=130)
    print(f"figure: {file}")
