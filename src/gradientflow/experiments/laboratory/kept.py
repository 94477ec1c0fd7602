"""The scenes that come with the package, translated once a machine: kept in the user's cache folder."""

import contextlib
import functools
import hashlib
import pathlib
import shutil
from collections.abc import Callable
from importlib import metadata, resources
from typing import Any

import jax
import platformdirs

from gradientflow._files import write_file

from .scene import Scene
from .writing import written

# Of which what is translated and what is known of it may be another.
_LIBRARIES = ("jax", "jaxlib", "equinox", "sympy", "numpy")


def kept(scene: Scene, progress: Callable[[str], None]) -> str:
    """A scene that comes with the package as a JavaScript object, translated where that was not done before.

    It is kept for these very sources and libraries, unless JAX is told to keep nothing
    (`JAX_ENABLE_COMPILATION_CACHE=false`). A folder that can't be written is no error.
    """
    config: Any = jax.config
    if not config.jax_enable_compilation_cache:
        return written(scene, progress)
    root = pathlib.Path(platformdirs.user_cache_dir("gradientflow", appauthor=False)) / "laboratory"
    file = root / _sources() / f"{hashlib.sha256(scene.title.encode()).hexdigest()[:16]}.js"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return file.read_text(encoding="utf-8")
    text = written(scene, progress)
    with contextlib.suppress(OSError):
        if not file.parent.exists():
            # What other sources left.
            shutil.rmtree(root, ignore_errors=True)
            file.parent.mkdir(parents=True)
        write_file("lab", file, text.encode())
    return text


@functools.cache
def _sources() -> str:
    """A digest of the package's files and of the libraries' versions."""
    digest = hashlib.sha256(" ".join(f"{name} {metadata.version(name)}" for name in _LIBRARIES).encode())
    root = pathlib.Path(str(resources.files("gradientflow")))
    for file in sorted(entry for entry in root.rglob("*") if entry.suffix in (".py", ".toml", ".js")):
        digest.update(file.relative_to(root).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
