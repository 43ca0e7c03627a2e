# The two commands: `make run` shows the whole line at work, `make test` checks it.
# A machine with Python and make is enough; Valkey and PostgreSQL come as wheels.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip
# Options of `python -m example_project`, such as: make run ARGS="--requests 500"
ARGS ?=

.DEFAULT_GOAL := run
.PHONY: run test lint clean

run: $(VENV)/.installed
	@$(BIN)/python -m example_project $(ARGS)

test: lint
	$(BIN)/python -m pytest -q
	$(BIN)/python -m pytest -q tests/integration tests/live --database postgresql

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Installed again only when what is needed has changed.
$(VENV)/.installed: setup.py pyproject.toml
	@echo "Creating the environment in $(VENV) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=...")'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install -qq --no-input --editable '.[dev]'
	@touch $@

# The environment, what was built, and the data of the example project.
clean:
	rm -rf $(VENV) .nox var build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
