# GDA: `make` alone lists what can be made. Each target sets up .venv by itself; nothing else is needed than Python 3.11+.

.DEFAULT_GOAL := help
.PHONY: help setup demo test check fmt lock bench model chaos mutants oracle year outage clean
SHELL := /bin/sh

BIN := .venv/bin
READY := .venv/.ready
PACKAGES := gda flows deployments blocks
TYPED := $(PACKAGES) $(patsubst %/__init__.py,%,$(wildcard bench/__init__.py tests/support/__init__.py tests/mutants/__init__.py tests/outage/__init__.py))
ARGS ?=
# Half of the tests' time is waiting for real servers and workers; a file's tests stay together, since they share those.
JOBS ?= 2

# Every later Python process starts faster when bytecode is on disk, whatever the caller's environment says.
unexport PYTHONDONTWRITEBYTECODE
# A Python or a virtual environment that is active in the caller's shell must not leak in.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME

help: ## List the targets
	@echo "usage: make <target> [ARGS='...']"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Install everything into .venv from the hashed lock

demo: $(READY) ## Show it working: sandbox, Prefect server, worker and sample users on this machine
	@$(BIN)/gda demo $(ARGS)

test: check ## Run the checks and all tests with coverage (ARGS go to pytest, JOBS=2 processes)
	@rm -f .coverage .coverage.*
	@$(BIN)/coverage run -m pytest -n $(JOBS) --dist loadgroup --no-loadscope-reorder --durations 40 --durations-min 5 $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

check: $(READY) ## Run linter, formatter check, type checker, import contracts and project rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict $(TYPED)
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m pytest -q tests/project

fmt: $(READY) ## Format the code and repair what the linter can
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

lock: $(READY) ## Resolve requirements.lock anew (ARGS=--upgrade takes the newest versions)
	@command -v uv >/dev/null || $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@command -v uv >/dev/null || test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	@PATH="$$PATH:$$PWD/$(BIN)" uv pip compile pyproject.toml --quiet $(ARGS) --extra test --universal \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate -o requirements.lock

bench: $(READY) ## Measure throughput and latency (ARGS go to python -m bench)
	@$(BIN)/python -m bench $(ARGS)

model: $(READY) ## Try 200 sequences of 50 steps on each database against a short model (MODEL=1000x50 for more)
	@MODEL=$${MODEL:-200x50} $(BIN)/python -m pytest -q --timeout 3600 tests/integration/test_ledger_model.py $(ARGS)

chaos: $(READY) ## Kill, stop and race real workers in the full amounts (ARGS go to pytest)
	@GDA_CHAOS=full $(BIN)/python -m pytest -q -s tests/chaos tests/integration/test_poison.py $(ARGS)

mutants: $(READY) ## Write deliberate faults into copies of the code; each must be caught (ARGS go to python -m tests.mutants)
	@$(BIN)/python -m tests.mutants $(ARGS)

oracle: $(READY) ## Compare all clock changes and 10,000 cron lines with brute force (make test takes samples)
	@ORACLE_FULL=1 $(BIN)/python -m pytest -q tests/oracle $(ARGS)

year: $(READY) ## Live through a year of 1,000 users in 40 zones on a virtual clock (make test takes 18 days of 24)
	@$(BIN)/python -m tests.year $(ARGS)

outage: $(READY) ## Kill Prefect and all workers under 200 users, and bring them back an hour late (ARGS=--help)
	@$(BIN)/python -m tests.outage $(ARGS)

clean: ## Remove caches, coverage data and build output; keeps .venv and .gda
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache htmlcov build dist .coverage .coverage.*
	@find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last: an interrupted set-up starts again and completes.
$(READY): requirements.lock pyproject.toml
	@$(find_python); $(make_venv); $(install)
	@touch $@

usable := $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null

# The first interpreter that really runs (a shim may not) and is new enough; pip's way also needs venv and ensurepip.
define find_python
if command -v uv >/dev/null; then needs=sys; else needs=ensurepip,venv,sys; fi; \
for python in python3 python3.13 python3.12 python3.11 none; do \
	$$python -c "import $$needs; sys.exit(sys.version_info < (3, 11))" 2>/dev/null && break; \
done; \
if [ $$python = none ] && ! $(usable) && ! command -v uv >/dev/null; then \
	echo "make: no Python 3.11 or newer with the venv module was found (tried python3, python3.13, python3.12, python3.11):" >&2; \
	echo "make: install one (on Debian and Ubuntu also python3-venv), or put uv on PATH, then run make again" >&2; \
	exit 1; \
fi
endef

# A .venv that works is kept; one that was moved here or lost its interpreter is built anew.
define make_venv
if ! $(usable); then \
	rm -rf .venv; \
	if command -v uv >/dev/null; then uv venv --quiet --python "$$(command -v $$python || echo '>=3.11')" .venv; \
	else $$python -m venv .venv; fi || exit 1; \
	echo "Made .venv with $$($(BIN)/python --version)" >&2; \
fi
endef

# The lock holds the build back end too, so GDA itself is installed without fetching anything unhashed.
define install
echo "Installing from requirements.lock (a minute or two the first time)" >&2; \
if command -v uv >/dev/null; then \
	uv pip install --quiet --python $(BIN)/python --compile-bytecode --no-deps --require-hashes -r requirements.lock && \
	uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .; \
else \
	{ $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null; } && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .; \
fi || exit 1
endef
