# Everything a person or CI does here. A fresh machine needs python3 (3.11 or newer) and make, nothing else.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PY := .venv/bin/python
SOURCES := $(wildcard contracts/src chassis/src launcher/src services/*/src tools deploy/backends deploy/docker deploy/env.py)
WORKERS ?= 2
NAMES ?=
PORT ?=
ARGS ?=
PROFILE ?= core
# The file of secrets by name: compose would also read what a .env in this folder says to `orderhub up`.
COMPOSE = docker compose --file deploy/compose.yaml --env-file deploy/.env

.PHONY: help up test check test-full test-backends backends-up backends-down backends-status proto migrate bench lint format
.PHONY: release clean venv compose-up compose-down compose-logs compose-ps compose-fresh

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: venv ## Install what is missing and run the whole product here (PORT=8081 for another port, ARGS="…")
	@./orderhub up $(if $(PORT),--port $(PORT)) $(ARGS)

test: venv ## Run the tests (ARGS="-k cancel" for some of them)
	@$(PY) -m pytest -q -n $(WORKERS) --dist loadgroup -m "not full and not backends" $(ARGS)

check: venv ## Look at the code without running it: style, types, imports, generated code, house rules
	@PY=$(PY) sh tools/check.sh $(SOURCES)

test-full: venv ## Run what is too slow for `make test`, and buf's checks of the contracts
	@PY=$(PY) WORKERS=$(WORKERS) sh tools/test_full.sh

test-backends: ## Run the tests that need real servers, which it starts before and stops afterwards
	@PY=$(PY) WORKERS=$(WORKERS) sh tools/test_backends.sh $(ARGS)

backends-up: venv ## Install and start real servers without Docker (NAMES="kafka redis"; all by default)
	@$(PY) deploy/backends up $(NAMES)

backends-down: venv ## Stop them and throw their data away (ARGS=--keep keeps the data)
	@$(PY) deploy/backends down $(ARGS) $(NAMES)

backends-status: venv ## What of them is running, and where
	@$(PY) deploy/backends status

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

compose-up: ## The whole product in containers (PROFILE=core, observability or all); secrets are made once
	@python3 deploy/env.py && $(COMPOSE) --profile $(PROFILE) up --build --detach $(ARGS)

compose-down: ## Stop the containers; the data stays (ARGS=--volumes removes it)
	@python3 deploy/env.py && $(COMPOSE) --profile '*' down $(ARGS)

compose-logs: ## What the containers say, as it comes (ARGS=orders for one of them)
	@python3 deploy/env.py && $(COMPOSE) --profile '*' logs --follow --tail 100 $(ARGS)

compose-ps: ## Which containers run, and how they are
	@python3 deploy/env.py && $(COMPOSE) --profile '*' ps --all $(ARGS)

compose-fresh: ## Stop, remove all data of the containers, and start anew (the secrets stay)
	@python3 deploy/env.py && $(COMPOSE) --profile '*' down --volumes --remove-orphans
	@$(MAKE) --no-print-directory compose-up

clean: ## Remove what can be made again: .venv, caches, tools (never the data)
	@rm -rf .venv .orderhub/tools .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv:
	@sh tools/venv.sh
