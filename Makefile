# make demo    the main job on an image set that is made on the spot
# make test    the tests
# make check   format, lint, types, layers
# make docs    the pages of docs/ that are made from the code
# Each makes .venv and installs what is missing; a second call is quick.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
DEMO   ?= demo/out
# What suits small, bright drawings; photographs want the defaults.
DEMO_OPTIONS ?= --size 112x144 --whole --epochs 5 --lr 3e-3 --lr-mult 20 --dropout 0.25

.PHONY: demo test check docs clean

demo: $(VENV)/.demo
	$(BIN)/python demo/make_shelf.py $(DEMO)/shelf
	$(BIN)/eyebright train $(DEMO)/shelf/labels.csv --images $(DEMO)/shelf/photos --out $(DEMO)/model $(DEMO_OPTIONS)
	$(BIN)/eyebright predict $(DEMO)/model $(DEMO)/shelf/new --out $(DEMO)/predictions.csv
	@head -n 5 $(DEMO)/predictions.csv

test: $(VENV)/.dev
	$(BIN)/python -m pytest
	$(BIN)/python -m pytest --doctest-modules src

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/pyright --project benchmarks --pythonpath $(BIN)/python
	$(BIN)/lint-imports

docs: $(VENV)/.dev
	$(BIN)/python -m eyebright.cli.reference > docs/options.md

clean:
	rm -rf $(VENV) demo/out

$(VENV)/bin/uv:
	$(PYTHON) -c 'import sys; sys.exit("eyebright needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv

# One marker a set of extras; the second set adds only what is missing.
$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/uv
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --constraint constraints.txt --editable .
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/uv
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --constraint constraints.txt --editable '.[dev]'
	touch $(VENV)/.demo $@
