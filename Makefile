# Needs Python 3.11, git and make; everything else is installed into .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
PYTEST = -m pytest --numprocesses 2 --dist loadfile --quiet
# The tests start many processes. Without bytecode files each of them compiles all libraries again, which takes longer
# than the tests.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.PHONY: help demo demo-all transfer test test-oldest fuzz docs linkcheck quality format clean

help:
	@echo "make demo         train speech, text and fusion on the spoken demonstration corpus, and compare them"
	@echo "make demo-all     the same with every system, and with video as a third modality"
	@echo "make transfer     measure the gain of speaker pretraining and augmentation with few training utterances"
	@echo "make test         run the tests with the newest libraries"
	@echo "make test-oldest  run the tests with the oldest libraries that setup.cfg allows"
	@echo "make fuzz         give 1,000 hostile inputs to every entry point (minutes)"
	@echo "make docs         build the site of the documentation in site/"
	@echo "make linkcheck    ask every server that a page of the documentation links to"
	@echo "make quality      check lint rules and formatting"
	@echo "make format       fix lint and formatting where that is automatic"
	@echo "make clean        remove everything that the other targets made"

demo: .venv/.installed
	.venv/bin/emofusion demo

demo-all: .venv/.installed
	.venv/bin/emofusion demo --all

transfer: .venv/.installed
	.venv/bin/python scripts/compare_transfer.py

test: .venv/.installed
	@$(browser)
	OMP_NUM_THREADS=1 .venv/bin/python $(PYTEST)

test-oldest: .venv-oldest/.installed
	@$(browser)
	OMP_NUM_THREADS=1 .venv-oldest/bin/python $(PYTEST)

fuzz: .venv/.installed
	OMP_NUM_THREADS=1 PYTHONPATH=tests .venv/bin/python -m fuzz

docs: .venv/.installed
	rm -rf site
	.venv/bin/python docs/build_site.py site

linkcheck: .venv/.installed
	.venv/bin/python docs/build_site.py --linkcheck build/linkcheck

quality: .venv/.installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

format: .venv/.installed
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

clean:
	rm -rf .venv .venv-oldest runs build dist site *.egg-info .pytest_cache .ruff_cache

.venv/.installed: setup.cfg pyproject.toml constraints.txt
	@$(call install,.venv,constraints.txt)

.venv-oldest/.installed: setup.cfg pyproject.toml constraints-oldest.txt
	@$(call install,.venv-oldest,constraints-oldest.txt)

define browser
command -v chromium > /dev/null || echo "Chromium is not installed, so the tests of the page (tests/inference/test_app_browser.py) are skipped: install it with 'apt-get install chromium'."
endef

# torch comes first, so that no other package installs another build of it.
# Without `--no-compile` pip compiles every file of every library, on one core for a minute; the first import of a file
# compiles it too.
define install
command -v $(PYTHON) > /dev/null || { echo "$(PYTHON) is not installed: install Python 3.11, or choose another Python with 'make PYTHON=...'."; exit 1; }; \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than Python 3.11: choose a newer one with 'make PYTHON=...'."; exit 1; }; \
echo "Installing into $(1) (takes minutes the first time)"; \
{ test -x $(1)/bin/python || $(PYTHON) -m venv $(1); } \
&& $(1)/bin/python -m pip install --quiet --upgrade pip \
&& $(1)/bin/python -m pip install --quiet --no-compile --constraint $(2) torch \
&& PYTHONWARNINGS=ignore $(1)/bin/python -m pip install --quiet --no-compile --constraint $(2) --editable '.[dev]' \
&& touch $@ \
|| { echo "The installation into $(1) failed: read the message above, then run make again."; exit 1; }
endef
