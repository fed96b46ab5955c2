# make build | demo | test | bench | help
#
# Each target installs what it lacks: the Rust target through rustup, packages through apt-get or dnf
# (the names for dnf are those of Amazon Linux 2023 and have not been tried), Python's through pip into target/venv.

TARGET  := x86_64-unknown-linux-musl
BINARY  := target/$(TARGET)/release/ecs-start-task
VENV    := target/venv
PYTHON  := $(VENV)/bin/python
# The stand-in waits more than it works, so there are more workers than cores.
WORKERS ?= 12

# The binary names no place of the machine that built it.
CARGO_HOME ?= $(HOME)/.cargo
export RUSTFLAGS := --remap-path-prefix=$(CARGO_HOME)=/cargo --remap-path-prefix=$(CURDIR)=/build
# ring's C uses nothing of libc, so the host's compiler makes the same objects as musl-gcc, which Amazon
# Linux does not have; the linking is done with the libc and start files of the Rust target.
export CC_x86_64_unknown_linux_musl := cc

CARGO := cargo
SUDO  := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)

.PHONY: help build demo test lint unit e2e bench clean

help:  ## Say what there is
	@sed -n 's/^\([a-z][a-z0-9-]*\):.*## /\1\t/p' Makefile | expand -t 10

build: target/.toolchain  ## Build the static binary
	$(CARGO) build --release --locked --target $(TARGET)

target/.toolchain:
	@mkdir -p target
	rustup target add $(TARGET)
	rustup component add rustfmt clippy
	command -v cc >/dev/null || $(call install,gcc libc6-dev,gcc)
	@touch $@

demo: build $(VENV)/.done  ## Start a task in moto's ECS, as on an instance
	PYTHONPATH=tests $(PYTHON) -m standin.demo

test: lint unit e2e  ## Everything that CI runs

lint: target/.toolchain  ## Format, clippy, rustdoc
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps --document-private-items

unit: target/.toolchain  ## Unit tests, and whole runs under a virtual clock
	$(CARGO) test --locked

e2e: build $(VENV)/.done target/.e2e-packages  ## The built binary on a stand-in host, and against moto
	$(PYTHON) -m pytest -q -n $(WORKERS) -c tests/pytest.ini tests

bench: build $(VENV)/.done target/.e2e-packages  ## The binary beside the page's commands
	PYTHONPATH=tests $(PYTHON) -m standin.bench

$(VENV)/.done: tests/requirements.txt
	python3 -m venv $(VENV) || { $(call install,python3-venv,python3) && python3 -m venv $(VENV); }
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

# The page's own commands, for the comparison; unshare and readelf.
target/.e2e-packages:
	for tool in curl jq awk unshare readelf; do command -v $$tool >/dev/null || missing=1; done; \
	  [ -z "$$missing" ] || $(call install,curl jq gawk util-linux binutils,curl jq gawk util-linux binutils)
	@touch $@

clean:  ## Remove everything that was built
	rm -rf target

# $(call install,packages of Debian,packages of Amazon Linux)
install = { \
	if command -v apt-get >/dev/null; then \
		$(SUDO) apt-get -qq update && $(SUDO) apt-get -qq install -y --no-install-recommends $(1); \
	elif command -v dnf >/dev/null; then \
		$(SUDO) dnf -q -y install $(2); \
	else \
		echo "neither apt-get nor dnf is here: install $(1) by hand" >&2; exit 1; \
	fi; }
