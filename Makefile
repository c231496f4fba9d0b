# Thin: every target is one command of the project's own tools.
# The first python3.13 that answers: a pyenv shim is on the PATH even where its version is not active.
PYTHON ?= $(shell for p in python3.13 $$HOME/.pyenv/versions/3.13*/bin/python3.13; do $$p --version >/dev/null 2>&1 && echo $$p && break; done)
BIN := .venv/bin
LOCK := --quiet --universal --python-version 3.13 --no-emit-index-url --generate-hashes --no-header --no-annotate

# Else each of the hundreds of processes that the tests start compiles every module that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help env package demo dev test test-slow test-browser screenshots test-faults test-guards coverage audit bench bench-full docs reference lint lock

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

env: .venv/.complete  ## the environment alone: .venv with everything, .venv/bin/flows on it

.venv/.complete: requirements.lock
	@test -n "$(PYTHON)" || { echo "make: Python 3.13 was not found; install it or name it: make env PYTHON=/path/to/python3.13" >&2; exit 1; }
	@echo "Creating .venv (about a minute; 150 packages)"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: env  ## the whole path on a generated sample: raw file to BigQuery, every window verified
	@$(BIN)/flows demo

dev: env  ## API, BigQuery emulator, Dagster UI and daemon, until Ctrl-C
	@$(BIN)/flows dev

test: lint  ## formatting, lint, types, contracts, and the tests
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not slow and not browser"

test-slow: env  ## the tests that `make test` leaves out: most of tests/end_to_end, memory over millions of rows, `flows dev`, the benchmarks' rows, more examples
	$(BIN)/pytest -n 2 --dist loadfile -m "(slow or hypothesis) and not browser" --hypothesis-profile many

test-browser: env  ## clicks through Dagster's UI on Debian's Chromium: materialise, backfill, plots (some minutes)
	$(BIN)/pytest -m browser

screenshots: env  ## the same, and the pictures of README and docs are taken again
	FLOWS_TEST_SCREENSHOTS=docs/images $(BIN)/pytest -m browser

test-faults: env  ## every seeded fault in full (two hours); the tests above run a small share
	FLOWS_TEST_FAULTS=full $(BIN)/pytest -m faults --timeout 3600

test-guards: env  ## remove each guard in turn: a test must see it (DRAWN=12 for some, drawn by the last commit)
	$(BIN)/python tests/faults/guards.py $(if $(DRAWN),--drawn $(DRAWN))

coverage: env  ## branches that the tests run, their child processes included: htmlcov/ (TESTS=tests/domain for some)
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow and not browser" --cov --cov-report=term --cov-report=html $(TESTS)

audit: env  ## known vulnerabilities of the locked packages; fails where a package could not be looked up
	$(BIN)/python .ci/audit.py

bench: env  ## speed beside the usual ways, as ratios: benchmarks/RESULTS.md (an hour on a quiet machine; ROWS=… for some)
	@cmp -s benchmarks/requirements.lock benchmarks/.venv/.lock || { echo "Creating benchmarks/.venv (70 packages)" \
	  && $(BIN)/python -m venv --clear benchmarks/.venv \
	  && benchmarks/.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/requirements.lock \
	  && cp benchmarks/requirements.lock benchmarks/.venv/.lock; }
	@$(BIN)/python -m benchmarks $(ROWS)

bench-full: env  ## 130 million generated rows, raw file to warehouse: benchmarks/FULL.md (an hour or two; goes on where it was stopped)
	@$(BIN)/python -m benchmarks.full

package: env  ## the wheel and the source package, in dist/
	$(BIN)/python -m hatchling build

docs: env  ## the documentation as a site, in site/ (offline; a broken link or anchor fails it)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

reference: env  ## write docs/reference from the code: commands, settings, keys of a source, Python functions
	@$(BIN)/python -m tests.reference

lint: env  ## ruff, mypy strict, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports

lock: env  ## resolve the dependencies again (needs uv); the image's are the same versions without those of development
	uv pip compile $(LOCK) --extra dev --extra docs --extra all pyproject.toml --output-file requirements.lock
	uv pip compile $(LOCK) --extra all --constraint requirements.lock pyproject.toml deploy/requirements.in --output-file deploy/requirements.lock
