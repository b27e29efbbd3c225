# `make help` lists the targets. ARGS goes to the command of train, test, gpu and bench, as in
# `make train ARGS="processor=pgn trainer.max_steps=200"` or `make test ARGS="tests/test_imports.py -x"`.
PYTHON ?= python3
# `make gpu` runs on this interpreter as it is, installing nothing: it must have torch with CUDA.
GPU_PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Two processes of one thread each: on small tensors more threads cost more than they bring.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2

.DEFAULT_GOAL := help
.PHONY: help install train test gpu bench lint type wheel clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP)  ## set up .venv, which the others do by themselves

# One environment for training and for testing: beside torch the test tools weigh little, and a second
# stamp would resolve and install twice.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, and '$(PYTHON)' is not; name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@if [ -x $(BIN)/python ]; then \
	  $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "$(VENV) has a Python older than 3.11; run: make clean" >&2; exit 1; }; \
	else \
	  $(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || $(PYTHON) -m venv --clear --without-pip $(VENV); \
	fi
	@if $(BIN)/python -m pip --version >/dev/null 2>&1; then pip="$(BIN)/python -m pip"; \
	else pip="$(PYTHON) -m pip --python $(BIN)/python"; fi; \
	set -x; $$pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

train: $(STAMP)  ## train message passing on breadth-first search, evaluate and plot
	$(BIN)/zoo train $(ARGS)

# Compile tests need the type hook off, which acts at import: a second process. Exit status 5 is pytest's
# for no test selected, which is no failure where ARGS chose tests of one kind.
test: $(STAMP)  ## run the tests (not slow, not gpu), then those of torch.compile
	@plain=0; compile=0; \
	$(PYTEST) $(ARGS) || plain=$$?; \
	JAXTYPING_DISABLE=1 $(PYTEST) -m "compile and not slow and not gpu" $(ARGS) || compile=$$?; \
	if [ -n '$(subst ','\'',$(ARGS))' ] && [ $$plain != $$compile ]; then \
	  [ $$plain = 5 ] && plain=0; [ $$compile = 5 ] && compile=0; \
	fi; \
	[ $$plain = 0 ] && [ $$compile = 0 ]

gpu:  ## run the GPU tests and benchmarks; up to 9 minutes a call, call again for the rest
	$(GPU_PYTHON) -m benchmarks.gpu_pieces $(ARGS)

bench: $(STAMP)  ## run the benchmarks
	$(BIN)/python -m benchmarks $(ARGS)

lint: $(STAMP)  ## ruff: rules and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: $(STAMP)  ## mypy
	$(BIN)/mypy

wheel: $(STAMP)  ## build the wheel, install it in a clean environment and try it from another folder
	$(BIN)/python .ci/wheel_check.py

clean:  ## remove the environment, caches and build products; runs/ stays
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
