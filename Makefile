# make build | demo | test | bench | help
#
# Everything that needs no root is set up unasked: the Rust target through rustup, tools through cargo and pip below target/. Packages
# of the distribution are installed only by `make demo` and `make test`, or with SETUP=yes; every other target names those that
# are missing. (The names for dnf are those of Amazon Linux 2023 and have not been tried.)

TARGET  := x86_64-unknown-linux-musl
BINARY  := target/$(TARGET)/release/ecs-start-task
VERSION  = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# The Rust that makes a release, named here alone. Every other build takes any from Cargo.toml's rust-version on.
RELEASE_RUST := 1.95.0
VENV    := target/venv
RPMS    ?= target/rpm
PYTHON  := $(VENV)/bin/python
# moto and the AWS CLI want 3.10 or later; the python3 of Amazon Linux 2023 is 3.9.
PYTHON3 = $(shell python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo python3 || echo python3.11)
# The stand-in waits more than it works, so there are more workers than cores.
WORKERS ?= 12

# Profile, flags and compiler from the caller's environment reach no build: the same sources give the same bits.
unexport $(filter CARGO_PROFILE_% CARGO_BUILD_RUST% CARGO_ENCODED_RUSTFLAGS RUSTC RUSTC_% CFLAGS%,$(.VARIABLES)) \
	$(filter %_RUSTFLAGS,$(filter CARGO_TARGET_%,$(.VARIABLES)))
# No path of the building machine gets into the binary.
CARGO_HOME ?= $(HOME)/.cargo
override export RUSTFLAGS := --remap-path-prefix=$(CARGO_HOME)=/cargo --remap-path-prefix=$(CURDIR)=/build
# ring's C uses nothing of libc, so the host's compiler makes the same objects as musl-gcc, which Amazon
# Linux does not have; the linking is done with the libc and start files of the Rust target.
export CC_x86_64_unknown_linux_musl := cc

CARGO := cargo
# The linker that comes with Rust links both architectures. With packed relocations and without unwind tables, which nothing reads
# in a stripped program that aborts on panic, the binary is a sixth smaller. Not in RUSTFLAGS, as these reach the build tools too.
LINKER := -Clinker=rust-lld $(addprefix -Clink-arg=,-zpack-relative-relocs --no-eh-frame-hdr -Tpackaging/no-unwind-tables.ld)
# Puts the list of crates into the binary; every build has it, so that the binary that is tested is the one that ships.
AUDITABLE := target/tools/cargo-auditable@0.7.7
# Cargo hashes the path of the wrapper, which differs from machine to machine. So it gets the name only, through env, which
# cargo-auditable runs in place of cargo.
BUILD      = PATH="$(CURDIR)/target/tools/bin:$$PATH" CARGO=env RUSTFLAGS="$(RUSTFLAGS) $(LINKER)" \
	cargo-auditable auditable RUSTC_WORKSPACE_WRAPPER=cargo-auditable $(CARGO) build --release --locked
SUDO  := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)

.PHONY: help build demo test lint unit e2e chaos chaos-test pages requirements bench audit clean

demo test: export SETUP := yes

help:  ## List the targets
	@sed -n 's/^\([a-z][a-z0-9-]*\):.*## /\1\t/p' Makefile | expand -t 20

build: target/.toolchain $(AUDITABLE)  ## Build the static binary
	$(BUILD) --target $(TARGET)

# Cargo tools, compiled here once. The name of the target is the crate with its version.
target/tools/%:
	$(CARGO) install --quiet --locked --root target/tools $*
	@touch $@

target/.toolchain:
	@mkdir -p target
	rustup target add $(TARGET)
	rustup component add rustfmt clippy
	@command -v cc >/dev/null || $(call install,gcc libc6-dev,gcc)
	@touch $@

demo: build $(VENV)/.done  ## Start a task in moto's ECS, as on an instance
	PYTHONPATH=tests $(PYTHON) -m standin.demo

# What compiles and what is fetched goes side by side, the tests one after the other.
READY := lint unit srpm rpm $(VENV)/.done target/.e2e-packages target/.package-test-tools target/boot/rootfs/.done

