# Every target sets up what it needs. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ESTIMATOR_VENV := .venv-estimator
ESTIMATOR_PYTHON ?= $(BIN)/python
ENGINE := serve/engine
DIST := dist
BENCH_TOOLS := $(CURDIR)/build/bench/tools
GHZ := 0.120.0
ENGINE_SOURCES := $(shell find $(ENGINE)/src -name '*.rs') $(ENGINE)/Cargo.toml $(ENGINE)/Cargo.lock

.PHONY: help
help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: tools
tools:
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is missing: install Python 3.10 or newer, or set PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "error: $(PYTHON) is older than 3.10: set PYTHON=..." >&2; exit 1; }
	@command -v cargo >/dev/null || { echo "error: cargo is missing: install a Rust toolchain (1.88 or newer)" >&2; exit 1; }

# The engine is compiled by pip; cargo's own incremental build makes a second run cheap.
$(VENV)/.installed: pyproject.toml $(ENGINE_SOURCES) | tools
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing tfs with its dependencies into $(VENV)"
	@$(BIN)/pip install -q --disable-pip-version-check -U pip
	@PYTHONWARNINGS=ignore $(BIN)/pip install -q -e '.[dev]'  # setuptools warns of the top-level folders, which are meant so
	@touch $@

.PHONY: install
install: $(VENV)/.installed ## Install the project with its tools into .venv

.PHONY: demo
demo: install ## Run the whole path on real data: train, export, optimize, serve, ask, switch versions
	@$(BIN)/python recipes/digits_demo.py

.PHONY: test
test: install ## Run the tests
	@cd $(ENGINE) && cargo test -q --no-default-features
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile
	@$(MAKE) test-estimator

# TensorFlow 2.15 is the last that has Estimators, and has wheels for Python up to 3.11. There tfs is a folder of links, with
# the engine that `make install` has built: its stable ABI fits every Python.
$(ESTIMATOR_VENV)/.installed: tests/estimator/requirements.txt pyproject.toml | install
	@for python in "$(ESTIMATOR_PYTHON)" python3.11 python3.10; do \
	  ! "$$python" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 10), (3, 11)))' 2>/dev/null || break; \
	  python=; \
	done; \
	test -n "$$python" || { echo "error: TensorFlow 2.15 has no wheel for $$($(BIN)/python -V): install Python 3.11 or 3.10, or set ESTIMATOR_PYTHON=..." >&2; exit 1; }; \
	echo "installing TensorFlow 2.15 into $(ESTIMATOR_VENV)"; \
	test -x $(ESTIMATOR_VENV)/bin/python || "$$python" -m venv $(ESTIMATOR_VENV)
	@$(BIN)/python -c 'from importlib.metadata import requires; print(*(r for r in requires("tfs") if "extra ==" not in r), sep="\n")' > $(ESTIMATOR_VENV)/tfs.txt
	@$(ESTIMATOR_VENV)/bin/pip install -q --disable-pip-version-check -r $(ESTIMATOR_VENV)/tfs.txt -r tests/estimator/requirements.txt
	@for packages in $(ESTIMATOR_VENV)/lib/python3*/site-packages; do \
	  rm -rf $$packages/tfs $$packages/tfs-*.dist-info; \
	  mkdir $$packages/tfs; \
	  for package in cli exporters transforms savedmodel serve; do ln -s $(CURDIR)/$$package $$packages/tfs/$$package; done; \
	  cp -r $(VENV)/lib/python3*/site-packages/tfs-*.dist-info $$packages; \
	done
	@touch $@

.PHONY: test-estimator
test-estimator: $(ESTIMATOR_VENV)/.installed ## Run the tests of Estimators and Keras 2 with TensorFlow 2.15, the last that has them
	@TFS_PYTHON=$(CURDIR)/$(BIN)/python $(ESTIMATOR_VENV)/bin/python -m pytest -q -W ignore tests/estimator tests/exporters/test_keras_models.py

.PHONY: lint
lint: install typing ## Check style and types: ruff, mypy --strict, stubtest, rustfmt, clippy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@cd build/typing && MYPYPATH=. ../../$(BIN)/mypy --config-file ../../pyproject.toml -p tfs
	@cd build/typing && MYPYPATH=. ../../$(BIN)/stubtest --mypy-config-file ../../pyproject.toml tfs.serve._engine
	@cd $(ENGINE) && cargo fmt --check
	@cd $(ENGINE) && PYO3_PYTHON=$(CURDIR)/$(BIN)/python cargo clippy -q --all-targets -- -D warnings

# mypy does not follow the mapping of the top-level folders to `tfs.*`; a folder of links shows it the installed layout.
.PHONY: typing
typing:
	@mkdir -p build/typing/tfs
	@for package in cli exporters transforms savedmodel serve; do ln -sfn ../../../$$package build/typing/tfs/$$package; done

.PHONY: format
format: install ## Format Python and Rust
	@$(BIN)/ruff check -q --fix .
	@$(BIN)/ruff format -q .
	@cd $(ENGINE) && cargo fmt

.PHONY: wheel
wheel: tools ## Build a wheel that runs on every CPython from 3.10 on (dist/)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@rm -rf build/lib* build/bdist* # setuptools would pack modules that have been deleted since
	@$(BIN)/pip wheel -q --disable-pip-version-check --no-deps -w $(DIST) .
	@ls $(DIST)/*.whl

.PHONY: bench
bench: install ## Measure the server beside its own limits and others (docs/benchmarks.md); ARGS='--only plan --rounds 3'
	@PATH="$(BENCH_TOOLS):$$PATH"; for tool in h2load ghz; do command -v $$tool >/dev/null || { echo "error: $$tool is missing: run 'make bench-tools'" >&2; exit 1; }; done
	@$(BIN)/python bench/run.py $(ARGS)

.PHONY: bench-tools
bench-tools: ## Install the load generators: h2load with apt, ghz with Go
	@command -v h2load >/dev/null || command -v apt-get >/dev/null || { echo "error: no apt-get here: install h2load (nghttp2) by your own package manager" >&2; exit 1; }
	@command -v h2load >/dev/null || { apt-get update -q && apt-get install -y -q nghttp2-client; }
	@command -v go >/dev/null || { echo "error: go is missing: install Go 1.22 or newer, ghz is built with it" >&2; exit 1; }
	@GOBIN=$(BENCH_TOOLS) go install github.com/bojand/ghz/cmd/ghz@v$(GHZ)

.PHONY: clean
clean: ## Remove what was built, but not .venv
	@rm -rf build dist *.egg-info .demo $(ENGINE)/target serve/_engine*.so $(VENV)/.installed
