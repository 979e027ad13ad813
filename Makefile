# Needs Python >= 3.11, make and git; everything else is installed into .venv from hashed lock files.
SHELL := /bin/bash
BIN := .venv/bin
STAMP := .venv/.installed
JOBS = $${METIS_TEST_JOBS:-auto}
# First on the path where it is up to date, else nothing.
COMPILED = PYTHONPATH="$$($(BIN)/python scripts/compile --where)"

# The stamp holds the folder it was made in: an environment that was moved along with its repository is made anew.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif

.PHONY: help run setup compile check format test test-compiled test-slow corpus fuzz bench bench-check bench-peers conformance soak lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: setup  ## set everything up, start the gateway, print URL, key and the lines to paste (ARGS="--port 0")
	@$(COMPILED) $(BIN)/metis up $(ARGS)

setup: $(STAMP)  ## install into .venv (quick and silent the second time; PYTHON=... names the interpreter)
	@:

$(STAMP): requirements/dev.txt pyproject.toml
	@PYTHON="$(PYTHON)" scripts/setup

compile: setup  ## make machine code of what every request runs through (a quarter less CPU; needs a C compiler)
	@$(BIN)/python scripts/compile

check: setup  ## format, lint, style, types, import contracts, docs
	@$(BIN)/python scripts/check $(ARGS)

format: setup  ## repair what can be repaired
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet .

test: setup  ## the fast tests (METIS_TEST_JOBS=n processes, else one a core)
	@$(BIN)/python -m pytest -n $(JOBS) --maxprocesses 8 -m "not slow" $(ARGS)

test-compiled: compile  ## the fast tests on what was compiled
	@$(COMPILED) $(BIN)/python -m pytest -n $(JOBS) --maxprocesses 8 -m "not slow" $(ARGS)

test-slow: setup  ## real clients, kills, browsers
	@scripts/install-clients
	@$(BIN)/python -m pytest -m slow $(ARGS)

corpus: setup  ## every recorded exchange through the codecs (ARGS="FOLDER --json FILE"; METIS_CORPUS names the folder)
	@$(BIN)/python -m corpus $(ARGS)

fuzz: setup  ## quarter of an hour of broken input through the codecs (SECONDS=n of CPU; ARGS="--seed 2")
	@$(BIN)/python -m fuzz --seconds $(or $(SECONDS),900) $(ARGS)

bench: compile  ## CPU and latency beside nginx's (ARGS="--quick --only 'sync 1 KB' --rounds 1"; PEERS=all adds other gateways)
	@scripts/need nginx
	@$(COMPILED) $(BIN)/python -m bench $(if $(PEERS),--peers $(PEERS)) $(ARGS)

bench-check: compile  ## fail when a request costs more than bench/expected.json says (ARGS=--update writes it)
	@scripts/need nginx
	@scripts/need valgrind || true
	@$(COMPILED) $(BIN)/python -m bench.check $(ARGS)

soak: compile  ## half an hour of everything at once, then compare the ledger with the upstream (SECONDS=120 for two minutes)
	@$(COMPILED) $(BIN)/python -m bench.soak --seconds $(or $(SECONDS),1800) $(ARGS)

bench-peers: setup  ## install other gateways to measure beside, each into an environment of its own ($$METIS_BENCH_CACHE)
	@$(BIN)/python -m bench.peers $(ARGS)

conformance: setup  ## Metis and other gateways against defects users reported, into docs/conformance.md (ARGS="--peers none")
	@$(BIN)/python -m bench.conformance $(ARGS)

lock: setup  ## refresh the hashed lock files
	@lock() { scripts/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
		--custom-compile-command "make lock" --override requirements/overrides.txt $(ARGS) "$$@"; }; \
	lock pyproject.toml --extra local --no-emit-package metis -o requirements/runtime.txt && \
	lock pyproject.toml --extra local --extra bedrock --group dev -c requirements/runtime.txt -o requirements/dev.txt && \
	lock requirements/uv.in -o requirements/uv.txt

clean:  ## remove what the targets made
	rm -rf .venv .venv.installing .pytest_cache .ruff_cache .hypothesis dist build
