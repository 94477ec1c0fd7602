# Each target sets itself up: a virtual environment, the package and what it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# What each example prints; its figure lies beside it.
EXAMPLES := $(patsubst examples/%.py,out/examples/%.txt,$(filter-out examples/_% examples/demo.py,$(wildcard examples/*.py)))

.PHONY: demo test thorough docs site examples bench release lint device-check clean

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: $(READY)
	$(BIN)/python examples/demo.py out/demo

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal

# What takes longer than a change should: two thousand random schemes against brute force, twenty kills of a write.
thorough: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[thorough]'
	GRADIENTFLOW_THOROUGH=1 $(BIN)/python -m pytest -n 2 --dist worksteal

# The site with all its figures: those of examples are made once, and again when an example changes.
docs: examples site

# The site with the figures that are there, into out/site; a warning is an error, a name that leads nowhere too.
site: $(READY)
	rm -rf out/site
	mkdir -p out/live
	$(BIN)/gradientflow lab --export out/live/laboratory.html --quiet
	$(BIN)/python -m sphinx -b html -W --keep-going -n -q -d out/doctrees docs out/site

examples: $(EXAMPLES)

out/examples/%.txt: examples/%.py | $(READY)
	mkdir -p $(@D)
	GRADIENTFLOW_OUT=$(@D) $(BIN)/python $< > $@.part
	mv $@.part $@

# Ours beside its peers, into docs/performance.md; on a machine that nobody else uses.
bench: $(READY)
	$(BIN)/python -m benchmarks

# Wheel and sdist, tried with every Python that is there, on the newest and the oldest versions of what they stand on.
release:
	.ci/release

# On a machine with an accelerator: the same answers as on the CPU, and how fast.
device-check: $(READY)
	$(BIN)/python benchmarks/device_check.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

clean:
	rm -rf $(VENV) out dist .jax_cache .pytest_cache .ruff_cache
