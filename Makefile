# Needs Python >= 3.11, make and git; everything else is installed into .venv from hashed lock files.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

.PHONY: help run setup check format test test-slow lock bench clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: setup  ## set everything up, start the gateway, print URL, key and the lines to paste
	@$(BIN)/metis up $(ARGS)

setup: $(STAMP)  ## install into .venv (quick and silent the second time)

$(STAMP): requirements/dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Metis needs Python 3.11 or newer; none was found on PATH" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "making $(VENV) with $(PYTHON)"; $(PYTHON) -m venv $(VENV); }
	@command -v uv >/dev/null 2>&1 || test -x $(BIN)/uv || { echo "installing uv into $(VENV)"; $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; }
	@uv=$$(command -v uv || echo $(BIN)/uv); \
	echo "installing Metis and its dependencies (hashes checked)"; \
	$$uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r requirements/dev.txt && \
	$$uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

check: setup  ## format, lint, types, import contracts, docs
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/check

format: setup  ## repair what can be repaired
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

test: setup  ## the fast tests
	@$(BIN)/python -m pytest -n 2 -m "not slow" $(ARGS)

test-slow: setup  ## real clients, kills, browsers
	@$(BIN)/python -m pytest -m slow $(ARGS)

lock:  ## refresh the hashed lock files
	@uv=$$(command -v uv || echo $(BIN)/uv); \
	$$uv pip compile --quiet --universal --generate-hashes --no-emit-package metis --override requirements/overrides.txt \
		--custom-compile-command "make lock" --python-version 3.11 --extra local pyproject.toml -o requirements/runtime.txt && \
	$$uv pip compile --quiet --universal --generate-hashes --override requirements/overrides.txt \
		--custom-compile-command "make lock" --python-version 3.11 --extra local --group dev -c requirements/runtime.txt pyproject.toml -o requirements/dev.txt

clean:  ## remove what the targets made
	rm -rf $(VENV) .pytest_cache .ruff_cache dist build
