# Requirements: Python 3.11 or later, and make.
# The first run creates .venv from requirements.lock; later runs find its stamp files and skip this.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
# Options for the tests, for example: make test TESTS="tests/unit -k lease" WORKERS=0
TESTS ?= tests
# Test processes: two per core, because tests wait as much as they compute.
WORKERS ?= $(shell nproc >/dev/null 2>&1 && expr $$(nproc) \* 2 || echo auto)
# Tests write to this memory file system if it has enough space. No test cuts the power, so synced
# data survives here whatever process a test kills, and no test waits for a disk.
MEMORY := /dev/shm
ROOM_KIB_MIN := 4194304
# Options for `quorate serve`, for example: make run SERVE="--port 9000"
SERVE ?=
# make lock UPGRADE=--upgrade updates every version; without it, only what pyproject.toml requires
UPGRADE ?=

.DEFAULT_GOAL := help
.PHONY: help run test check lint types format bench wheel lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

run: $(VENV)/.ready ## set up if needed, then start the service (SERVE="--port 9000" for options)
	@exec $(BIN)/quorate serve $(SERVE)

test: $(VENV)/.ready ## set up if needed, then run every test
	@# Tests start hundreds of processes: share the compiled bytecode between them.
	@set --; room=$$(df -Pk $(MEMORY) 2>/dev/null | awk 'END { print $$4 + 0 }'); \
	if [ "$$room" -ge $(ROOM_KIB_MIN) ]; then \
	  folder=$$(mktemp -d $(MEMORY)/quorate-tests.XXXXXX); \
	  trap 'rm -rf "$$folder"' EXIT; trap 'exit 130' INT TERM; \
	  set -- --basetemp="$$folder/tests"; \
	fi; \
	PYTHONDONTWRITEBYTECODE= \
	  $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -q "$$@" $(TESTS)

check: lint types test ## check format, lint, types and tests

lint: $(VENV)/.ready ## check format and lint without changes
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.ready ## run mypy --strict
	$(BIN)/mypy

format: $(VENV)/.ready ## format, and apply automatic lint fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.ready ## measure; needs wrk for HTTP, and etcd for the comparison
	@exec $(BIN)/python -m quorate.bench

wheel: $(VENV)/.ready ## build dist/quorate-*.whl
	$(BIN)/python -m hatchling build -t wheel

clean: ## remove everything the other targets created, except data
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Find the first interpreter on PATH that is new enough, or end with a message.
FIND_PYTHON = python=; for name in $(PYTHON) python3 python3.11 python3.12 python3.13 python3.14; do \
	  if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	  then python=$$name; break; fi; done; \
	if [ -z "$$python" ]; then echo "No Python 3.11 or later on PATH. \
	Install one, or select one: make PYTHON=/path/to/python3 ..." >&2; exit 1; fi; \
	if ! "$$python" -c 'import ensurepip' 2>/dev/null; then echo "$$python cannot create a venv: \
	it lacks ensurepip (on Debian: apt-get install python3-venv)." >&2; exit 1; fi

# The package nkeys is available as source only. The locked setuptools, installed first, builds it:
# an isolated build would fetch the newest setuptools without a hash check.
# --quiet twice: older pip versions warn about their own options; errors are still printed.
INSTALL := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check
LOCKED := $(INSTALL) --require-hashes --no-build-isolation --only-binary :all: --no-binary nkeys

# --clear removes packages of an older lock. The stamp is written last, so an interrupted set-up
# starts over.
$(VENV)/.locked: requirements.lock
	@$(FIND_PYTHON); echo "Setting up $(VENV) with $$("$$python" --version), about a minute"; \
	"$$python" -m venv --clear $(VENV)
	@awk '/^setuptools==/,!/\\$$/' requirements.lock > $(VENV)/setuptools.lock
	@$(LOCKED) -r $(VENV)/setuptools.lock
	@$(LOCKED) -r requirements.lock
	@touch $@

# The locked hatchling builds the package, so this step needs no network.
$(VENV)/.ready: $(VENV)/.locked pyproject.toml src/quorate/__init__.py
	@$(INSTALL) --no-index --no-deps --no-build-isolation --editable .
	@touch $@

# Dependencies declared in pyproject.toml: the base install, every extra, and dev.
DECLARED = import tomllib; \
	declared = tomllib.load(open("pyproject.toml", "rb")); \
	extras = declared["project"]["optional-dependencies"].values(); \
	print(*declared["project"]["dependencies"], \
	      *(each for extra in extras for each in extra if not each.startswith("quorate[")), \
	      *declared["dependency-groups"]["dev"], sep="\n")

# Resolve on Python 3.11, the oldest supported version, without the local pip configuration: a local
# index may contain other builds, whose hashes do not match elsewhere.
LOCK_PYTHON ?= python3.11
LOCK_VENV := build/lock-venv
PIP_CLEAN := env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL PIP_CONFIG_FILE=/dev/null

lock: ## write requirements.lock again (UPGRADE=--upgrade for newer versions)
	@$(LOCK_PYTHON) -m venv --clear $(LOCK_VENV)
	@$(PIP_CLEAN) $(LOCK_VENV)/bin/python -m pip install --quiet 'pip-tools~=7.6'
	@$(LOCK_VENV)/bin/python -c '$(DECLARED)' > build/declared.in
	@$(PIP_CLEAN) CUSTOM_COMPILE_COMMAND="make lock" $(LOCK_VENV)/bin/pip-compile --quiet \
	  --no-config $(UPGRADE) --generate-hashes --no-reuse-hashes --allow-unsafe --strip-extras \
	  --no-annotate --no-emit-options --no-emit-index-url --output-file requirements.lock \
	  build/declared.in > /dev/null
	@echo "$$(grep -c '==' requirements.lock) packages in requirements.lock"
