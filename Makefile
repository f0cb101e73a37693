# The commands of a newcomer are `make run` and `make test`; of a developer `make fast`, `make check`.
PYTHON ?= python3
WORKERS ?= 1
GPU ?=
VENV := .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
TRACES := $(VENV)/.installed-otel
TOOLS := $(VENV)/.installed-dev
LOCKED := pyproject.toml constraints.txt .ci/install.py worker/engine/drawing.cpp

.PHONY: asked run dev install otel tools test fast check docs bench chaos compare screenshots sbom audit clean help

help: ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

run: install ## start everything (WORKERS=n workers)
	@$(PY) -m cli serve --procfile Procfile --workers $(WORKERS) || test $$? -eq 130

dev: tools ## start everything; API and worker restart when sources change
	@$(PY) -m cli serve --procfile Procfile --workers $(WORKERS) --reload || test $$? -eq 130

install: $(INSTALLED) ## create .venv and install the locked dependencies (GPU=cuda|vulkan|hip|metal|cpu)

otel: $(TRACES) ## install what sends traces as well (OpenTelemetry)

tools: $(TOOLS) ## install the test and lint tools as well

# A build that is named is made at any time; otherwise the one that is there stays.
$(INSTALLED): $(LOCKED) $(if $(strip $(GPU)$(CMAKE_ARGS)),asked)
	@GPU="$(GPU)" $(PYTHON) .ci/install.py $(VENV)
	@touch $@

$(TRACES): $(INSTALLED)
	@$(PYTHON) .ci/install.py --otel $(VENV)
	@touch $@

$(TOOLS): $(INSTALLED)
	@$(PYTHON) .ci/install.py --dev $(VENV)
	@touch $@

asked:

test: tools ## run all tests, or what ARGS="…" names for pytest
	@$(PY) -m tests $(ARGS)

fast: tools ## run the tests without model, browser and processes (under a minute)
	@$(PY) -m tests --fast $(ARGS)

check: tools ## ruff, mypy and the import contracts
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports --no-logo

docs: install ## write the tables of settings in docs/configuration.md
	@$(PY) -m shared.settings_table

bench: tools ## measure the overhead beside stock arq
	@$(PY) -m bench.overhead

chaos: tools ## the long storm over a whole cluster (half an hour), into docs/reliability.md
	@$(PY) -m tests.faults.chaos --output docs/reliability.md $(ARGS)

compare: tools ## measure Palaver beside llama-server (builds it; half an hour)
	@$(PY) -m bench.compare $(ARGS)

sbom: ## write what users install into build/sbom.json (CycloneDX)
	@$(PYTHON) .ci/supply_chain.py sbom build/sbom.json

audit: ## ask PyPI for known vulnerabilities of what users install (needs the network)
	@$(PYTHON) .ci/supply_chain.py audit

screenshots: tools ## take the pictures in docs/screenshots anew (needs Chromium)
	@mkdir -p docs/screenshots
	@PALAVER_SCREENSHOTS=docs/screenshots $(PY) -m pytest -q tests/web/test_looks.py

clean: ## remove what was installed and built; the data folder stays
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f worker/engine/_drawing.*so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
