"""Compiled programs kept between runs of the command line, in the user's cache folder."""

import os
import pathlib
from typing import Any

import jax
import platformdirs

# Shorter compilations than this are as quick as reading a file [s].
_WORTH_KEEPING = 0.05


def keep_programs() -> None:
    """Has JAX keep what it compiles, unless the user has said otherwise in JAX's own words.

    `JAX_COMPILATION_CACHE_DIR` is another folder, `JAX_ENABLE_COMPILATION_CACHE=false` none. A folder that can't be
    written is no error: programs are compiled anew then.
    """
    config: Any = jax.config
    if config.jax_compilation_cache_dir is not None or not config.jax_enable_compilation_cache:
        return
    folder = pathlib.Path(platformdirs.user_cache_dir("gradientflow", appauthor=False)) / "programs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.W_OK):
        config.update("jax_compilation_cache_dir", str(folder))
        config.update("jax_persistent_cache_min_compile_time_secs", _WORTH_KEEPING)
