# The same verbs for people and CI. Everything installs into .venv; nothing is needed but Python ≥ 3.11.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-slow check bench bench-data docs clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt "torch==2.13.0"
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $(STAMP)

demo: $(STAMP)  ## train, evaluate and sample a small bilingual model, about 5 minutes
	$(BIN)/loquela run recipes/demo.yaml --resume never

test: $(STAMP)  ## the whole fast suite
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow"

test-slow: $(STAMP)  ## what takes minutes: long crash runs, full flows, a Ray cluster on this machine
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev,ray]"
	$(BIN)/pytest -m slow --timeout 3600

check: $(STAMP)  ## lint, format, types, layers, docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/pytest -q tests/docs tests/cli/test_cli_reference.py

# The peers pin an older numpy than ours, so they get an environment of their own.
bench:  ## tokens/s against the peers on this machine
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --disable-pip-version-check --requirement benchmarks/requirements.txt
	.venv-bench/bin/pip install --quiet --disable-pip-version-check --editable .
	.venv-bench/bin/python benchmarks/train.py

# datatrove's filters want spaCy and NLTK, which nothing else here does.
bench-data: $(STAMP)  ## validator, filters, encoder, PDF reader and memory, against their peers
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --requirement benchmarks/data-requirements.txt
	$(PYTHON) -m venv .venv-datatrove
	.venv-datatrove/bin/pip install --quiet --disable-pip-version-check "datatrove[processing]==0.10.1" spacy nltk
	$(BIN)/python benchmarks/data.py --datatrove .venv-datatrove/bin/python

clean:
	rm -rf $(VENV) .venv-bench .venv-datatrove .mypy_cache .ruff_cache .pytest_cache
