# lipline. `make` lists the targets; `make demo` and `make test` set up .venv by themselves.
SHELL := /bin/bash
# `make demo PYTHON=/path/to/python3.12` chooses another one.
PYTHON ?= $(shell for p in python3.12 python3.11 python3.13 python3; do "$$p" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12), (3, 13)))' >/dev/null 2>&1 && { command -v "$$p"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.for-calls
DEV := $(VENV)/.for-tests
# PyPI's torch for Linux brings gigabytes of CUDA; this index has the same release for the CPU. Its needs come from PyPI.
TORCH := --no-deps --extra-index-url https://download.pytorch.org/whl/cpu torch==2.13.0
# OpenCV wants libGL for its windows; where that is missing, the headless build of the same release takes its place.
HEADLESS := opencv-python-headless==4.14.0.94
CODE := realtime models train client signaling benchmarks tests docs/make_pictures

.PHONY: help setup demo test browser net vm sound lint types format bench clean
.DEFAULT_GOAL := help

help:  ## Show the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(RUN)  ## Create .venv with what a call needs (no torch).

demo: $(RUN)  ## Show a call whose link collapses, with and without the filter; ARGS="--clip FILE" takes another face.
	$(BIN)/lipline demo $(ARGS)

# Two processes; a file stays in one of them, so that what its tests share is made once.
test: $(DEV)  ## Run the tests; ARGS="-k mel" picks some, ARGS="-n 0" runs them in one process.
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

browser: $(DEV)  ## Run the tests in real Chromium (Debian: sudo apt install chromium).
	$(BIN)/python -m pytest -m browser tests/browser $(ARGS)

net: $(DEV)  ## Run the tests on real networks: namespaces and tc; needs root.
	$(BIN)/python -m pytest -m net tests/net $(ARGS)

vm: $(DEV)  ## Run the tests in a guest kernel: netem, v4l2loopback, snd-aloop; needs root.
	@missing=; for need in qemu-system-x86_64:qemu-system-x86 gcc:gcc make:make; do command -v $${need%%:*} >/dev/null || missing="$$missing $${need##*:}"; done; \
	ldconfig -p | grep -q libportaudio.so.2 || missing="$$missing libportaudio2"; \
	[ -z "$$missing" ] || echo "Some of these tests will be skipped. Install what they need: sudo apt install --no-install-recommends$$missing"
	$(BIN)/python -m pytest -m vm $(ARGS)

sound: $(DEV)  ## Run the tests in a PulseAudio and a PipeWire of their own (Debian: sudo apt install pulseaudio pulseaudio-utils pipewire-pulse wireplumber).
	$(BIN)/python -m pytest -m sound tests/realtime/devices $(ARGS)

lint: $(DEV)  ## Check style.
	$(BIN)/ruff check $(CODE) && $(BIN)/ruff format --check $(CODE)

types: $(DEV)  ## Check types.
	$(BIN)/mypy

format: $(DEV)  ## Put the code in form.
	$(BIN)/ruff check --fix $(CODE); $(BIN)/ruff format $(CODE)

bench: $(DEV)  ## Measure what parts cost on this machine: the filter's, lipline cam's, video over loss.
	@for name in speed cam video_loss; do echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

clean:  ## Remove .venv and out/.
	rm -rf $(VENV) out

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "lipline needs Python 3.11, 3.12 or 3.13 and found none. Install one (sudo apt install python3.12 python3.12-venv, or: uv python install 3.12), or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 2; }
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) cannot make virtual environments. Run: sudo apt install $$("$(PYTHON)" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" >&2; exit 2; }

$(RUN): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[cpu]'
	@$(BIN)/python -c 'import cv2' 2>/dev/null || $(BIN)/python -m pip install --quiet --force-reinstall --no-deps $(HEADLESS)
	@$(BIN)/python -c 'import opuslib_next' 2>/dev/null || { [ "$$(id -u)" = 0 ] && apt-get install -qq -y libopus0 >/dev/null 2>&1; } || echo "Lost speech can be brought back from the next packet after: sudo apt install libopus0"
	@touch $@

$(DEV): pyproject.toml | $(RUN)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[cpu,camera,train,dev]'
	@touch $@