test:  ## Everything that CI runs; boot-test needs root
	$(MAKE) --jobs 4 --output-sync $(READY)
	$(MAKE) e2e chaos-test package-test boot-test

lint: target/.toolchain  ## Format, imports, clippy, rustdoc
	$(CARGO) fmt --check
	tests/imports
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps --document-private-items

unit: target/.toolchain  ## Unit tests, and whole runs under a virtual clock
	$(CARGO) test --locked
	$(CARGO) test --quiet --locked corpus -- --ignored

e2e: build $(VENV)/.done target/.e2e-packages  ## The built binary on a stand-in host, and against moto
	$(PYTHON) -m pytest -q -n $(WORKERS) --dist worksteal -c tests/pytest.ini tests

# In a mount namespace of its own: some schedules fill the file system of a state directory, or make it read-only.
CHAOS = PYTHONPATH=tests unshare $(if $(filter 0,$(shell id -u)),,--map-root-user) --mount $(PYTHON) -m chaos

chaos: build $(VENV)/.done target/.e2e-packages  ## Random faults, kills and second runs, and a judge that counts the tasks: RUNS=3000, or SEED=n again
	$(CHAOS) $(if $(SEED),--seed $(SEED),--runs $(or $(RUNS),1000))

chaos-test: build $(VENV)/.done target/.e2e-packages  ## The first schedules of make chaos, all at once, in less than two minutes
	$(CHAOS) --first 1 --runs 200 --at-once 200

pages:  ## Make the man pages and completions from the definitions of the command line
	$(CARGO) test --quiet --locked pages::write -- --ignored

# A run waits ten minutes for its agent meanwhile; WAIT=60 makes that 60 seconds.
bench: build $(VENV)/.done target/.e2e-packages target/.bench-packages target/.rpm-tools $(RPMS)/THIRD-PARTY-LICENSES  ## What a run costs, compared with the commands of AWS's page; ten minutes
	PYTHONPATH=tests $(PYTHON) -m bench $(if $(WAIT),--wait $(WAIT))

target/.bench-packages:
	@command -v valgrind >/dev/null || $(call install,valgrind,valgrind)
	@touch $@

$(VENV)/.done: tests/requirements.txt
	$(PYTHON3) -m venv $(VENV) || { $(call install,python3-venv,python3.11) && $(PYTHON3) -m venv $(VENV); }
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r tests/requirements.txt
	@touch $@

requirements: $(VENV)/.done  ## Lock what tests/requirements.in needs, with hashes, for Python 3.10 and later
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
	  --custom-compile-command 'make requirements' --output-file tests/requirements.txt tests/requirements.in

# The page's own commands, for the comparison; unshare, readelf and strace; man, mandoc and the shells.
target/.e2e-packages:
	@for tool in systemctl curl jq awk /usr/bin/time unshare readelf strace man mandoc bash zsh fish; do command -v $$tool >/dev/null || missing=1; done; \
	  [ -z "$$missing" ] || $(call install,systemd curl jq gawk time util-linux binutils strace man-db mandoc zsh fish,\
	    curl jq gawk time util-linux binutils strace man-db mandoc zsh fish)
	@touch $@

DENY := target/tools/cargo-deny@0.20.2
MACHETE := target/tools/cargo-machete@0.9.2
DENIES := target/tools/bin/cargo-deny --locked --config packaging/deny.toml

# The database of advisories is a git repository. Where it cannot be fetched, the last line says so; only a release fails then.
audit: $(DENY) $(MACHETE)  ## Licences, origins, duplicates, advisories and use of the crates
	$(DENIES) check bans licenses sources
	target/tools/bin/cargo-machete
	@if $(DENIES) fetch db; then \
	  $(DENIES) check advisories && echo "advisories: checked, none" > target/.advisories; \
	else \
	  echo "advisories: NOT CHECKED, the database could not be fetched; see above" > target/.advisories; \
	fi
	@cat target/.advisories

clean:  ## Remove everything that was built
	rm -rf target

