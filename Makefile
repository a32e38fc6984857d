# The environment, the demo and the tests. Needs only make and python3 (3.11 or newer).

PYTHON ?= python3
VENV ?= .venv

BIN := $(VENV)/bin
NEST_VENV := .venv-nest
LAVA_DL_VENV := .venv-lava-dl
PEERS_TORCH := .venv-peers-torch
PEERS_JAX := .venv-peers-jax
PEERS_BRIAN2 := .venv-peers-brian2
PIP_OPTIONS := --quiet --disable-pip-version-check --no-warn-conflicts \
	--constraint constraints.txt
PIP_INSTALL := $(BIN)/python -m pip install $(PIP_OPTIONS)
comma := ,
DEMO_EXTRAS := lava,data,plot
# Packages that the tests compare with; torch is large: ORACLES= leaves them out.
ORACLES ?= norse,neurogym
# Processes that run the tests side by side; files stay whole.
JOBS ?= 2
CHECK_VERSION := import sys; sys.version_info >= (3, 11) or sys.exit( \
	"spikelearn needs Python 3.11 or newer; %s is Python %d.%d." \
	% (sys.executable$(comma) *sys.version_info[:2]) \
	+ " (Name a newer one: make PYTHON=python3.11 VENV=.venv311 ...)")

.DEFAULT_GOAL := help
.PHONY: help demo test nest nest-environment brian2 brian2-environment \
	lava-dl lava-dl-environment bench-peers check clean

help:
	@echo "make demo    create the environment and run spikelearn quickstart"
	@echo "make test    the same environment, then all checks and tests"
	@echo "make nest    NEST in an environment of its own, then the tests against it"
	@echo "make brian2  the same for Brian2"
	@echo "make lava-dl  the same for lava-dl"
	@echo "make bench-peers  the simulators to compare with, then the race (an hour)"
	@echo "make check   only ruff, mypy and the import layers"
	@echo "make clean   remove the environment and all caches (runs/ is kept)"
	@echo "Variables: PYTHON=$(PYTHON) (to create the environment with), VENV=$(VENV),"
	@echo "ORACLES=$(ORACLES) (extras that tests compare with; may be empty),"
	@echo "JOBS=$(JOBS) (processes of make test),"
	@echo "BENCH=... (options of the race: --quick, --only NAME..., --without NAME...)"

demo: $(VENV)/.stamp-demo
	@$(BIN)/spikelearn quickstart --out runs/quickstart

# What is installed here has to be found: its tests fail instead of being skipped.
test: export SPIKELEARN_REQUIRE_LAVA := 1
test: export SPIKELEARN_REQUIRE_DASK := 1
test: export SPIKELEARN_REQUIRE_NIR := 1
# Threads of matrix products in each of the processes; those of spikelearn are explicit.
test: export OMP_NUM_THREADS := 1
test: export OPENBLAS_NUM_THREADS := 1
ifneq ($(findstring norse,$(ORACLES)),)
test: export SPIKELEARN_REQUIRE_TORCH := 1
test: export SPIKELEARN_REQUIRE_NORSE := 1
endif
ifneq ($(findstring neurogym,$(ORACLES)),)
test: export SPIKELEARN_REQUIRE_NEUROGYM := 1
endif
test: check
	@echo "pytest"
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile

# NEST is GPL: it runs in another environment and process, and is never imported.
nest: export SPIKELEARN_REQUIRE_NEST := 1
nest: $(VENV)/.stamp-test nest-environment
	@$(BIN)/python -m pytest -m nest

nest-environment: $(NEST_VENV)/.stamp-nest

# Brian2 needs NumPy < 2.4, so it has an environment of its own too.
brian2: export SPIKELEARN_REQUIRE_BRIAN2 := 1
brian2: $(VENV)/.stamp-test brian2-environment
	@$(BIN)/python -m pytest -m brian2

brian2-environment: $(PEERS_BRIAN2)/.stamp-peers

# lava-dl, which reads netx files, declares Python < 3.11 and an old torch.
lava-dl: export SPIKELEARN_REQUIRE_LAVA_DL := 1
lava-dl: $(VENV)/.stamp-test lava-dl-environment
	@$(BIN)/python -m pytest -m lava_dl

lava-dl-environment: $(LAVA_DL_VENV)/.stamp-lava-dl

# Every peer runs in an environment and a process of its own.
bench-peers: $(VENV)/.stamp-demo nest-environment \
		$(PEERS_TORCH)/.stamp-peers $(PEERS_JAX)/.stamp-peers brian2-environment
	@$(BIN)/python -m tests.benchmarks.compare $(BENCH)

check: $(VENV)/.stamp-test
	@echo "ruff check" && $(BIN)/ruff check --quiet .
	@echo "ruff format --check" && $(BIN)/ruff format --quiet --check .
	@echo "mypy" && $(BIN)/mypy --no-error-summary
	@echo "lint-imports" && $(BIN)/lint-imports

clean:
	@if [ -e $(VENV)/.stamp-venv ]; then rm -rf $(VENV); fi
	@rm -rf $(NEST_VENV) $(LAVA_DL_VENV) $(PEERS_TORCH) $(PEERS_JAX) $(PEERS_BRIAN2)
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
	@$(PIP_INSTALL) --editable '.[$(DEMO_EXTRAS),studies,dask,nir,dev$(addprefix $(comma),$(ORACLES))]'
	@$(if $(findstring neurogym,$(ORACLES)),$(PIP_INSTALL) --no-deps neurogym)
	@touch $@

$(NEST_VENV)/.stamp-nest: constraints.txt | $(VENV)/.stamp-venv
	@echo "Installing NEST in $(NEST_VENV)"
	@$(BIN)/python -m venv $(NEST_VENV)
	@$(NEST_VENV)/bin/python -m pip install $(PIP_OPTIONS) nest-simulator
	@touch $@

$(LAVA_DL_VENV)/.stamp-lava-dl: constraints.txt | $(VENV)/.stamp-venv
	@echo "Installing lava-dl in $(LAVA_DL_VENV)"
	@$(BIN)/python -m venv $(LAVA_DL_VENV)
	@$(LAVA_DL_VENV)/bin/python -m pip install $(PIP_OPTIONS) \
		torch h5py scipy matplotlib asteval networkx
	@$(LAVA_DL_VENV)/bin/python -m pip install $(PIP_OPTIONS) --no-deps \
		--ignore-requires-python lava-nc lava-dl
	@touch $@

# $(call peers_environment,FOLDER,PACKAGES): one environment of make bench-peers.
define peers_environment
$(1)/.stamp-peers: constraints.txt | $(VENV)/.stamp-venv
	@echo "Installing $(2) in $(1)"
	@$(BIN)/python -m venv $(1)
	@$(1)/bin/python -m pip install $(PIP_OPTIONS) $(2)
	@touch $$@
endef
$(eval $(call peers_environment,$(PEERS_TORCH),torch snntorch norse))
$(eval $(call peers_environment,$(PEERS_BRIAN2),brian2 setuptools))
$(eval $(call peers_environment,$(PEERS_JAX),jax optax braintrace spyx))
