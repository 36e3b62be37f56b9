# Two commands on a fresh clone: `make run`, and for a change `make check test`.
# Every target makes .venv itself, and again when the dependencies change.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Errors only: setuptools warns at length of something that editable installs always do.
PIP := $(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt
ARGS ?=

# Without bytecode files every process compiles everything at each start, and benchmarks lie.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install run check fix test coverage bench bench-ledger bench-memory e2e chaos chaos-limits

help:      ## this list
	@grep -E '^[a-z0-9-]+: .*##' Makefile | sed -E 's/^([a-z0-9-]+):.*## */  make \1\t/' | expand -t 20

# pip, not python: without Debian's python3-venv the latter is made and the former is not.
$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing into $(VENV): a minute or two, once."
	$(PIP) pip
	$(PIP) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing into $(VENV): a minute or two, once."
	$(PIP) pip
	$(PIP) -e . --group dev
	@touch $(VENV)/.runtime $@

install: $(VENV)/.dev      ## .venv with everything a change needs

run: $(VENV)/.runtime      ## the gateway on http://127.0.0.1:4000 (make run ARGS="--port 5000")
	@$(BIN)/tidegate serve $(ARGS)

check: $(VENV)/.dev        ## format, lint, import contracts, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

fix: $(VENV)/.dev          ## what a machine can repair
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: $(VENV)/.dev         ## all quick tests (make test K=journal)
	$(BIN)/pytest -q -n 3 --dist worksteal $(if $(K),-k "$(K)")

coverage: $(VENV)/.dev     ## the same, measured
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q -n 3 --dist worksteal
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

bench: $(VENV)/.dev        ## CPU per call against nginx in the same run; keep the machine quiet
	$(BIN)/python -m tests.bench.proxy $(ARGS)
	$(BIN)/python -m tests.bench.translating
	$(BIN)/python -m tests.bench.profile

bench-memory: $(VENV)/.dev ## Evidence found on LoCoMo, beside BM25, the embedder alone and Mem0 (make bench-memory ARGS="path.json --mem0 VENV")
	$(BIN)/python -m tests.bench.locomo $(ARGS)

bench-ledger: $(VENV)/.dev ## CPU per question, row and byte at ten million calls (make bench-ledger ARGS="1000000")
	$(BIN)/python -m tests.bench.ledger $(ARGS)

e2e: $(VENV)/.dev          ## official clients and packaged models against local processes
	$(BIN)/pytest -m "e2e or slow"

chaos: $(VENV)/.dev        ## the full seeded kill runs
	$(BIN)/pytest -m chaos

chaos-limits: $(VENV)/.dev ## the same for limits and budgets alone: what they gave way to, which is nothing
	$(BIN)/pytest -q -p no:randomly -m chaos tests/integration/test_chaos_limits.py tests/integration/test_chaos_budgets.py
