# The environment, the demo and the tests. Needs only make and python3 (3.11 or newer).

PYTHON ?= python3
VENV ?= .venv

BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	--no-warn-conflicts --constraint constraints.txt
comma := ,
DEMO_EXTRAS := lava,data,plot
CHECK_VERSION := import sys; sys.version_info >= (3, 11) or sys.exit( \
	"spikelearn needs Python 3.11 or newer; %s is Python %d.%d." \
	% (sys.executable$(comma) *sys.version_info[:2]) \
	+ " (Name a newer one: make PYTHON=python3.11 VENV=.venv311 ...)")

.DEFAULT_GOAL := help
.PHONY: help demo test check clean

help:
	@echo "make demo    create the environment and run spikelearn quickstart"
	@echo "make test    the same environment, then all checks and tests"
	@echo "make check   only ruff, mypy and the import layers"
	@echo "make clean   remove the environment and all caches (runs/ is kept)"
	@echo "Variables: PYTHON=$(PYTHON) (to create the environment with), VENV=$(VENV)"

demo: $(VENV)/.stamp-demo
	@$(BIN)/spikelearn quickstart --out runs/quickstart

# Lava is part of the tests here: without it they fail instead of being skipped.
test: export SPIKELEARN_REQUIRE_LAVA := 1
test: check
	@echo "pytest"
	@$(BIN)/python -m pytest

check: $(VENV)/.stamp-test
	@echo "ruff check" && $(BIN)/ruff check --quiet .
	@echo "ruff format --check" && $(BIN)/ruff format --quiet --check .
	@echo "mypy" && $(BIN)/mypy --no-error-summary
	@echo "lint-imports" && $(BIN)/lint-imports

clean:
	@if [ -e $(VENV)/.stamp-venv ]; then rm -rf $(VENV); fi
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis \
		.import_linter_cache
	@find spikelearn hardware tests -name __pycache__ -prune -exec rm -rf {} +

# An environment that already works is used as it is.
$(VENV)/.stamp-venv:
	@command -v $(PYTHON) >/dev/null || \
		{ echo "$(PYTHON) was not found. (Install Python 3.11 or newer.)" >&2; exit 1; }
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		$(PYTHON) -c '$(CHECK_VERSION)' && \
		echo "Creating the environment $(VENV)" && \
		$(PYTHON) -m venv $(VENV); \
	fi
	@$(BIN)/python -c '$(CHECK_VERSION)'
	@touch $@

$(VENV)/.stamp-demo: pyproject.toml constraints.txt | $(VENV)/.stamp-venv
	@echo "Installing spikelearn with [$(DEMO_EXTRAS)] (about a minute)"
	@$(PIP_INSTALL) --editable '.[$(DEMO_EXTRAS)]'
	@$(PIP_INSTALL) --no-deps --ignore-requires-python lava-nc
	@touch $@

$(VENV)/.stamp-test: $(VENV)/.stamp-demo
	@echo "Installing the tools for the tests"
	@$(PIP_INSTALL) --editable '.[$(DEMO_EXTRAS),dev]'
	@touch $@
