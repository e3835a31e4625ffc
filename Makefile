# make demo: the main job on the embedded defaults.   make test: all checks and tests.
# Both set up what they need inside this checkout: .venv (requirements.lock), node_modules (package-lock.json).
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo test test-all lint slither mutation invariants contracts lock gas bench-round bench-text bench-features bench-dp bench-train bench-profiles bench-lookup experiments experiment-digits wheel docs clean

help: ## what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 28

setup: .venv/.installed node_modules/.installed scripts/ipfs-node/node_modules/.installed contracts ## everything that demo and test need

.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "fedpact needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Set PYTHON=..."; exit 1; }
	@echo "== Python packages into .venv (requirements.lock)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@# pip takes torch, since only pip knows a machine's CPU builds of it; uv takes the rest, ten times as fast.
	@grep -v '^torch==' requirements.lock > .venv/without-torch.lock
	@$(BIN)/pip install --quiet --no-deps --no-compile $$(grep -E '^(uv|torch)==' requirements.lock) 2> >(grep -v '^WARNING: Location' >&2)
	@$(BIN)/uv pip install --quiet --no-deps --python $(BIN)/python -r .venv/without-torch.lock \
	  || $(BIN)/pip install --quiet --no-deps --no-compile -r .venv/without-torch.lock
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation -e . 2> >(grep -v '^WARNING: Location' >&2)
	@touch $@

node_modules/.installed: package-lock.json | .venv/.installed
	@echo "== Anvil, Forge, solc, OpenZeppelin into node_modules (package-lock.json)"
	@npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

scripts/ipfs-node/node_modules/.installed: scripts/ipfs-node/package-lock.json | .venv/.installed
	@echo "== the IPFS node into scripts/ipfs-node/node_modules"
	@cd scripts/ipfs-node && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

contracts: | .venv/.installed node_modules/.installed ## compile what has changed in contracts/
	@$(BIN)/python -m scripts.compile

demo: setup ## four providers train on real data, are judged and paid; the requester uses the model
	@$(BIN)/fedpact demo $(DEMO)

lint: setup slither ## format, lint, types, import directions, stale ABIs, static analysis of the contracts
	@echo "== lint"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy offchain
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m scripts.compile --check
	@node_modules/.bin/solhint -c solhint.config.js --noPoster --disc --max-warnings 0 'contracts/**/*.sol'

slither: setup ## static analysis of the contracts; each finding that stands has its reason in slither.allowed.toml
	@echo "== slither: syntax trees from npm's solc, detectors of medium impact and above"
	@$(BIN)/python -m scripts.static_analysis

test: lint docs ## all checks and tests that fit into minutes
	@echo "== tests"
	@$(BIN)/pytest -n auto -m "not slow" $(TESTS)

test-all: lint ## the long ones too
	@$(BIN)/pytest -n auto $(TESTS)

mutation: setup ## break the contracts in small ways and see which test notices: docs/results/mutation.json
	@$(BIN)/python -m scripts.mutation

invariants: setup ## random calls against the contracts, by Forge; FOUNDRY_INVARIANT_RUNS and _DEPTH for more
	@FOUNDRY_CONFIG=tests/contracts/invariant/foundry.toml node_modules/.bin/forge test

gas: setup ## what each operation, a task and a further round cost: docs/gas.json, docs/gas.md
	@$(BIN)/python -m benchmarks.gas

bench-round: setup ## seconds and gas a round of the protocol alone: docs/results/round.json
	@$(BIN)/python -m benchmarks.round --json docs/results/round.json

bench-text: setup ## seconds from raw text to a noised release, 20 Newsgroups: docs/results/text.json
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.text --json docs/results/text.json

bench-features: setup ## seconds and memory of CIFAR-10's scattering features: docs/results/features.json
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.features --json docs/results/features.json

bench-dp: setup ## private training of the CNN beside none and beside Opacus: docs/results/dp.json
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.dp --json docs/results/dp.json

bench-train: setup ## local training against the same loop in plain torch: docs/results/train.json
	@$(BIN)/python -m benchmarks.train --json docs/results/train.json

bench-profiles: setup ## what noised profiles give away, find and cost: docs/results/profiles.json
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.profiles --json docs/results/profiles.json

bench-lookup: setup ## milliseconds of a search over 50 real daemons, over HTTP: docs/results/lookup.json
	@$(BIN)/python -m benchmarks.lookup --json docs/results/lookup.json

experiments: setup ## all experiments at scale small, and their report in docs/results; SCALE=full for the papers' own
	@$(BIN)/fedpact experiment run --all --scale $(or $(SCALE),small)
	@$(BIN)/fedpact experiment report

experiment-digits: setup ## accuracy, pay and poison on digits over five seeds: docs/results/digits.json
	@$(BIN)/python -m fedpact.experiments.digits --json docs/results/digits.json

wheel: setup ## dist/fedpact-*.whl: needs neither solc nor Node where it is installed
	@$(BIN)/pip wheel --quiet --no-deps --no-build-isolation -w dist .

docs: setup ## build the documentation into site/; a broken link or anchor fails
	@echo "== documentation"
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lock: ## resolve the newest versions that fit pyproject.toml into requirements.lock
	@$(PYTHON) -m scripts.lock

clean: ## remove all that setup made
	@rm -rf .venv node_modules scripts/ipfs-node/node_modules .cache dist build site
