# Two commands do everything on a fresh machine: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
DATA ?=
TESTS ?=
SUITE ?=
MIRRORS ?=
WORKERS ?= 2
export PYTHON
BIN := .venvs/dev/bin

.PHONY: help demo test test-all acceptance lint docs benchmarks locks clean install dev sdk2 sdk3 awscli s3clients moto

help:            ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /  \1	/p' $(MAKEFILE_LIST)

demo: install sdk2  ## the census story on a throw-away server (DATA=folder with adult.data for the census figures)
	@tools/demo.sh "$(DATA)"

test: dev sdk2 awscli moto  ## lint, types, architecture and all but the long tests (WORKERS=processes)
	@$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow" $(TESTS)

test-all: dev sdk2 sdk3 awscli s3clients moto  ## every test
	@$(MAKE) --no-print-directory lint
	THOROUGH=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(TESTS)

acceptance: dev  ## suites that other projects wrote, held to tests/acceptance (MIRRORS=folder of git mirrors; SUITE=name)
	@tools/environment.sh moto-suite locks/moto-suite.txt
	@tools/environment.sh s3-suite locks/s3-suite.txt
	@PYTHONPATH=tests MIRRORS="$(MIRRORS)" $(BIN)/python -m acceptance.run $(SUITE)

lint: dev        ## ruff, mypy, import layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: dev        ## the generated reference pages
	$(BIN)/python -m clary.reference docs/reference

benchmarks:      ## the environments of the benchmarks and their peers; says what else they need
	@tools/environment.sh benchmarks benchmarks/locks/benchmarks.txt -e .
	@for lock in benchmarks/locks/peers-*.txt; do tools/environment.sh "$$(basename "$$lock" .txt)" "$$lock" || exit; done
	@tools/missing.sh wrk nginx

install:
	@tools/environment.sh clary locks/core.txt -e .

dev:
	@tools/environment.sh dev locks/dev.txt -e .

sdk2 sdk3 awscli s3clients:
	@tools/environment.sh $@ locks/$@.txt

moto:            # another S3 server for the tests, the one that benchmarks have as a peer
	@tools/environment.sh peers-moto benchmarks/locks/peers-moto.txt

locks:           ## the lock files anew, from their .in files
	for given in locks/*.in benchmarks/locks/*.in; do uv pip compile -q --generate-hashes --universal --no-annotate \
	  --python-version 3.11 --custom-compile-command "make locks" "$$given" -o "$${given%.in}.txt"; done

clean:           ## the environments and what tests leave
	rm -rf .venvs .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis demo-output
