# make run    set up, train the main job on the embedded dataset, analyze it
# make test   set up, run the tests
# The first Python that runs and has a version we support.
SUPPORTED := import sys; v = sys.version_info[:2]; sys.exit(not (3, 11) <= v < (3, 14))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c '$(SUPPORTED)' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/.ready

MAIN_JOB := -m model.width=64,256,1024 dataset.train_size=160,1280 'seed=range(0,3)' noise.level=0,0.25,0.5
export MLFLOW_DISABLE_TELEMETRY ?= true

.PHONY: help setup run test check lint format bench gpu-bundle gpu-check paper docs coverage faults engines analyze ui clean

help:
	@echo "make run      set up, train the main job on the embedded dataset, analyze it"
	@echo "make test     set up, run the tests"
	@echo "make lint     ruff and mypy"
	@echo "make check    lint and the quick half of the tests, in two minutes"
	@echo "make bench    speed on this machine: benchmarks/RESULTS.md (an hour and a half; needs INITDIST_DATA)"
	@echo "make gpu-bundle  what a bare GPU machine without a network lacks, as one folder (needs INITDIST_DATA)"
	@echo "make gpu-check   all that has to be run on a GPU, in eight minutes: benchmarks/results/gpu_check.json"
	@echo "make paper    train and judge all that docs/paper.md says (an hour; SIZE=small: minutes; SIZE=full: on a GPU)"
	@echo "make faults   200 kills of a sweep, and ten times the drawn configs and files: docs/faults.md (an hour)"
	@echo "make docs     the documentation as a site: site/index.html (its notebooks are run: a minute)"
	@echo "make engines  sweeps on a real SLURM, PostgreSQL, MLflow server and Ray, disturbed (Debian, root; half an hour)"
	@echo "make coverage how often the intervals of the analysis hold the truth (minutes)"
	@echo "make analyze  analyze what is in the tracking store: report under reports/"
	@echo "make ui       open the MLflow UI on that store, at 127.0.0.1:5000 (PORT=... for another)"
	@echo "make clean    remove the environment and the caches; never the store"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@"$(PYTHON)" -c '$(SUPPORTED)' || { echo "initdist needs Python 3.11 to 3.13, and none was found: name one with make PYTHON=..."; exit 1; }
	@echo "Installing PyTorch and the rest into .venv, which takes some minutes"
	"$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $(READY)

run: setup
	$(BIN)/python -m initdist.train $(MAIN_JOB)
	$(BIN)/python -m multirun_analysis
	@echo "Report:  $(CURDIR)/reports/initdist/report.html"
	@echo "Runs:    make ui"
	@echo "More:    source .venv/bin/activate, then python -m initdist.train --help"

# Tests that start hardly a command.
QUICK := tests/test_layers.py tests/test_readme.py tests/test_rng.py tests/config tests/data tests/models \
	tests/stacks/test_optim.py tests/sweeps/test_planning.py tests/training/test_stopping.py

# One process more than cores: many tests wait for commands that they have started.
test: setup
	$(BIN)/python -m pytest -n $(shell $(BIN)/python -c 'import os; print(os.cpu_count() + 1)') --dist loadfile --no-loadscope-reorder

check: lint
	$(BIN)/python -m pytest -n $(shell $(BIN)/python -c 'import os; print(os.cpu_count())') $(QUICK)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	@mkdir -p benchmarks/results
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[bench]"
	$(BIN)/python benchmarks/steps.py --compiled 64,256 --json benchmarks/results/steps_cpu.json
	$(BIN)/python benchmarks/end_to_end.py --json benchmarks/results/end_to_end.json
	$(BIN)/python benchmarks/peers.py --json benchmarks/results/peers.json
	$(BIN)/python benchmarks/whole.py --json benchmarks/results/whole.json
	$(BIN)/python benchmarks/analysis.py --json benchmarks/results/analysis.json
	$(BIN)/python benchmarks/results.py

gpu-bundle: setup
	$(BIN)/python benchmarks/gpu_bundle.py $(if $(PYTHON312),--python "$(PYTHON312)")

# On a bare machine its own Python, which has PyTorch, with what the bundle adds; else the environment of make setup.
gpu-check:
	@"$(PYTHON)" benchmarks/gpu_check.py --probe
	@if [ -d gpu-bundle ] && "$(PYTHON)" -c 'import torch' 2>/dev/null; then "$(PYTHON)" benchmarks/gpu_check.py; \
	else $(MAKE) --no-print-directory setup && $(BIN)/python benchmarks/gpu_check.py; fi

# What is missing of every part of the paper is trained and judged; docs/paper.md is written anew. It can be stopped and
# goes on where it was. small: in minutes, full: on a GPU; these two leave docs/ alone.
SIZE ?= plain
paper: setup
	$(BIN)/python -m multirun_analysis.paper --size $(SIZE) $(if $(filter plain,$(SIZE)),--out docs) $(if $(PARTS),--parts $(PARTS))

SEED ?= 1
faults: setup
	$(BIN)/python -m tests.faults.kills --kills 200 --a-sweep 50 --seed $(SEED)
	INITDIST_FAULTS=10 $(BIN)/python -m pytest tests/faults/test_fuzz.py tests/faults/test_survival.py -k "any or away"

# What cannot be installed here is skipped, with the reason. Ray's launcher takes an older cloudpickle, and with it an
# older joblib: the next `make setup` after `rm .venv/.ready` puts them back.
engines: setup
	-[ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || apt-get install -y -qq slurm-wlm munge postgresql
	-$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,postgres]"
	-$(BIN)/python -m pip install --quiet --editable ".[ray]"
	PATH="$$PATH:$$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1)" $(BIN)/python -m tests.engines $(ENGINES)

coverage: setup
	$(BIN)/python tests/analysis/coverage.py

docs: setup
	$(BIN)/mkdocs build --strict --quiet
	@echo "Site: $(CURDIR)/site/index.html"

analyze: setup
	$(BIN)/python -m multirun_analysis

PORT ?= 5000
ui: setup
	$(BIN)/python -m initdist.ui --port $(PORT)

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache build dist
