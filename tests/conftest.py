"""Double precision, programs compiled quickly and kept between runs; types checked at run time by `make thorough`."""

import gc
import os
import pathlib
import subprocess
import sys

import pytest

from .thorough import THOROUGH

# What every process finds set that a test starts. A question without an answer is an exception, often raised under JAX:
# hiding JAX's own frames in it takes a sixth of the time.
ENVIRONMENT = {
    "JAX_ENABLE_X64": "1",
    "JAX_COMPILATION_CACHE_DIR": str(pathlib.Path(__file__).parents[1] / ".jax_cache"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.3",
    "JAX_TRACEBACK_FILTERING": "off",
    "MPLBACKEND": "Agg",
}
# Test workers are processes already: more threads in each only get in each other's way. Most of a test's time is
# compilation, which the code generator's optimizations double, and its emitter of fusions and a module's split in parts
# double again; what is computed stays the same.
XLA_FLAGS = (
    "--xla_cpu_multi_thread_eigen=false",
    "--xla_backend_optimization_level=0",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
)
# Of 65,530. A module adds up to 8,000 (measured), in a thorough run more. To forget takes seconds, and what is shared
# is compiled again.
MOST_MAPS = 45_000 if THOROUGH else 52_000


def _known(flags):
    """Those of the flags that the installed XLA knows; at others it aborts, naming them."""
    command = [sys.executable, "-c", "import jax; jax.devices()"]
    environment = os.environ | {"XLA_FLAGS": " ".join(flags)}
    tried = subprocess.run(command, env=environment, capture_output=True, text=True)
    return [flag for flag in flags if tried.returncode == 0 or flag not in tried.stderr]


def pytest_configure(config):
    """Sets all up before any test is imported."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # Workers find what their master has found out.
    if "XLA_FLAGS" not in os.environ:
        os.environ["XLA_FLAGS"] = " ".join(_known(XLA_FLAGS))

    import jax

    # A plugin may have imported JAX before the environment was set.
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_traceback_filtering", "off")
    jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
    if THOROUGH:
        # Every call is looked at, those that JAX traces too: a fourth more time.
        from jaxtyping import install_import_hook

        install_import_hook("gradientflow", "beartype.beartype")
    # No path may climb unnoticed. Said here and not in the settings, which would import the package too early.
    config.addinivalue_line("filterwarnings", "error::gradientflow.LyapunovWarning")
    # Compiled programs are millions of objects that stay: a collector that walks them again and again costs a third.
    gc.set_threshold(200_000, 50, 1_000)


@pytest.fixture(autouse=True, scope="module")
def _room_for_programs():
    """Forgets compiled programs before they take all the memory maps that Linux gives a process: XLA crashes then."""
    yield
    maps = pathlib.Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MOST_MAPS:
        import jax

        jax.clear_caches()
