# Everything one does with this repository. `make` alone lists it.

BIN := .venv/bin
# More options for `wherry up`, `wherry down` and pytest: make up ARGS="--nodes 2 --name lab"
ARGS ?=
SEEDS ?= 2000
FIRST ?= 0
MINUTES ?= 60
OPERATIONS ?= 100000
INPUTS ?= 1000000
SEED ?= 1
REPLAY ?=

.DEFAULT_GOAL := help
.PHONY: help install up down test check soak fuzz conformance bench transcripts

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: ## Make .venv with Wherry, kubectl and all they need
	@scripts/install.sh

up: install ## Start a cluster on this machine, with the sample in it; ARGS="--nodes 2 --name lab"
	@$(BIN)/wherry up --apply examples/web.yaml $(ARGS)

down: install ## Stop the cluster; with ARGS=--purge its data goes too
	@$(BIN)/wherry down $(ARGS)

test: install ## Run every test, after installing what they use; ARGS=tests/scheduler runs some
	@scripts/install_tools.sh
	@$(BIN)/pytest -n 2 --dist loadgroup $(ARGS)

check: install ## Formatting, lint, types, and the rules of the house
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/pytest -q tests/house

soak: install ## Live through thousands of simulated lives (SEEDS, FIRST, MINUTES), judge long histories (OPERATIONS)
	@WHERRY_SEEDS=$(SEEDS) WHERRY_FIRST=$(FIRST) WHERRY_MINUTES=$(MINUTES) $(BIN)/pytest -q -n 2 --show-capture=no \
		tests/properties/test_deployments_under_chaos.py tests/properties/test_sets_under_chaos.py \
		tests/properties/test_thousands_of_schedules.py -k promises
	@WHERRY_STEPS=500 WHERRY_INJECTIONS=1000 $(BIN)/pytest -q -n 2 --show-capture=no -o timeout=1200 \
		tests/properties/test_walk_of_desired_states.py tests/properties/test_mutated_children.py
	@WHERRY_OPERATIONS=$(OPERATIONS) $(BIN)/pytest -q -rP tests/faults/test_linearisable_objects.py

fuzz: install ## Give hostile inputs to every parser (INPUTS, SEED), or one again that broke it (REPLAY=.fuzz/FILE)
	@$(BIN)/python -m tests.fuzz $(if $(REPLAY),--replay $(REPLAY),--inputs $(INPUTS) --seed $(SEED)) $(ARGS)

conformance: install ## Build Kubernetes' own conformance tests and run them (root, Debian); ARGS=sig-apps runs some
	@scripts/conformance/build.sh .conformance
	@$(BIN)/python scripts/conformance/run.py .conformance $(ARGS)

bench: install ## Measure, and print JSON
	@for bench in bench/*.py; do echo "# $$bench" >&2; $(BIN)/python $$bench || exit 1; done

transcripts: install ## Record the golden transcripts again; look at the diff
	@WHERRY_RECORD=1 $(BIN)/pytest -q tests/scenarios
