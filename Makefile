PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup build test clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet "setuptools>=77" "Cython>=3.1,<4" "numpy>=2.0,<3" "picows>=2.3.1,<2.4"
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[dev]"
	touch $@

build: setup
	$(BIN)/python setup.py --quiet build_ext --inplace

test: build
	$(BIN)/python -m pytest -q

clean:
	rm -rf build dist $(VENV) python/*.egg-info python/subcore/*.so
