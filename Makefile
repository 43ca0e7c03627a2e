# The two commands: `make run` shows the whole line at work, `make test` checks it.
# `make docs` builds the documentation as HTML.
# `make bench` measures it beside its peers and writes docs/explanation/benchmarks.rst.
# `make chaos` breaks what can break, and counts what came of 10,000 push requests.
# `make attack` is a hostile client, and looks at what another one feels of it.
# `make audit` looks for known vulnerabilities, risky code, and licences that are not allowed.
# A machine with Python and make is enough; Valkey and PostgreSQL come as wheels.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip
# Options of `python -m example_project`, such as: make run ARGS="--requests 500", or of
# `python -m benchmarks`, such as: make bench ARGS="--peers ours,rq-simple --rounds 1", or of
# `python -m tests.chaos` or `tests.attack`, such as: make chaos ARGS="child-kill --requests 500"
ARGS ?=

# What has to be seen on PostgreSQL as well; the other live tests do not touch the database.
DATABASE_TESTS := tests/integration tests/live/worker/test_worker.py

.DEFAULT_GOAL := run
.PHONY: run test test-mariadb lint audit docs bench chaos attack soak clean

run: $(VENV)/.installed
	@$(BIN)/python -m example_project $(ARGS)

# Ends with a figure, not a verdict: how much of the package the test processes themselves ran, and
# the files of which they ran less than 80 %.
test: lint
	$(BIN)/python -m pytest -q --numprocesses 4 --dist worksteal --cov --cov-report=
	$(BIN)/python -m pytest -q --numprocesses 4 --dist worksteal --database postgresql $(DATABASE_TESTS)
	@$(BIN)/coverage report | awk 'NR <= 2 || /^TOTAL/ || ($$NF ~ /%/ && $$NF + 0 < 80)'

# MariaDB has no wheel: its programs must be on the machine.
test-mariadb: $(VENV)/.installed
	$(BIN)/python -m pytest -q --numprocesses 4 --dist worksteal --database mariadb $(DATABASE_TESTS)

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy

audit: $(VENV)/.installed
	@$(BIN)/python .ci/audit.py

# Every warning is an error, and nothing is fetched.
docs: $(VENV)/.installed
	$(BIN)/python -m sphinx -q --fresh-env --fail-on-warning --keep-going docs build/docs
	@echo "The documentation is in build/docs/index.html"

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks $(ARGS)
	$(BIN)/python -m benchmarks.pipeline
	$(BIN)/python -m benchmarks.providers

soak: $(VENV)/.installed
	@$(BIN)/python -m benchmarks.soak $(ARGS)

chaos: $(VENV)/.installed
	@$(BIN)/python -m tests.chaos $(ARGS)

attack: $(VENV)/.installed
	@$(BIN)/python -m tests.attack $(ARGS)

# Installed again only when what is needed has changed.
$(VENV)/.installed: setup.py pyproject.toml
	@echo "Creating the environment in $(VENV) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=...")'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install -qq --no-input --editable '.[dev]'
	@touch $@

# The environment, everything that was built, and the data of the example project.
clean:
	rm -rf $(VENV) benchmarks/.venvs .nox var build dist *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
