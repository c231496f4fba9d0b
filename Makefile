# Thin: every target is one command of the project's own tools.
# The first python3.13 that answers: a pyenv shim is on the PATH even where its version is not active.
PYTHON ?= $(shell for p in python3.13 $$HOME/.pyenv/versions/3.13*/bin/python3.13; do $$p --version >/dev/null 2>&1 && echo $$p && break; done)
BIN := .venv/bin

.PHONY: env
env: .venv/.complete  ## the environment alone: .venv with everything, .venv/bin/flows on it

.venv/.complete: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: Python 3.13 was not found; install it or name it: make env PYTHON=/path/to/python3.13" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
