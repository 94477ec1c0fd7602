"""The benchmarks, one after the other on one core, into docs/performance.md: `make bench`, or some of them by name.

    python -m benchmarks [solving] [sweeps] …

Each runs in a process of its own, in which ours and its peers take turns on the same work. What is printed is kept as
it is, with the versions, the machine and its load; what was written of it by hand stays.
"""

import datetime
import importlib.metadata
import os
import pathlib
import platform
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
PAGE = HERE.parent / "docs" / "performance.md"
MARK = "<!-- measured by make bench; what is below is overwritten -->"
NAMES = ("solving", "sweeps", "optimizers", "langevin", "exact_readings", "certificates")
PACKAGES = ("jax", "jaxlib", "diffrax", "optax", "optimistix", "scipy", "numpy", "sympy", "PEPit")
# Libraries with threads of their own would be measured together with whoever shares the machine.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def versions():
    for package in PACKAGES:
        try:
            yield f"{package} {importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            yield f"{package} not installed"


def processor():
    known = pathlib.Path("/proc/cpuinfo")
    models = [line.split(":", 1)[1].strip() for line in known.read_text().splitlines() if line.startswith("model name")]
    return f"{models[0] if models else platform.processor()}, {os.cpu_count()} cores, of which one is used"


def measured(name):
    """A benchmark's title, and what it prints."""
    script = HERE / f"{name}.py"
    title = script.read_text().split('"""')[1].strip().splitlines()[0].split(". By hand")[0].rstrip(".:")
    print(f"{name} …", flush=True)
    pinned = ["taskset", "-c", "0"] if sys.platform == "linux" else []
    ran = subprocess.run([*pinned, sys.executable, script], env=os.environ | ONE_THREAD, capture_output=True, text=True)
    said = ran.stdout if ran.returncode == 0 else f"{ran.stdout}{ran.stderr.strip().splitlines()[-1]}"
    print(said, flush=True)
    return f"## {title}\n\n```text\n{said.rstrip()}\n```\n"


def main():
    names = sys.argv[1:] or NAMES
    if unknown := set(names) - set(NAMES):
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    before = os.getloadavg()[0]
    sections = [measured(name) for name in names]
    when = datetime.datetime.now(datetime.UTC).date()
    head = (
        f"Measured {when} with {', '.join(versions())}, Python {platform.python_version()}; {processor()}; load "
        f"{before:.1f} before and {os.getloadavg()[0]:.1f} after.\n"
    )
    kept = PAGE.read_text().split(MARK)[0]
    PAGE.write_text("\n".join([f"{kept}{MARK}\n", head, *sections]))


if __name__ == "__main__":
    main()
