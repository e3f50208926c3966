# Everything runs in .venv, which the first target makes; nothing outside this folder is changed.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo up test crash check format bench coverage constraints clean

help: ## show the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name what; do \
		printf '  make %-12s %s\n' "$$name" "$$what"; done

install: $(STAMP) ## make .venv: the package (editable), Airflow, and what the tests need

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; found: $$($(PYTHON) --version). Set PYTHON=..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt pip hatchling editables
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation \
		--editable '.[airflow,parquet]' --group dev
	@touch $@

demo: $(STAMP) ## run a whole job in a real Airflow against a bundled job server, and check the result; DAG=name: another of dags/
	@$(BIN)/python -m airflow_asyncjob.testing.demo $(DAG)

up: $(STAMP) ## the same, left open in the browser until Ctrl-C
	@$(BIN)/python -m airflow_asyncjob.testing.demo --keep-open $(DAG)

test: $(STAMP) ## all tests, those with a real Airflow and real servers among them
	@# Two at a time, each with an Airflow of its own where it needs one; but alone where a test takes both cores of a
	@# small machine. All parts run, whatever comes of one.
	@failed=0; \
	$(BIN)/python -m pytest -q -m 'not airflow' --numprocesses 2 --dist loadfile || failed=1; \
	$(BIN)/python -m pytest -q -m 'airflow and not busy' --numprocesses 2 --dist loadfile || failed=1; \
	$(BIN)/python -m pytest -q -m busy || failed=1; \
	exit $$failed

crash: $(STAMP) ## kill and freeze whatever jobs depend on, in Airflow and in the simulation; SEED=number: the same storm again
	@# A million histories beside the storm, with what it leaves of the processors.
	@$(BIN)/python -m tests.crash --histories 1000000 $(if $(SEED),--seed $(SEED))

check: $(STAMP) ## formatting, lint, types, layers, generated pages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

format: $(STAMP) ## format the code, and fix what the linter can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## what a DAG file pays for imports, the page of 10,000 jobs, events of webhooks, and what large downloads and uploads cost beside others
	@$(BIN)/python benchmarks/import_cost.py
	@$(BIN)/python benchmarks/page.py
	@$(BIN)/python benchmarks/webhook.py
	@$(BIN)/python benchmarks/promise.py
	@$(BIN)/python benchmarks/results.py
	@$(BIN)/python benchmarks/uploads.py
	@$(BIN)/python benchmarks/upload_in_airflow.py

coverage: $(STAMP) ## coverage of the tests that need no Airflow and no server
	$(BIN)/python -m pytest -q -m 'not airflow and not server and not slow' --cov --cov-report=term

constraints: ## write constraints.txt anew from what .venv holds now
	@{ echo "# The versions that 'make install' takes. 'make constraints' writes this file anew from .venv."; \
		$(BIN)/python -m pip freeze --all --exclude-editable | grep -v -i '^setuptools==' | sort -f; } > constraints.new
	@mv constraints.new constraints.txt

clean: ## remove everything that the other targets made
	rm -rf .venv .demo .airflow .servers .bench .crash build dist .coverage coverage.xml
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
