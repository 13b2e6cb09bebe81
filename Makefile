# Everything a person or CI does here. A fresh machine needs python3 (3.11 or newer) and make, nothing else.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PY := .venv/bin/python
SOURCES := $(wildcard contracts/src chassis/src launcher/src services/*/src tools)
WORKERS ?= 2
PORT ?=
ARGS ?=

.PHONY: help up test check test-full proto migrate release bench lint format clean venv

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: venv ## Install what is missing and run the whole product here (PORT=8081 for another port, ARGS="…")
	@./orderhub up $(if $(PORT),--port $(PORT)) $(ARGS)

test: venv ## Run the tests (ARGS="-k cancel" for some of them)
	@$(PY) -m pytest -q -n $(WORKERS) --dist loadgroup -m "not full and not backends" $(ARGS)

check: venv ## Look at the code without running it: style, types, imports, generated code, house rules
	@PY=$(PY) sh tools/check.sh $(SOURCES)

test-full: venv ## Run what is too slow for `make test`, and buf's checks of the contracts
	@PY=$(PY) WORKERS=$(WORKERS) sh tools/test_full.sh

proto: venv ## Delete the generated code and generate it again from contracts/proto
	@$(PY) tools/gen_proto.py

migrate: venv ## Bring the databases of the data folder to the newest schema
	@./orderhub migrate $(ARGS)

release: venv ## Build the wheels of this version into dist/releases/<version>, with checksums; uploads nothing
	@$(PY) tools/release.py

bench: ## Measure, print the ratios and write benchmarks/RESULTS.md
	@sh tools/venv.sh --group bench
	@$(PY) benchmarks/run.py $(ARGS)

lint: venv ## Style alone
	@$(PY) -m ruff check .

format: venv ## Put the code into the common style
	@$(PY) -m ruff check --fix-only --quiet . && $(PY) -m ruff format .

clean: ## Remove what can be made again: .venv, caches, tools (never the data)
	@rm -rf .venv .orderhub/tools .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv:
	@sh tools/venv.sh
