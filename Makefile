# Every target sets itself up: a fresh machine needs Python >= 3.11 and make, nothing else.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed

.PHONY: install demo test check bench mutation campaign docs clean
.DEFAULT_GOAL := install

install: $(STAMP)

$(STAMP): pyproject.toml
	@echo "setting up .venv: a minute or two for libraries, half a minute to compile kernels"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	$(BIN)/python -m cosim.models.warm
	touch $(STAMP)

demo: install
	$(BIN)/cosim run village-v1 --days 7 --out demo-run

test: install
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not campaign"

campaign: install
	$(BIN)/python -m pytest -n auto --dist loadfile -m campaign

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: install
	$(BIN)/python -m benchmarks

mutation: install
	$(BIN)/python -m benchmarks mutation

docs: install
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build
	@echo "docs/_build/index.html"

clean:
	rm -rf docs/_build .venv build dist demo-run *.egg-info
