# The whole developer interface. Every verb makes the environment it needs (.venv) from the hashed locks.
PYTHON ?= python3
BIN := .venv/bin
RUN_READY := .venv/ready-to-run
DEV_READY := .venv/ready-to-develop
# Tests by file on every core (docs/reliability.md); more than four would each want a broker of their own.
SPREAD := -n logical --maxprocesses 4 --dist loadscope
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo up up-distributed test test-all quick check chaos bench bench-against lock clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: $(RUN_READY) ## start a server and an endpoint, run examples/tour.py on them, show the ledger, stop
	@$(BIN)/python -m funcledger_compose demo

up: $(RUN_READY) ## start the server with a local endpoint and keep it running
	@$(BIN)/funcledger up

up-distributed: $(DEV_READY) ## start Kafka, MongoDB's stand-in and two of each service, from compose/compose.yaml
	@$(BIN)/python -m funcledger_compose.native

test: $(DEV_READY) ## all tests that need no container engine
	@$(BIN)/python -m pytest $(SPREAD)

quick: $(DEV_READY) ## unit, contract and property tests: about a minute
	@$(BIN)/python -m pytest $(SPREAD) -m "not slow and not distributed" tests/unit tests/contracts tests/properties tests/golden

test-all: $(DEV_READY) ## everything, the long runs too
	@$(BIN)/python -m pytest -m ""

check: $(DEV_READY) ## style, types and the rooms' import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

chaos: $(DEV_READY) ## kill processes 200 times under 20,000 tasks, audit the log, report (15 minutes); CHAOS="--profile distributed" too
	@$(BIN)/python -m tests.chaos $(CHAOS)

bench: $(DEV_READY) ## measure, print the table, write benchmarks/latest.json; BENCH="--profile kafka" for the services on Kafka
	@$(BIN)/python -m benchmarks $(BENCH)

bench-against: $(DEV_READY) ## measure this checkout and another in turn, print the ratios: OTHER=../base ROUNDS=7
	@$(BIN)/python -m benchmarks.against $(OTHER) --rounds $(or $(ROUNDS),7)

lock: $(DEV_READY) ## renew the hashed locks from pyproject.toml
	@$(PIP) uv
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--extra server --extra endpoint pyproject.toml requirements-build.in -o requirements.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--extra test pyproject.toml requirements-build.in -o requirements-dev.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--extra server --extra kafka --extra mongo --extra tracing pyproject.toml requirements-build.in \
		-o compose/requirements.lock

clean: ## remove the environment and caches
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "funcledger needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another with: make PYTHON=/path/to/python3.12 <verb>")'
	@$(PYTHON) -m venv .venv

$(RUN_READY): requirements.lock pyproject.toml | .venv/bin/python
	@echo "Preparing the environment in .venv (once) ..."
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV_READY): requirements-dev.lock pyproject.toml | .venv/bin/python
	@echo "Preparing the environment for tests in .venv (once) ..."
	@$(PIP) --require-hashes -r requirements-dev.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@ $(RUN_READY)
