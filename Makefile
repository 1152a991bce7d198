# What a person does every day. `make demo` and `make test` set up what they need by themselves.
PYTHON ?= python3
RUN := .venv/bin
ARGS ?=
# processes that share the tests, file by file: one more than two cores, as most of what they do is wait for others
JOBS ?= 3

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint faults bench docs

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/ready ## Make .venv with the packages of requirements.lock

.venv/ready: requirements.lock pyproject.toml scripts/setup.py
	@$(PYTHON) scripts/setup.py

demo: .venv/ready ## Real shop data through the whole line; KEEP=1 leaves it running, HOUSEHOLDS=300 takes fewer
	@$(RUN)/pathline demo $(if $(KEEP),--keep) $(if $(HOUSEHOLDS),--households $(HOUSEHOLDS)) $(ARGS)

test: .venv/ready ## All tests; ARGS="tests/segments -k window" for some
	@$(RUN)/python -m pytest -n $(JOBS) --no-loadscope-reorder $(ARGS)

lint: .venv/ready ## Style, formatting and types, as CI does
	@$(RUN)/ruff check .
	@$(RUN)/ruff format --check .
	@$(RUN)/mypy

faults: .venv/ready ## Hours of faults on the runtime, then on a whole line; ARGS="--events 100000 --seed 5" for less
	@$(RUN)/python -m tests.faults.runtime $(ARGS)
	@$(RUN)/python -m tests.faults.line $(ARGS)

bench: .venv/ready ## The runtime beside its peers; WHAT=growth|restore|timers|workers|latency|line|... measures that
	@$(RUN)/python -m bench.$(or $(WHAT),compare) $(ARGS)

docs: .venv/ready ## Write again what is generated in docs/
	@$(RUN)/python -m schemas.definitions.published
