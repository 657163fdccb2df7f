# The workspace's commands. Bare `make` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MEMBERS := protos worker_sdk orchestrator server
SOURCES := $(MEMBERS) requirements docs tests examples benchmarks

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1m%-13s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Everything is installed once and again only when a manifest or the pinned set changes.
$(VENV)/.installed: requirements/dev.txt pyproject.toml $(MEMBERS:%=%/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or later is needed; say which with 'make PYTHON=/path/to/python3'"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "python3 cannot make virtual environments here: install its venv module (Debian: python3-venv)"; exit 1; }
	@echo "installing into $(VENV) (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(MEMBERS:%=-e ./%) -e .
	@touch $@

.PHONY: install
install: $(VENV)/.installed ## Make .venv with everything in it

.PHONY: demo
demo: install ## Run the main job end to end on real input and say what happens
	@$(BIN)/python -m examples.digits.demo

.PHONY: run
run: install ## Start a server on the embedded store (data in ./data); flags with ARGS="..."
	@$(BIN)/bloge-server $(ARGS)

.PHONY: test
test: install ## Run the tests; choose with ARGS="tests/unit -k lease"
	@$(BIN)/python -m pytest $(ARGS)

.PHONY: test-long
test-long: install ## Walk 2,000 random histories of 100 steps
	@LONG=1 $(BIN)/python -m pytest tests/property --timeout 7200 $(ARGS)

.PHONY: test-planted
test-planted: install ## Plant known defects one by one; each must turn the suite red
	@$(BIN)/python tests/planted/run.py

.PHONY: test-faults
test-faults: install ## Break streams, workers and servers in every way we know; prints a table of fault and result
	@FULL=1 $(BIN)/python -m pytest tests/acceptance tests/faults --timeout 400 $(ARGS)

# axe-core, in a package made for another driver, of which only the one file is used.
AXE := axe-playwright-python==0.1.8
$(VENV)/.browser: requirements/browser.txt $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/browser.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(AXE)
	@touch $@

.PHONY: test-browser
test-browser: $(VENV)/.browser ## Look at every page of the Ops Console with headless Chromium (Debian: chromium, chromium-driver)
	@for each in chromium chromedriver; do command -v $$each >/dev/null || { echo "$$each is needed: apt-get install chromium chromium-driver"; exit 1; }; done
	@$(BIN)/python -m pytest tests/browser --timeout 300 $(ARGS)

.PHONY: chaos
chaos: install ## Break a live system for DURATION=60 seconds (SEED=...) and check every promise on what was recorded
	@PYTHONPATH=tests $(BIN)/python -m chaos --duration $${DURATION:-60} $${SEED:+--seed $$SEED}

.PHONY: test-crash
test-crash: install ## Kill an orchestrator at every boundary of an execution; another must end it as if nothing had been
	@PYTHONPATH=tests $(BIN)/python -m crash $(ARGS)
	@LONG=1 $(BIN)/python -m pytest tests/e2e/test_durable_graphs.py tests/property/test_crashes.py

.PHONY: verify
verify: install ## Check style, types, imports and generated files; changes nothing
	@$(BIN)/ruff format --check --quiet $(SOURCES)
	@$(BIN)/ruff check --quiet $(SOURCES)
	@$(BIN)/mypy --no-error-summary $(SOURCES)
	@$(BIN)/lint-imports --no-cache | tail -n 3
	@$(BIN)/python protos/generate.py --check
	@$(BIN)/python -m docs.generate --check
	@$(BIN)/python -m benchmarks.report --check
	@echo "verify: all checks passed"

.PHONY: fix
fix: install ## Format the code and mend what can be mended by itself
	@$(BIN)/ruff check --fix --quiet $(SOURCES) || true
	@$(BIN)/ruff format --quiet $(SOURCES)

.PHONY: proto
proto: install ## Generate the Python stubs from the protos
	@$(BIN)/python protos/generate.py

.PHONY: docs
docs: install ## Generate the pages that repeat code
	@$(BIN)/python -m docs.generate

.PHONY: load
load: install ## Put the load PROFILE=drain on a server and check that every item ended exactly once; flags with ARGS="..."
	@$(BIN)/bloge-load $${PROFILE:-drain} $(ARGS)

.PHONY: bench-peers
bench-peers: install ## Install what ours is measured beside, each in an environment of its own
	@$(BIN)/python -m benchmarks.peers.install

.PHONY: bench
bench: bench-peers ## Measure ours beside its peers and alone (about half an hour), and write docs/performance.md and docs/capacity.md
	@results=benchmarks/results/bench-$$(date -u +%Y%m%dT%H%M%SZ).jsonl; status=0; \
	  $(BIN)/python -m benchmarks.compare --out $$results || status=1; \
	  $(BIN)/python -m benchmarks.scale --out $$results || status=1; \
	  $(BIN)/python -m benchmarks.report $$results; exit $$status

.PHONY: bench-smoke
bench-smoke: install ## Run every benchmark with tiny sizes, with those peers that are installed
	@results=$$(mktemp -d) && $(BIN)/python -m benchmarks.compare --smoke --out $$results/bench.jsonl \
	  && $(BIN)/python -m benchmarks.scale --smoke --out $$results/bench.jsonl && rm -r $$results

.PHONY: bench-foreach
bench-foreach: install ## Measure what deciding costs in a foreach over N=5000 items
	@$(BIN)/python -m benchmarks.foreach $${N:-5000}

.PHONY: bench-streams
bench-streams: install ## Measure what STREAMS=1000 idle streams cost one server in memory and processor time
	@$(BIN)/python -m benchmarks.streams --streams $${STREAMS:-1000}

.PHONY: bench-cancel
bench-cancel: install ## Measure the time from a Cancel call until the handler notices
	@$(BIN)/python -m benchmarks.cancel

.PHONY: bench-console
bench-console: install ## Measure each page of the Ops Console with ITEMS=1000000 items in the store
	@$(BIN)/python -m benchmarks.console --items $${ITEMS:-1000000}

.PHONY: bench-executions
bench-executions: install ## Measure what 2,000 executions cost that wait at once, and a foreach over 5,000 items; flags with ARGS="..."
	@$(BIN)/python -m benchmarks.executions $(ARGS)

.PHONY: lock
lock: install ## Pin the third-party dependencies again
	@$(BIN)/python requirements/pin.py

.PHONY: clean
clean: ## Remove .venv, caches and ./data
	@rm -rf $(VENV) benchmarks/.cache benchmarks/peers/bullmq/node_modules data build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
