# qiltest: `make demo` and `make test` do all set-up by themselves, in one virtual environment, and install nothing twice.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
export TOKENIZERS_PARALLELISM := false
export HF_HUB_OFFLINE := 1
# threads that spin while they wait made a forward of the embedded model up to 17 times slower, with two processes on two cores
export OMP_WAIT_POLICY ?= PASSIVE
# the tests start many processes, each of which would compile the package and pytest's plugins anew: a third of their time
export PYTHONDONTWRITEBYTECODE :=

# processes that generate on the CPU, one core and about 1 GB each
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1))')

# what a session of tests skipped, and why; tests/conftest.py adds to it
SKIPPED := $(CURDIR)/build/skipped.txt

# the demo's part of the report: long digits, calligraphy, a crowded page, and what is drawn fast; `make suite` generates all
SHOWN := --qil-case=anime-street --qil-case=capybara --qil-case=classroom --qil-case=couplets --qil-case=pi-number --qil-case=whiteboard

# the embedded editing model, on two cases that need no other model's image
EDITS := --qil-model=tiny-edit --qil-case=edit-menu --qil-case=edit-notice

.PHONY: help demo test tests check slow suite lint browser begin clean
.NOTPARALLEL:

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(INSTALLED)  ## generate six of the report's cases with the embedded model, read and judge them, open the report; then two edits
	@$(BIN)/python -m pytest tests/report_cases -q -p no:cacheprovider --qil-workers=$(WORKERS) $(SHOWN) $(ARGS)
	@$(BIN)/qiltest report latest --open
	@$(BIN)/python -m pytest tests/report_cases -q -p no:cacheprovider --qil-workers=$(WORKERS) $(EDITS) $(ARGS)
	@$(BIN)/qiltest report latest --open

test: export QILTEST_SKIPPED := $(SKIPPED)
test: begin browser lint tests suite  ## everything: style, types, unit and integration tests, and the suite on the embedded model
	@if test -s $(SKIPPED); then echo "skipped, in all:"; cat $(SKIPPED); else echo "no test was skipped"; fi

begin:
	@rm -f $(SKIPPED)

browser: $(INSTALLED)  ## fetch Chromium for the browser tests, where this machine can have it
	@sh tools/fetch_browser.sh $(BIN)/python

tests: $(INSTALLED)  ## `check` and `slow` in one session, which collects eight thousand tests once
	$(BIN)/python -m pytest tests --ignore=tests/report_cases -n 2 --dist=worksteal -q $(ARGS)

check: $(INSTALLED)  ## unit and integration tests: what a developer runs often
	$(BIN)/python -m pytest tests --ignore=tests/report_cases -m "not slow" -n 2 --dist=worksteal -q $(ARGS)

slow: $(INSTALLED)  ## the tests that start processes, load the embedded model, or kill sessions
	$(BIN)/python -m pytest tests --ignore=tests/report_cases -m slow -n 2 --dist=worksteal -q $(ARGS)

suite: $(INSTALLED)  ## the suite itself on the embedded models
	$(BIN)/python -m pytest tests/report_cases -q --qil-workers=$(WORKERS) $(ARGS)
	$(BIN)/python -m pytest tests/report_cases -q --qil-workers=$(WORKERS) $(EDITS) --qil-case=edit-capybara $(ARGS)

lint: $(INSTALLED)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check src tests benchmarks tools conftest.py
	$(BIN)/mypy

$(INSTALLED): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[easyocr,dev]'
	touch $@

clean:  ## remove the virtual environment and everything that was made
	rm -rf $(VENV) build dist runs htmlcov .coverage* .pytest_cache .mypy_cache .ruff_cache .benchmarks .hypothesis src/*.egg-info
