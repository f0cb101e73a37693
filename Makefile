# The two commands of a newcomer: `make run` and `make test`.
PYTHON ?= python3
WORKERS ?= 1
GPU ?=
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed

.PHONY: asked run dev install test check docs bench chaos compare screenshots clean help

help: ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

run: install ## start everything (WORKERS=n workers)
	@PALAVER_GRACE=$${PALAVER_GRACE:-0} $(PY) -m shared.process.launch --workers $(WORKERS) || test $$? -eq 130

dev: install ## start everything; API and worker restart when sources change
	@PALAVER_GRACE=$${PALAVER_GRACE:-0} $(PY) -m shared.process.launch --workers $(WORKERS) --reload || test $$? -eq 130

install: $(STAMP) ## create .venv and install the pinned dependencies (GPU=cuda|vulkan|hip|metal|cpu)

# Who names a build gets it at any time; otherwise the one that is there stays.
$(STAMP): pyproject.toml constraints.txt .ci/install.py $(if $(strip $(GPU)$(CMAKE_ARGS)),asked)
	@GPU="$(GPU)" $(PYTHON) .ci/install.py $(VENV)
	@touch $@

asked:

test: install ## run all tests
	@$(PY) -m pytest $(ARGS)

check: install ## ruff and mypy
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

docs: install ## write the tables of settings in docs/configuration.md
	@$(PY) -m shared.settings_table

bench: install ## measure the overhead beside stock arq
	@$(PY) -m bench.overhead

chaos: install ## the long storm over a whole cluster (half an hour), into docs/reliability.md
	@$(PY) -m tests.faults.chaos --output docs/reliability.md $(ARGS)

compare: install ## measure Palaver beside llama-server (builds it; half an hour)
	@$(PY) -m bench.compare $(ARGS)

screenshots: install ## take the pictures in docs/screenshots anew (needs Chromium)
	@mkdir -p docs/screenshots
	@PALAVER_SCREENSHOTS=docs/screenshots $(PY) -m pytest -q tests/web/test_looks.py

clean: ## remove what was installed and built; the data folder stays
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