# $(call install,packages of Debian,packages of Amazon Linux): installs them with SETUP=yes, else says how and fails
install = { \
	if command -v apt-get >/dev/null; then update="apt-get -qq update" install="apt-get install -y --no-install-recommends $(1)"; \
	elif command -v dnf >/dev/null; then update=: install="dnf install -y $(2)"; \
	else echo "not installed: $(1)" >&2; exit 1; fi; \
	if [ -z "$(SETUP)" ]; then \
		printf '%s\n' "Some of these packages are missing. Install them, or run make with SETUP=yes, which does it:" \
		  "    $(if $(SUDO),sudo )$$install" >&2; exit 1; fi; \
	$(SUDO) flock target sh -c "$$update && $$install -q"; }

# --- The package ---

AARCH64        := aarch64-unknown-linux-musl
BINARY_AARCH64 := target/$(AARCH64)/release/ecs-start-task
ROOTFS         := target/boot/rootfs

# On x86_64 a cross compiler for ring's C.
export CC_aarch64_unknown_linux_musl := $(if $(filter aarch64,$(shell uname -m)),cc,aarch64-linux-gnu-gcc)

.PHONY: build-aarch64 rpm srpm sign repo install package-test boot-test test-unprivileged

build-aarch64: target/.toolchain target/.toolchain-aarch64 $(AUDITABLE)  ## Build the static binary for aarch64
	$(BUILD) --target $(AARCH64)

target/.toolchain-aarch64:
	rustup target add $(AARCH64)
	[ "$$(uname -m)" = aarch64 ] || command -v aarch64-linux-gnu-gcc >/dev/null || \
	  $(call install,gcc-aarch64-linux-gnu libc6-dev-arm64-cross,gcc-aarch64-linux-gnu)
	@touch $@

rpm: build build-aarch64 target/.rpm-tools $(RPMS)/THIRD-PARTY-LICENSES  ## Both packages, in RPMS=target/rpm
	packaging/build-rpm $(RPMS) x86_64 $(BINARY)
	packaging/build-rpm $(RPMS) aarch64 $(BINARY_AARCH64)
	@printf 'The packages are in %s:\n' $(abspath $(RPMS))
	@cd $(RPMS) && ls -l ecs-start-task-$(VERSION)-1.x86_64.rpm ecs-start-task-$(VERSION)-1.aarch64.rpm

srpm: target/.rpm-tools target/vendored/.done $(RPMS)/THIRD-PARTY-LICENSES  ## The source package, which builds without network
	packaging/build-rpm $(RPMS) target/vendored

# GPG_PASSPHRASE_FILE is for a key with a passphrase where gpg has no terminal to ask on.
sign: target/.rpm-tools  ## Sign the packages in RPMS with GPG_KEY
	GPG_PASSPHRASE_FILE="$(GPG_PASSPHRASE_FILE)" packaging/sign $(RPMS) "$(GPG_KEY)"
	@! test -e $(RPMS)/SHA256SUMS || { $(write_sums); }

# Of this version alone: RPMS may hold others.
write_sums = cd $(RPMS) && sha256sum -- *-$(VERSION)-1.*.rpm *-$(VERSION)-1.*.json > SHA256SUMS

repo: target/.rpm-tools  ## A yum repository of the signed packages in RPMS: DIR, GPG_KEY, BASEURL
	GPG_PASSPHRASE_FILE="$(GPG_PASSPHRASE_FILE)" packaging/make-repo $(RPMS) "$(DIR)" "$(GPG_KEY)" "$(BASEURL)"

