# `make` lists the targets. Each sets up what it needs inside this checkout: Python packages in .venv
# (requirements.lock), Node packages in node_modules (package-lock.json).
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Compiling the imports again costs each of the hundred processes that tests start about 4 seconds.
unexport PYTHONDONTWRITEBYTECODE

# Two more than cores: tests of daemons wait for blocks and processes at times.
WORKERS ?= $(shell echo $$(($$(nproc) + 2)))
# A file's tests run in one worker: others would start its daemons and deploy its contracts again.
# In our order, which begins with those that wait longest (tests/conftest.py).
PARALLEL := -n $(WORKERS) --dist loadscope --no-loadscope-reorder

# Every target that has a help text is a command, not a file.
.PHONY: $(shell sed -nE 's/^([a-z-]+):.*## .*/\1/p' $(firstword $(MAKEFILE_LIST)))

##@ Start here

help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: .venv/.installed node_modules/.installed scripts/ipfs-node/node_modules/.installed assets contracts ## install everything that demo and test need

.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "fedpact needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Set PYTHON=..."; exit 1; }
	@echo "== Python packages into .venv (requirements.lock)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@# uv installs everything but torch: it is ten times as fast, but only pip finds a local CPU build.
	@# torch comes with its dependencies: PyPI's CUDA build cannot be imported without NVIDIA's libraries.
	@grep -v '^torch==' requirements.lock > .venv/without-torch.lock
	@$(BIN)/pip install --quiet --no-compile --constraint .venv/without-torch.lock $$(grep -E '^(uv|torch)==' requirements.lock) 2> >(grep -v '^WARNING: Location' >&2)
	@$(BIN)/uv pip install --quiet --no-deps --python $(BIN)/python -r .venv/without-torch.lock \
	  || $(BIN)/pip install --quiet --no-deps --no-compile -r .venv/without-torch.lock
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation -e . 2> >(grep -v '^WARNING: Location' >&2)
	@touch $@

node_modules/.installed: package-lock.json | .venv/.installed
	@echo "== Anvil, solc, OpenZeppelin into node_modules (package-lock.json)"
	@npm ci --ignore-scripts --no-audit --no-fund --loglevel=error > /dev/null
	@touch $@

scripts/ipfs-node/node_modules/.installed: scripts/ipfs-node/package-lock.json | .venv/.installed
	@echo "== the IPFS node into scripts/ipfs-node/node_modules"
	@cd scripts/ipfs-node && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error > /dev/null
	@touch $@

.PHONY: clients
clients: tests/clients/node_modules/.installed ## Hardhat and EthereumJS, for their slow tests (400 MB)

tests/clients/node_modules/.installed: tests/clients/package-lock.json | .venv/.installed
	@cd tests/clients && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error > /dev/null
	@touch $@

# Apart: halmos pins versions that other tools exclude.
.cache/halmos/.installed: tests/contracts/symbolic/requirements.lock | .venv/.installed
	@echo "== halmos into .cache/halmos (tests/contracts/symbolic/requirements.lock)"
	@$(PYTHON) -m venv --clear .cache/halmos
	@$(BIN)/uv pip install --quiet --no-deps --python .cache/halmos/bin/python -r $< \
	  || .cache/halmos/bin/pip install --quiet --no-deps --no-compile -r $<
	@touch $@

# What the dashboard's pages load, from npm; it is shipped inside the wheel.
ASSETS := offchain/fedpact/dashboard/static/vendor

.PHONY: assets
assets: $(ASSETS)/chart.umd.min.js $(ASSETS)/idiomorph.min.js

$(ASSETS)/chart.umd.min.js: node_modules/.installed
	@mkdir -p $(ASSETS)
	@sed '/^\/\/# sourceMappingURL=/d' node_modules/chart.js/dist/chart.umd.min.js > $@
	@cp node_modules/chart.js/LICENSE.md $(ASSETS)/chart.LICENSE.md

