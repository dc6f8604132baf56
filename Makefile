# Every target makes .venv first where it is missing; Python 3.11 and pip are all that must be there.
PYTHON ?= $(shell command -v python3.11 || echo python3)
ROOT_DIR ?= runs/demo
DEMO_FLAGS ?=
PYTEST_FLAGS ?=
RUN = .venv/bin/python

.PHONY: demo test test-slow lint bench clean

demo: .venv/installed
	$(RUN) -m binaries.demo --root_dir=$(ROOT_DIR) $(DEMO_FLAGS)

# Two processes of under 2 GiB each; PYTEST_FLAGS="-n 0" for one, or as many as there are cores.
test: .venv/installed
	$(RUN) -m pytest -n 2 --dist loadfile $(PYTEST_FLAGS)

test-slow: .venv/installed
	$(RUN) -m pytest -m slow

lint: .venv/installed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

bench: .venv/installed
	$(RUN) -m benchmarks.throughput

.venv/installed: setup.py
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is not there. Install Python 3.11, or name it: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "error: $(PYTHON) is not Python 3.11, the one that all pinned packages have wheels for. Name it: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache
