# Every target does all of its own set-up; a second run finds it done.
# Needs python3 (3.11 or newer), git and make; `make test` and `make bench` also java 17 and mvn for the real Kafka broker.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
KAFKA := $(BIN)/python tools/kafka/broker.py
KAFKA_DIR := .cache/kafka
SPARK := .venv-spark
AIRFLOW := .venv-airflow
DBT := .venv-dbt
FEAST := .venv-feast
OPENMETADATA := .venv-openmetadata
TORCH := .venv-torch
# More than cores: a test mostly waits, for brokers and for processes that start.
JOBS ?= 3
# Of the log that is asked. A million is generated once, from a quarter of an hour of CPU time on (4 GB in .cache); 20,000 in one.
BENCH_RUNS ?= 1000000

.DEFAULT_GOAL := help
.PHONY: help setup demo test check fmt coverage bench faults sim integrations interop kafka-up kafka-down ci build clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | awk -F'\t' '{printf "  make %-11s %s\n", $$1, $$2}'

# uv where it is installed, pip everywhere else: the same packages either way.
ifneq ($(UV),)
install = VIRTUAL_ENV="$(abspath $(VENV))" $(UV) pip install --quiet
else
install = $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "modeltrail needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
ifeq ($(UV),)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
endif

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	@echo "Installing modeltrail[demo] into $(VENV) ..."
	@$(install) -e '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "Installing modeltrail and its test tools into $(VENV) ..."
	@$(install) -e '.[demo]' --group dev
	@touch $@ $(VENV)/.demo

setup: $(VENV)/.dev ## the virtual environment, all dependencies and the broker's jars
	@$(KAFKA) prepare

demo: $(VENV)/.demo ## train three model versions and look at their trail: no broker needed
	@$(BIN)/modeltrail demo

test: setup ## all tests, on a real Kafka broker
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal

check: $(VENV)/.dev ## formatting, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/basedpyright --level error tests/typing
	$(BIN)/lint-imports --no-cache

fmt: $(VENV)/.dev ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

coverage: setup ## the tests with branch coverage of all three packages
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

faults: setup ## kill, freeze, cut off, fill up for 8 minutes, beside the rows' long forms; FAULTS='--duration 1h', '--seed 7'
	@PYTHONPATH=tests $(BIN)/python -m faults $(FAULTS)

sim: $(VENV)/.dev ## random worlds for 5 minutes on all cores; SIM='--duration 1h', '--seed 7', '--replay 7', '--mutants'
	@PYTHONPATH=tests $(BIN)/python -m simulation $(SIM)

$(SPARK)/.ready: tools/spark/pom.xml tools/spark/requirements.txt pyproject.toml
	@echo "Installing Spark (0.5 GB) into $(SPARK) ..."
	@$(PYTHON) -m venv $(SPARK)
	@$(SPARK)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(SPARK)/bin/python -m pip install --quiet --disable-pip-version-check -r tools/spark/requirements.txt -e '.[demo]' --group dev
	@mvn -B -q -f tools/spark/pom.xml dependency:copy-dependencies -DoutputDirectory="$(abspath $(SPARK))/jars" -DexcludeTransitive=true
	@touch $@

$(AIRFLOW)/.ready: tools/airflow/requirements.txt pyproject.toml
	@echo "Installing Airflow (0.4 GB) into $(AIRFLOW) ..."
	@$(PYTHON) -m venv $(AIRFLOW)
	@$(AIRFLOW)/bin/python -m pip install --quiet --disable-pip-version-check -r tools/airflow/requirements.txt -e .
	@touch $@

# Also Dagster, beside which dbt installs without a conflict. Of dbt-core's newest only an sdist is there, which downloads from GitHub.
$(DBT)/.ready: tools/dbt/requirements.txt pyproject.toml
	@echo "Installing dbt and Dagster (1.1 GB) into $(DBT) ..."
	@$(PYTHON) -m venv $(DBT)
	@$(DBT)/bin/python -m pip install --quiet --disable-pip-version-check --only-binary=:all: -r tools/dbt/requirements.txt -e .
	@touch $@

# Also Quix Streams, which wants an older confluent-kafka than we test with, and goes beside Feast without a conflict.
$(FEAST)/.ready: tools/feast/requirements.txt
	@echo "Installing Feast and Quix Streams (0.7 GB) into $(FEAST) ..."
	@$(PYTHON) -m venv $(FEAST)
	@$(FEAST)/bin/python -m pip install --quiet --disable-pip-version-check -r tools/feast/requirements.txt
	@touch $@

$(OPENMETADATA)/.ready: tools/openmetadata/requirements.txt
	@echo "Installing OpenMetadata's ingestion (0.6 GB) into $(OPENMETADATA) ..."
	@$(PYTHON) -m venv $(OPENMETADATA)
	@$(OPENMETADATA)/bin/python -m pip install --quiet --disable-pip-version-check -r tools/openmetadata/requirements.txt
	@touch $@

# What PyPI has of torch for Linux brings CUDA with it, whether there is a GPU or not.
$(TORCH)/.ready: tools/torch/requirements.txt pyproject.toml
	@echo "Installing PyTorch, Lightning and transformers (5 GB) into $(TORCH) ..."
	@$(PYTHON) -m venv $(TORCH)
	@$(TORCH)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(TORCH)/bin/python -m pip install --quiet --disable-pip-version-check -r tools/torch/requirements.txt -e '.[demo]' --group dev
	@touch $@

integrations: setup $(SPARK)/.ready $(TORCH)/.ready ## libraries that are too heavy for `make test`: pyspark.ml, PyTorch, Lightning, transformers, datasets
	@$(SPARK)/bin/python -m pytest -q -m 'not torch and not slow' tests/emitter/integrations
	@$(TORCH)/bin/python -m pytest -q -m 'not interop and not slow' tests/emitter/integrations tests/e2e/test_examples.py

interop: setup $(SPARK)/.ready $(AIRFLOW)/.ready $(DBT)/.ready $(FEAST)/.ready $(OPENMETADATA)/.ready ## other programs: Airflow, Spark, dbt and Dagster with us in their jobs; Feast, OpenMetadata, Quix and Spark that read us
	@$(BIN)/python -m pytest -q -m interop --ignore=tests/emitter/integrations

bench: setup ## ratios against named peers, one core pinned; then what answers take; JSON in benchmarks/results; BENCH_RUNS='20000'
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.answers --runs $(BENCH_RUNS)

kafka-up: setup ## a broker of your own on 127.0.0.1:9092
	@$(KAFKA) start $(KAFKA_DIR) --port 9092

kafka-down: ## stop it
	@$(KAFKA) stop $(KAFKA_DIR)

ci: check test ## what CI runs

build: $(VENV)/.dev ## the wheel and the sdist
	@$(install) build
	$(BIN)/python -m build --quiet

clean: ## remove what the targets made in this folder
	rm -rf $(VENV) $(SPARK) $(AIRFLOW) $(DBT) $(FEAST) $(OPENMETADATA) $(TORCH) .cache dist build modeltrail-demo .coverage* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