$(ASSETS)/idiomorph.min.js: node_modules/.installed
	@mkdir -p $(ASSETS)
	@cp node_modules/idiomorph/dist/idiomorph.min.js $@
	@cp node_modules/idiomorph/LICENSE $(ASSETS)/idiomorph.LICENSE

demo: setup ## four providers train on real data, are judged and paid; the requester uses the model
	@$(BIN)/fedpact demo $(DEMO)

##@ Checks

lint: lint-python lint-contracts lint-config slither ## all static checks

# .pre-commit-config.yaml runs the same four targets; tests/offchain/test_repository.py compares them.

lint-python: setup ## format, lint, types and import directions of the Python code
	@echo "== Python: ruff, mypy, import-linter"
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy offchain lab
	@$(BIN)/lint-imports --no-cache

lint-contracts: setup ## style of the contracts; fails if the compiled artifacts are stale
	@echo "== contracts: artifacts, solhint"
	@$(BIN)/python -m scripts.compile --check
	@node_modules/.bin/solhint -c solhint.config.js --noPoster --disc --max-warnings 0 'contracts/**/*.sol'

lint-config: setup ## schema of the CI workflow and the compose file; the Containerfile
	@echo "== configuration: CI workflow, compose file, Containerfile"
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema custom.github-workflows-require-timeout .github/workflows/*.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec deploy/compose.yaml
	@$(BIN)/hadolint deploy/Containerfile

slither: setup ## static analysis of the contracts; slither.allowed.toml explains each accepted finding
	@echo "== contracts: Slither, medium impact and above"
	@$(BIN)/python -m scripts.static_analysis

test: setup ## all static checks, the documentation and the tests that take minutes
	@$(MAKE) --no-print-directory -j2 lint-python tests SELECTED='-m "not slow"' $(AND_SAY)

test-all: setup clients ## as test, with the slow tests and more examples of each property
	@$(MAKE) --no-print-directory -j2 lint-python tests SELECTED="--hypothesis-profile thorough" $(AND_SAY)

# Types are checked meanwhile, which keeps one core busy for a minute. What they miss stands far above
# the tests' last line: it is said again.
AND_SAY = || { $(MAKE) --no-print-directory lint-python; exit 1; }
.PHONY: tests
tests: lint-contracts lint-config slither docs
	@echo "== tests"
	@env -u MAKEFLAGS -u MFLAGS $(BIN)/pytest $(PARALLEL) $(SELECTED) $(TESTS)

mutation: setup ## break the contracts in small ways; a test must notice: docs/results/mutation.json
	@$(BIN)/python -m scripts.mutation

symbolic: contracts .cache/halmos/.installed ## prove what packed words hold, for all values (200 MB of solvers)
	@$(BIN)/python -m scripts.symbolic

notebooks: setup ## run the notebooks of docs/notebooks, on a market of their own
	@$(BIN)/pytest tests/e2e/test_notebooks.py

chaos: setup ## requests while everything around them fails: docs/results/chaos.json (30 minutes)
	@$(BIN)/python -m tests.chaos --json docs/results/chaos.json $(CHAOS)

##@ Measurements

gas: setup ## gas of each operation, a task and a further round: docs/gas.json, docs/gas.md
	@$(BIN)/python -m benchmarks.gas

bench-round: setup ## seconds and gas per round of the protocol itself: docs/results/round.json
	@$(BIN)/python -m benchmarks.round --json docs/results/round.json

bench-restart: setup ## from a daemon's start to its first duty, after kill -9, and from SIGTERM to its end: docs/results/restart.json
	@$(BIN)/python -m benchmarks.restart --json docs/results/restart.json

bench-idle: setup ## calls and memory of a daemon while nothing is open: docs/results/idle.json
	@$(BIN)/python -m benchmarks.idle --json docs/results/idle.json

bench-requester-memory: setup ## memory of a requester's service that measures a model: docs/results/requester-memory.json
	@OMP_NUM_THREADS=2 $(BIN)/python -m benchmarks.requester_memory --json docs/results/requester-memory.json

bench-pool: setup ## a hundred daemons, ten drawn a round: time, memory, gas: docs/results/pool.json
	@$(BIN)/python -m benchmarks.pool --json docs/results/pool.json

bench-text: setup ## seconds from raw text to a noised release (20 Newsgroups): docs/results/text.json
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.text --json docs/results/text.json

bench-features: setup ## seconds and memory of CIFAR-10's scattering features: docs/results/features.json
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.features --json docs/results/features.json

bench-networks: setup ## texts and images a second and core through the frozen public networks
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.networks

bench-dp: setup ## private training of the CNN against no privacy and against Opacus: docs/results/dp.json
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.dp --json docs/results/dp.json

bench-train: setup ## local training against the same loop in plain PyTorch: docs/results/train.json
	@$(BIN)/python -m benchmarks.train --json docs/results/train.json

bench-profiles: setup ## what noised profiles reveal, find and cost: docs/results/profiles.json
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.profiles --json docs/results/profiles.json

bench-lookup: setup ## milliseconds of a search over 50 daemons (HTTP): docs/results/lookup.json
	@$(BIN)/python -m benchmarks.lookup --json docs/results/lookup.json

soak: setup ## daemons over 200 rounds, with 100,000 events of others: docs/results/soak.json
	@$(BIN)/python -m benchmarks.soak --json docs/results/soak.json $(SOAK)

bench-participation: setup ## the participation game, 810 hostile requests: docs/results/participation.json
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.participation

bench-dashboard: setup ## the dashboard over 1,000 requests and 100,000 events: docs/results/dashboard.json
	@$(BIN)/python -m benchmarks.dashboard

##@ Experiments

experiments: setup ## run all experiments and write their report to docs/results; SCALE=full as in the papers
	@$(BIN)/python -m lab run --all --scale $(or $(SCALE),small)
	@$(BIN)/python -m lab report

experiment-digits: setup ## accuracy, pay and poisoning on digits, five seeds: docs/results/digits.json
	@$(BIN)/python -m lab digits --json docs/results/digits.json

##@ Build

contracts: | .venv/.installed node_modules/.installed ## compile the contracts whose sources changed
	@$(BIN)/python -m scripts.compile

wheel: setup ## dist/fedpact-*.whl, which needs neither solc nor Node where it is installed
	@rm -f dist/fedpact-*.whl
	@$(BIN)/pip wheel --quiet --no-deps --no-build-isolation -w dist .

wheel-check: wheel ## install the wheel without the checkout's packages and load its API; PYTHON=python3.13
	@echo "== wheel under $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear .cache/wheel-check
	@.cache/wheel-check/bin/pip install --quiet dist/fedpact-*.whl 2> >(grep -v '^WARNING: Location' >&2)
	@cd .cache && wheel-check/bin/python -c 'import fedpact; [getattr(fedpact, name) for name in fedpact.__all__]'
	@cd .cache && wheel-check/bin/fedpact --help > /dev/null
	@cd .cache && wheel-check/bin/fedpact --version
	@rm -rf .cache/wheel-check

docs: setup ## build the documentation into site/; a broken link or anchor fails
	@echo "== documentation"
	@set -o pipefail; NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict 2>&1 \
	  | { grep -v '^INFO' || true; } # --quiet would hide the warnings that fail the build

screenshots: setup ## pictures of the dashboard for the documentation: docs/dashboard
	@$(BIN)/python -m scripts.screenshots

lock: setup ## write the newest versions that pyproject.toml allows to requirements.lock
	@$(BIN)/python -m scripts.lock

clean: ## remove everything that the other targets installed or built
	@rm -rf .venv node_modules scripts/ipfs-node/node_modules .cache dist build site
