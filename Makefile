# Everything a newcomer needs: `make demo`, `make test`. Any Python from 3.11 on will do: make PYTHON=python3.13 test

PYTHON ?= python3
VENV := .venv
ROOMS := $(shell sed -n 's/^"forbear\.\([a-z]*\)" = "\1"$$/\1/p' pyproject.toml)
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check --no-input
export UV_CUSTOM_COMPILE_COMMAND := make lock

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test coverage check pages docs lock release bench bench-quick fuzz clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(VENV)/.forbear ## make .venv with forbear and what it needs, as locked

setup-dev: $(VENV)/.dev $(VENV)/.tree ## the same with what the tests, checks and docs need

demo: setup ## crawl a small real web on loopback and show what was kept, what was not, and in whose words
	@$(BIN)/forbear demo

test: setup-dev ## run all tests
	@tests/chromium.sh $(BIN)/python
	@$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

coverage: ## the same in twice the time, and show what they cover
	@$(MAKE) --no-print-directory test ARGS="--cov --cov-report=term $(ARGS)"

check: setup-dev ## formatting, lint, types and import contracts
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@cd $(VENV)/tree && ../bin/lint-imports --config ../../pyproject.toml --cache-dir ../../.import_linter_cache

pages: setup-dev ## write the pages that are made from the code: commands, protocols, architecture
	@$(BIN)/python -m tests.cli_reference
	@$(BIN)/python -m tests.architecture
	@$(BIN)/python -m tests.optout.protocol_pages

docs: setup-dev ## build the site into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

bench: setup-dev ## measure against peers, in one run, as ratios
	@$(BIN)/python -m bench --write $(ARGS)

bench-quick: setup-dev ## the same with fewer rounds and smaller sizes, printed alone
	@$(BIN)/python -m bench --quick $(ARGS)

# For every platform and every Python that pyproject.toml lets in; setuptools builds the package itself.
LOCK := echo "setuptools>=80" | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --upgrade

fuzz: setup-dev ## fuzz every reader in turn on all cores: make fuzz ARGS="--minutes 60"
	@$(BIN)/python -m tests.fuzz $(ARGS)

lock: setup-dev ## lock the newest dependencies that pyproject.toml lets in
	@$(LOCK) --extra dev --output-file requirements/dev.txt pyproject.toml -
	@$(LOCK) --extra all --constraints requirements/dev.txt --output-file requirements/base.txt pyproject.toml -

release: setup-dev ## make sdist, wheel, SBOM, release notes and checksums of the committed tree, into dist/
	@.ci/release

clean: ## remove everything that make created
	@rm -rf $(VENV) site build dist *.egg-info .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(BIN)/pip:
	@command -v $(PYTHON) >/dev/null 2>&1 && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Forbear needs Python 3.11 or newer, and $(PYTHON) is older or not there: name one, as in make PYTHON=python3.13 test" >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) lacks its venv module: install it (Debian and Ubuntu: apt install python3-venv), then call make again." >&2; \
		exit 1; }
	@$(PYTHON) -m venv $(VENV)

# The lock names all there is to install. --no-deps: pip need not resolve anything, and its resolver, asked for an extra
# of a locked package, looks at releases newer than the locked one and then refuses them, as they have no hash.
$(VENV)/.forbear: requirements/base.txt pyproject.toml | $(BIN)/pip
	@echo "Installing what Forbear needs into $(VENV) (once; a minute or so) ..." >&2
	@$(PIP) install --require-hashes --no-deps --requirement requirements/base.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.forbear
	@echo "Installing what its tests and checks need into $(VENV) (once; a minute or so) ..." >&2
	@$(PIP) install --require-hashes --no-deps --requirement requirements/dev.txt
	@touch $@

# Python itself finds forbear.optout in optout/, as pyproject.toml says; what reads it without running it (mypy,
# lint-imports, mkdocstrings, editors) looks for a folder forbear/optout. Here is one, of links: new files are in it.
$(VENV)/.tree: pyproject.toml $(wildcard forbear/*.py) | $(BIN)/pip
	@rm -rf $(VENV)/tree && mkdir -p $(VENV)/tree/forbear
	@ln -s $(addprefix ../../../,$(ROOMS) $(wildcard forbear/*.py) forbear/py.typed) $(VENV)/tree/forbear/
	@touch $@
