# make install   into the active virtual environment, else into .venv (made if absent)
# make check     lint, types, the tests of what changed and the invariants (about a minute)
# make test      install, lint, run all tests on all cores
# make demo      install, then the whole journey in the miniature world (about eight minutes on two cores)
# make lint      ruff and mypy
# make bench     training steps against stock fairseq and Hugging Face
#
# PYTHON=... chooses the interpreter that makes .venv; CONSTRAINTS= (empty) installs the newest versions that setup.cfg allows.

VENV := $(or $(VIRTUAL_ENV),.venv)
BIN := $(VENV)/bin
STAMP := $(VENV)/.relexify-installed
CONSTRAINTS ?= constraints.txt
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

# One thread for each of pytest's workers, whole files to a worker, in the order of tests/conftest.py.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n logical --dist loadfile --no-loadscope-reorder

.PHONY: install check test lint demo bench clean

install: $(STAMP)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "relexify needs Python 3.11 or 3.12; none was found: install one, or name it with PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# Without a constraint pip would take torch's newest build, gigabytes of CUDA libraries with it.
# torchaudio comes with ve-fairseq, of whose text half nothing uses it; built for CUDA it does not import beside a CPU build of torch,
# and then `from transformers import` any model does not either. One that imports stays.
$(STAMP): setup.cfg pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --quiet $(addprefix -c ,$(CONSTRAINTS)) -e '.[test]'
	@$(BIN)/python -c 'import torchaudio' 2>/dev/null || $(BIN)/python -m pip uninstall --disable-pip-version-check --quiet --yes torchaudio
	@touch $@

lint: install
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint
	$(PYTEST) -m 'not slow' $$($(BIN)/python .ci/changed) $$(grep -rl --include='test_*.py' 'pytest.mark.invariant' tests)

test: lint
	$(PYTEST)

demo: install
	$(BIN)/relexify demo --output demo-run

bench: install
	$(BIN)/relexify bench

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
