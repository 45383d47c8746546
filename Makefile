VENV := .venv
BIN := $(VENV)/bin
EXTRAS := dev
VERSION :=
TAG = $(shell $(BIN)/python -c "import sys; print(sys.implementation.cache_tag)")

.PHONY: demo web test setup build debug test-debug lint types bench soak hostile mutants instructions docs clean help

help:            ## this list
	@grep -hE '^[a-z-]+: .*##|^[a-z-]+:  +##' Makefile | sed -E 's/:[^#]*##/ -/'

demo: build      ## a live embedded exchange and components on it, in one command
	@$(BIN)/subcore demo

web: build       ## the same, going on, with a page to watch it by
	@$(BIN)/subcore demo --web

test: build      ## everything from nothing: environment, core, test suite
	@printf '==> running the tests\n'
	@$(BIN)/python -m pytest -q $(PYTEST_ARGS)

setup:           ## the environment alone, in .venv
	@bash scripts/setup_venv.sh $(VENV) $(EXTRAS) $(VERSION)

build: setup     ## compile what changed
	@bash scripts/build.sh $(BIN)/python build/compile-release.log build_ext --inplace

debug: setup     ## the core with every check on, beside the release build
	@SUBCORE_DEBUG=1 bash scripts/build.sh $(BIN)/python build/compile-debug.log build

test-debug: debug ## the suite on the debug build
	@PYTHONPATH=build/debug-$(TAG)/lib $(BIN)/python -m pytest -q $(PYTEST_ARGS)

lint: build      ## ruff and cython-lint
	@bash .ci/steps/20-lint.sh

types: build     ## mypy and stubtest
	@bash .ci/steps/20-types.sh

BENCH_ARGS :=
bench: build     ## one table of ratios against other libraries and the plain manager (minutes; gates nothing)
	@printf '==> installing what is compared with\n'
	@SUBCORE_NO_EXTENSIONS=1 $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable ".[bench]"
	@for library in cryptofeed ccxt; do $(BIN)/python -m pip show --quiet $$library 2>/dev/null \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check $$library || true; done
	@$(BIN)/python benchmarks/compare.py $(BENCH_ARGS)

soak: build      ## engine and ledger against both exchanges in virtual time: 20 million events (half an hour)
	@$(BIN)/python scripts/soak --full

hostile: build   ## hostile components beside 180 healthy ones over real sockets (10 minutes, on a quiet machine)
	@$(BIN)/python scripts/hostile_components.py --full

mutants: build   ## plant known bugs one by one, and see that the tests or the soak find each (some 20 minutes)
	@$(BIN)/python scripts/mutants --full

instructions: build ## instruction counts against the committed ones
	@$(BIN)/python scripts/instruction_gate.py

clean:           ## remove everything that was made
	rm -rf build dist .venv .venv-* python/*.egg-info python/subcore/*.so python/subcore/*/*.so .asv .mypy_cache .ruff_cache .pytest_cache .hypothesis
