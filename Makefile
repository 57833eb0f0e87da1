# Each target does its own set-up: a Python 3.10 or newer is all that has to be there.
PYTHON ?= $(shell sh tools/find-python)
BIN := .venv/bin
# uv, too, shall trust whom this machine trusts.
export UV_SYSTEM_CERTS ?= 1

.PHONY: demo test lint realworld clean

demo: .venv/ready
	$(BIN)/python examples/demo.py

test: .venv/ready
	$(BIN)/nox -s tests simulated remote

lint realworld: .venv/ready
	$(BIN)/nox -s $@

.venv/ready: pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python 3.10 or newer here: install one, or say 'make PYTHON=/path/to/python3'" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -e '.[simcluster]' --group dev numpy
	@touch $@

clean:
	rm -rf .venv .nox
