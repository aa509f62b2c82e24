# make demo         the main job on an image set that is made on the spot
# make test         the tests: first the quick ones, then those marked `slow`
#                   (test-quick, test-slow: each of these alone)
# make check        format, lint, types, layers; with -j2 two at once
#                   (lint, types-src, types-tests - with benchmarks -, layers: each of these alone)
# make docs         the documentation site, in site/, and docs/options.md, which is made from the code
# make test-oldest  the core of the tests with the oldest dependencies that pyproject.toml allows
# make coverage     the tests with branch coverage
# make gpu-check    what needs a GPU: with the packages of PYTHON, nothing is installed
# Each makes its environment and installs what is missing; a second call is quick. PYTHON=python3.13 chooses another
# Python, with an environment of its own.

PYTHON  ?= python3
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV    ?= $(if $(filter python python3,$(PYTHON)),.venv,.venv-$(VERSION))
OLDEST  := .venv-oldest-$(VERSION)
SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN     := $(VENV)/$(SCRIPTS)
DEMO    ?= demo/out
WORKERS ?= 2
# What suits small, bright drawings; photographs want the defaults.
DEMO_OPTIONS ?= --size 112x144 --whole --epochs 3 --lr 1e-3
# What everything else is built of.
CORE := tests/laws tests/tasks tests/transforms tests/sources tests/metrics tests/evaluation

# A new environment has no byte code: where none may be written, each program that a test starts compiles torch again.
unexport PYTHONDONTWRITEBYTECODE

# An environment of another Python is not used without a word.
MADE_WITH := $(shell sed -n 's/^version[_info]* *= *\([0-9]*\.[0-9]*\).*/\1/p' $(VENV)/pyvenv.cfg 2>/dev/null)
ifneq ($(MAKECMDGOALS),clean)
ifneq ($(filter-out $(VERSION),$(MADE_WITH)),)
$(error $(VENV) is an environment of Python $(MADE_WITH), and $(PYTHON) is $(VERSION): remove it, or give VENV=FOLDER)
endif
endif

.PHONY: demo test test-quick test-slow check lint types-src types-tests layers docs test-oldest coverage gpu-check clean

demo: $(VENV)/.demo
	$(BIN)/python demo/make_shelf.py $(DEMO)/shelf
	$(BIN)/eyebright train $(DEMO)/shelf/labels.csv --images $(DEMO)/shelf/photos --out $(DEMO)/model $(DEMO_OPTIONS)
	$(BIN)/eyebright predict $(DEMO)/model $(DEMO)/shelf/new --out $(DEMO)/predictions.csv
	@head -n 5 $(DEMO)/predictions.csv
	$(BIN)/eyebright export $(DEMO)/model --to page --compared 50
	@echo "look at its images and correct their labels: $(BIN)/eyebright review $(DEMO)/model $(DEMO)/shelf/new"

# Each of two processes takes whole files, with one thread of torch. WORKERS=0 runs all tests in one process.
test-quick test-slow: export OMP_NUM_THREADS = 1
TEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

test:
	@$(MAKE) --no-print-directory test-quick
	@$(MAKE) --no-print-directory test-slow

test-quick: $(VENV)/.dev
	$(TEST) -m 'not slow'
	$(BIN)/python -m pytest --doctest-modules src

# SLOW_UNTIL: the Unix time after which none of them is started; which come first then depends on the commit.
test-slow: $(VENV)/.dev
	$(TEST) -m slow $(if $(SLOW_UNTIL),--slow-until $(SLOW_UNTIL) --no-loadscope-reorder) \
		$(shell grep -rl --include='test_*.py' 'mark[.]slow' tests)

# The longest first.
check: types-src types-tests lint layers

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types-src: $(VENV)/.dev
	$(BIN)/pyright --pythonpath $(BIN)/python

types-tests: $(VENV)/.dev
	$(BIN)/pyrefly check --python-interpreter-path $(BIN)/python

layers: $(VENV)/.dev
	$(BIN)/lint-imports

docs: $(VENV)/.dev
	$(BIN)/python -m eyebright.cli.reference > docs/options.md
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet  # without the theme's notice on MkDocs 2

test-oldest: $(OLDEST)/.dev
	$(OLDEST)/$(SCRIPTS)/python -m pytest $(CORE)

# Programs that the tests start count too. COVERED=tests/metrics measures a part.
coverage: $(VENV)/.dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(COVERED)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# The results stay in gpu-check.json; a failing check does not stop the others.
gpu-check:
	PYTHONPATH=src $(PYTHON) benchmarks/gpu_check.py --json gpu-check.json $(GPU_OPTIONS)

clean:
	rm -rf $(VENV) $(OLDEST) demo/out site

$(VENV)/.uv:
	$(PYTHON) -c 'import sys; sys.exit("eyebright needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	touch $@

# One marker a set of extras; the second set adds only what is missing.
$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/.uv
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --constraint constraints.txt --editable '.[onnx,review]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/.uv
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --constraint constraints.txt --editable '.[dev]'
	touch $(VENV)/.demo $@

# Dependencies of dependencies are as new as they may be.
$(OLDEST)/.dev: pyproject.toml | $(VENV)/.uv
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(OLDEST)
	VIRTUAL_ENV=$(abspath $(OLDEST)) $(BIN)/uv pip install --resolution lowest-direct --editable '.[dev]'
	touch $@