# Takes what is built: packagers build as they like.
install:  ## Install into DESTDIR
	install -D -m 755 $(BINARY) $(DESTDIR)/usr/bin/ecs-start-task
	install -D -m 644 packaging/ecs-start-task.service $(DESTDIR)/usr/lib/systemd/system/ecs-start-task.service
	install -D -m 644 packaging/ecs-start-task.tmpfiles $(DESTDIR)/usr/lib/tmpfiles.d/ecs-start-task.conf
	install -D -m 644 packaging/ecs-start-task.conf $(DESTDIR)/etc/ecs/ecs-start-task.conf
	install -D -m 644 packaging/ecs-start-task.logrotate $(DESTDIR)/etc/logrotate.d/ecs-start-task
	install -d -m 755 $(DESTDIR)/usr/share/man/man5 $(DESTDIR)/usr/share/man/man8
	gzip -9n < packaging/man/ecs-start-task.8 > $(DESTDIR)/usr/share/man/man8/ecs-start-task.8.gz
	gzip -9n < packaging/man/ecs-start-task.conf.5 > $(DESTDIR)/usr/share/man/man5/ecs-start-task.conf.5.gz
	install -D -m 644 packaging/completions/ecs-start-task.bash $(DESTDIR)/usr/share/bash-completion/completions/ecs-start-task
	install -D -m 644 packaging/completions/_ecs-start-task $(DESTDIR)/usr/share/zsh/site-functions/_ecs-start-task
	install -D -m 644 packaging/completions/ecs-start-task.fish $(DESTDIR)/usr/share/fish/vendor_completions.d/ecs-start-task.fish
	install -d -m 755 $(DESTDIR)/usr/share/doc/ecs-start-task/examples
	install -m 644 README.md packaging/CHANGELOG.md $(DESTDIR)/usr/share/doc/ecs-start-task
	install -m 644 packaging/examples/* $(DESTDIR)/usr/share/doc/ecs-start-task/examples
	install -d -m 755 $(DESTDIR)/etc/ecs/ecs-start-task.d $(DESTDIR)/var/log/ecs

$(RPMS)/THIRD-PARTY-LICENSES: Cargo.lock packaging/third-party-licenses
	@mkdir -p $(@D)
	$(CARGO) fetch --locked
	packaging/third-party-licenses > $@.new
	mv $@.new $@

target/vendored/.done: Cargo.lock
	@mkdir -p $(@D)/.cargo
	$(CARGO) vendor --locked $(@D)/vendor > $(@D)/.cargo/config.toml
	# The directory as it is named in the source package.
	sed -i 's,^directory = .*,directory = "vendor",' $(@D)/.cargo/config.toml
	@touch $@

target/.rpm-tools:
	@mkdir -p target
	@for tool in rpmbuild rpmsign createrepo_c gpg; do command -v $$tool >/dev/null || missing=1; done; \
	  [ -z "$$missing" ] || $(call install,rpm createrepo-c gpg gpg-agent,rpm-build rpm-sign createrepo_c gnupg2)
	# The first query makes rpm's database, which two at once cannot do.
	rpm --query --all >/dev/null
	@touch $@

package-test: rpm srpm $(VENV)/.done target/.package-test-tools  ## What is in the packages; needs no root
	# By file: what a file builds once is not built by two workers in the same place.
	$(PYTHON) -m pytest -q -n 2 --dist loadfile -c tests/pytest.ini tests/package

target/.package-test-tools:
	@mkdir -p target
	@for tool in git rpmlint cpio systemd-analyze qemu-aarch64-static make; do command -v $$tool >/dev/null || missing=1; done; \
	  [ -z "$$missing" ] || $(call install,git rpmlint cpio systemd qemu-user-static,git rpmlint cpio systemd qemu-user-static)
	@touch $@

boot-test: rpm $(VENV)/.done target/.package-test-tools target/.boot-test-tools $(ROOTFS)/.done  ## The package on a machine that boots; needs root
	$(PYTHON) -m pytest -q -n 6 --dist worksteal -c tests/pytest.ini tests/boot

target/.boot-test-tools:
	@mkdir -p target
	@for tool in systemd-nspawn mmdebstrap ip nsenter; do command -v $$tool >/dev/null || missing=1; done; \
	  [ -z "$$missing" ] || $(call install,systemd-container mmdebstrap iproute2 util-linux,systemd-container iproute util-linux)
	@touch $@

# Debian 12 has the systemd version of Amazon Linux 2023, and nearly its cloud-init.
$(ROOTFS)/.done: tests/boot/packages | target/.boot-test-tools
	@[ "$$(id -u)" = 0 ] || { echo "the boot test needs root: run it as root, or make test-unprivileged without it" >&2; exit 1; }
	rm -rf $(ROOTFS)
	@mkdir -p $(@D)
	mmdebstrap --quiet --variant=minbase --aptopt='Apt::Install-Recommends "false"' \
	  --include=$$(paste -sd, tests/boot/packages) bookworm $(ROOTFS)
	@touch $@

# --- The release ---

CYCLONEDX := target/tools/cargo-cyclonedx@0.5.9

.PHONY: sbom reproducible release clean-tree release-rust advisories

sbom: rpm $(CYCLONEDX)  ## What is in each package, as CycloneDX, in RPMS
	packaging/make-sbom $(RPMS) x86_64
	packaging/make-sbom $(RPMS) aarch64

reproducible: release-rust sbom $(VENV)/.done target/.reproducible-tools  ## Build all of it again, elsewhere and later, and compare the bits
	$(PYTHON) -m pytest -q -c tests/pytest.ini tests/release

target/.reproducible-tools:
	@command -v faketime >/dev/null || $(call install,faketime,libfaketime)
	@touch $@

# Cheap checks come first.
release: clean-tree release-rust advisories target/.reproducible-tools test srpm reproducible  ## Everything that a release takes, checked, in RPMS
	$(write_sums)
	@cat $(RPMS)/SHA256SUMS target/.advisories

clean-tree:
	@changes=$$(git status --porcelain) && [ -z "$$changes" ] || \
	  { printf '%s\n' "A release is made from a clean git working tree. Commit or remove:" "$$changes" >&2; exit 1; }

release-rust:
	@case "$$(rustc --version)" in "rustc $(RELEASE_RUST) "*) ;; *) printf '%s\n' \
	  "A release is built with Rust $(RELEASE_RUST), but this is $$(rustc --version). Run:" \
	  "    rustup toolchain install $(RELEASE_RUST) && RUSTUP_TOOLCHAIN=$(RELEASE_RUST) make $(MAKECMDGOALS)" >&2; exit 1;; esac

advisories: audit
	@[ "$(ADVISORIES)" = unchecked ] || ! grep -q 'NOT CHECKED' target/.advisories || \
	  { echo "The advisories were not checked, see above. To release all the same: make release ADVISORIES=unchecked" >&2; exit 1; }

test-unprivileged: lint unit e2e chaos-test package-test  ## Everything that needs no root: all but boot-test

# --- Fuzzing ---

FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= $(basename $(notdir $(wildcard tests/fuzz/targets/*.rs)))
# With nightly, the address sanitizer checks every allocation; without it, there is no sanitizer.
NIGHTLY      = $(shell rustup toolchain list | sed -n 's/^\(nightly[^ ]*\).*/\1/p' | head -n 1)
CARGO_FUZZ   = $(if $(NIGHTLY),RUSTUP_TOOLCHAIN=$(NIGHTLY)) target/tools/bin/cargo-fuzz
FUZZ_OPTIONS = --fuzz-dir tests/fuzz --target-dir target/fuzz $(if $(NIGHTLY),,--sanitizer none)

