# make run: install, then serve the demo on http://127.0.0.1:8000.  make test: install, then run the tests.
PYTHON ?= python3
BIN := .venv/bin
NODE_MODULES := gateway/explorer/node_modules

# Where Python is told to keep nothing compiled, each of the tests' hundred processes would compile the sources anew.
test: export PYTHONDONTWRITEBYTECODE =

.PHONY: run install test lint docs fuzz fuzz-power bench bench-access bench-timing bench-files bench-jobs bench-stalls clean

run: install
	@$(BIN)/torana demo $(ARGS)

install: .venv/installed gateway/explorer/dist/index.html

.venv/installed: pyproject.toml clients/python/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Torana needs Python 3.11 or newer; name it: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Installing Python packages into .venv (about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on --quiet --editable . --editable clients/python --group dev
	@touch $@

gateway/explorer/dist/index.html: gateway/explorer/package-lock.json $(shell find gateway/explorer/src gateway/explorer/public gateway/explorer/index.html gateway/explorer/vite.config.js -type f)
	@$(BIN)/python gateway/explorer/build.py

test: .venv/installed
	@$(BIN)/python -m pytest -n auto $(ARGS)

lint: .venv/installed
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

docs: .venv/installed
	@$(BIN)/torana schema > schema.graphql.new && mv schema.graphql.new schema.graphql
	@$(BIN)/torana access --markdown > docs/access.md.new && mv docs/access.md.new docs/access.md

fuzz: .venv/installed
	@$(BIN)/python -m tests.support.fuzz $(ARGS)

fuzz-power: .venv/installed
	@$(BIN)/python -m tests.support.power $(ARGS)

bench: .venv/installed
	@$(BIN)/python -m bench $(ARGS)

bench-access: .venv/installed
	@$(BIN)/python -m bench.access $(ARGS)

bench-timing: .venv/installed
	@$(BIN)/python -m bench.timing $(ARGS)

bench-files: .venv/installed
	@$(BIN)/python -m bench.files $(ARGS)

bench-jobs: .venv/installed
	@$(BIN)/python -m bench.jobs $(ARGS)

bench-stalls: .venv/installed
	@$(BIN)/python -m bench.stalls $(ARGS)

clean:
	rm -rf .venv gateway/explorer/dist $(NODE_MODULES) bench/peers/.venv bench/peers/node_modules
