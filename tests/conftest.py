"""Double precision, types checked at run time, and compiled programs kept between runs."""

import gc
import os
import pathlib

# For every process that a test starts; this one may have imported JAX already, through a plugin.
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(pathlib.Path(__file__).parents[1] / ".jax_cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")
# Test workers are processes already: more threads in each only get in each other's way. Most of a test's time is
# compilation, which the code generator's optimizations double, and its emitter of fusions and a module's split in parts
# double again; what is computed stays the same. (JAX stops with the name of a flag that it no longer knows.)
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_cpu_multi_thread_eigen=false --xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false "
    "--xla_cpu_parallel_codegen_split_count=1",
)
os.environ.setdefault("MPLBACKEND", "Agg")
# A question without an answer is an exception, often raised under JAX: hiding JAX's own frames in it takes a sixth of
# the time.
os.environ.setdefault("JAX_TRACEBACK_FILTERING", "off")

import jax
from jaxtyping import install_import_hook

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_traceback_filtering", "off")
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)

install_import_hook("gradientflow", "beartype.beartype")


def pytest_configure(config):
    """No path may climb unnoticed. Said here and not in the settings, which would import the package too early."""
    config.addinivalue_line("filterwarnings", "error::gradientflow.flows.solve.LyapunovWarning")


# Compiled programs are millions of objects that stay: a collector that walks them all again and again costs a third.
gc.set_threshold(200_000, 50, 1_000)
