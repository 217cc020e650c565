# Every target works in a fresh checkout and makes what it needs, including .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# The file contains the folder's name. If it differs, .venv was copied from another checkout.
ifneq ($(shell cat $(READY) 2>/dev/null),$(CURDIR))
.PHONY: $(READY)
endif

PACKAGES := packages/loopback_server packages/gcs_emulator packages/bigquery_emulator

$(READY): requirements.lock pyproject.toml $(PACKAGES:%=%/pyproject.toml)
	@deploy/make-venv "$(PYTHON)" $(VENV) requirements.lock -e . $(PACKAGES:%=-e %)
	@echo "$(CURDIR)" > $@

.PHONY: venv
venv: $(READY) ## Make .venv with the locked dependencies

.PHONY: demo
demo: $(READY) ## Run two synthetic months through the whole platform, offline
	$(BIN)/taxi-platform demo

# On SIGINT Dagster stops its processes and cancels runs, but a shell makes background commands ignore
# SIGINT. So restore its default.
WITH_SIGINT := $(BIN)/python -c \
  'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])'

PORT ?= 3000
WORKERS ?=

.PHONY: dev
dev: $(READY) ## Start the embedded stack and the UI on http://127.0.0.1:3000, or at another PORT; with WORKERS=2, runs are executed by workers
	@$(BIN)/taxi-platform local require-port $(PORT)
	$(BIN)/taxi-platform local up $(if $(WORKERS),--workers)
	@$(if $(WORKERS),$(BESIDE_WORKER),exec) $(WITH_SIGINT) $(BIN)/dg dev --host 127.0.0.1 --port $(PORT) $(if $(WORKERS),$(UNTIL_IT_ENDS))

# A terminal's Ctrl-C reaches all of them, but SIGTERM reaches this shell alone, which passes it on.
BESIDE_WORKER = $(BIN)/taxi-platform worker --concurrency $(WORKERS) & worker=$$!; \
  stop() { kill $$worker $$1 2>/dev/null; wait; }; \
  trap stop INT; trap 'stop $$ui' TERM;
UNTIL_IT_ENDS = & ui=$$!; wait $$ui; code=$$?; stop; exit $$code

TWO := --numprocesses 2 --dist

.PHONY: check
check: lint ## Lint, and run the fast tests that need no server
	$(BIN)/pytest --quiet $(TWO) worksteal -m "not integration and not slow"

.PHONY: test
test: $(READY) ## Run all tests, unit and integration
	$(BIN)/pytest $(TWO) loadfile --no-loadscope-reorder

.PHONY: lint
lint: $(READY) ## Check style, types and import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(READY) ## Format the code and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: docs
docs: $(READY) ## Write docs/data.md from the code
	$(BIN)/python -m taxi_platform.marts.documentation > docs/data.md

PICTURES := $(patsubst %,test-artefacts/browser/%.png,asset-graph failed-runs loaded-months partition)

.PHONY: screenshot
screenshot: $(READY) ## Renew the pictures of the UI in docs/, with the system's Chromium
	rm -f $(PICTURES)
	$(BIN)/pytest taxi_platform_tests/browser/test_first_hour.py
	cp $(PICTURES) docs/

.PHONY: bench
bench: $(READY) ## Measure this platform and other tools, about 40 minutes, into docs/performance.md
	$(BIN)/python -m benchmarks all --write docs/performance.md

# Universal: includes what other Pythons and systems need, since installing resolves nothing.
COMPILE := $(BIN)/python -m uv pip compile --python-version 3.11 --universal --generate-hashes \
  --no-header --no-emit-index-url --no-strip-extras

UPGRADE ?= --upgrade

.PHONY: lock
lock: $(READY) ## Renew the lock files from pyproject.toml and of the example; with UPGRADE= keep what they name
	$(COMPILE) pyproject.toml --all-extras $(UPGRADE) --output-file requirements.lock
	sed -i -E -e '/taxi-(bigquery-emulator|gcs-emulator|loopback-server)$$/d' -e '/^$$/,$$d' \
	  requirements.lock # they are on no index
	$(COMPILE) pyproject.toml --extra kubernetes --extra scale --no-annotate --constraint requirements.lock \
	  --output-file requirements-deploy.lock
	echo hatchling | $(COMPILE) - --no-annotate --constraint requirements.lock \
	  --output-file requirements-build.lock
	$(COMPILE) examples/dbt_trips/requirements.in --no-annotate $(UPGRADE) \
	  --output-file examples/dbt_trips/requirements.lock # an environment of its own

VERSION = $(shell sed -n 's/^version = "\(.*\)".*/\1/p' pyproject.toml)

.PHONY: image
image: ## Build the image with Docker; pass options in DOCKER_OPTIONS
	docker build --build-arg VERSION=$(VERSION) --build-arg REVISION="$$(git rev-parse HEAD)" \
	  --tag taxi-platform:$(VERSION) --tag taxi-platform:latest $(DOCKER_OPTIONS) .

.PHONY: image-check
image-check: $(READY) ## Build the image without a Docker engine, and start its three roles (needs root)
	deploy/image-check

.PHONY: clean
clean: ## Stop the embedded stack; remove its data and .venv
	@if [ -x $(BIN)/taxi-platform ]; then $(BIN)/taxi-platform local reset --yes; fi
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist test-artefacts