.PHONY: fuzz fuzz-corpus

fuzz fuzz-corpus: override export RUSTFLAGS :=

fuzz: target/tools/bin/cargo-fuzz tests/fuzz/Cargo.lock  ## Fuzz each parser for FUZZ_SECONDS=60, or FUZZ_TARGETS="ecs imds"
	@set -e; for target in $(FUZZ_TARGETS); do \
	  echo "$$target, for $(FUZZ_SECONDS) s"; \
	  mkdir -p target/fuzz-corpus/$$target; \
	  $(CARGO_FUZZ) run $(FUZZ_OPTIONS) $$target target/fuzz-corpus/$$target tests/fuzz/corpus/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -timeout=10 -malloc_limit_mb=64 -verbosity=0; \
	done

fuzz-corpus: target/tools/bin/cargo-fuzz tests/fuzz/Cargo.lock  ## Add to the corpus what reaches code that it does not reach
	@set -e; for target in $(FUZZ_TARGETS); do \
	  $(CARGO_FUZZ) run $(FUZZ_OPTIONS) $$target tests/fuzz/corpus/$$target target/fuzz-corpus/$$target -- \
	    -set_cover_merge=1 -use_counters=0; \
	done

# The crates that are shipped, plus those of fuzzing.
tests/fuzz/Cargo.lock: Cargo.lock
	cp $< $@

target/tools/bin/cargo-fuzz:
	@command -v c++ >/dev/null || $(call install,g++,gcc-c++)
	$(CARGO) install --locked --root target/tools cargo-fuzz --version 0.13.2
