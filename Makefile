# make demo   install, then run the main job on the embedded synthetic patient
# make test   install, then lint, type-check and run the tests
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test lint check-slow benchmarks clean
.DEFAULT_GOAL := demo

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"cytof needs Python 3.11 or newer; `$(PYTHON)` is {v.major}.{v.minor}. Try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/cytof demo --out demo

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow"

check-slow: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m slow --timeout 7200

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache
