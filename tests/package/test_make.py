"""The Makefile where no build would show a bug: what reaches a build, what prevents a release, what is installed unasked.

`probe` is a target that a test adds, with the recipe that it needs.
"""

import os
import pty
import re
import select
import shutil
import subprocess

import pytest

from package.tools import ARCHITECTURES, ROOT, VERSION, Key, attempt, copy_tree, rpm_of, run

#: Each of these changes the output, or selects another compiler.
FOREIGN = {
    "CARGO_BUILD_RUSTC": "other-rustc",
    "CARGO_BUILD_RUSTC_WRAPPER": "wrapper",
    "CARGO_BUILD_RUSTFLAGS": "-g",
    "CARGO_ENCODED_RUSTFLAGS": "-g",
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
    "CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS": "-g",
    "CFLAGS": "-O0",
    "CFLAGS_x86_64_unknown_linux_musl": "-O0",
    "RUSTC": "other-rustc",
    "RUSTC_WORKSPACE_WRAPPER": "wrapper",
    "RUSTC_WRAPPER": "wrapper",
    "RUSTFLAGS": "-g",
}


def probe(recipe, *arguments, goal="probe", make=attempt, **more):
    """make with a target `probe` of that recipe, which is the first dependency of the goal."""
    depends = [] if goal == "probe" else ["--eval", f"{goal}: probe"]
    return make("make", "--no-print-directory", "--eval", f"probe: ; {recipe}", *depends, goal, *arguments, **{"cwd": ROOT} | more)


@pytest.fixture
def tree(tmp_path):
    """A copy of the tree, without git and without anything that was built."""
    (tmp_path / "tree").mkdir()
    return copy_tree(tmp_path / "tree")


@pytest.fixture
def commands(tmp_path):
    """commands(NAME=TEXT) is an environment with these programs first in PATH; they print that text and their arguments."""

    def make(**texts):
        (tmp_path / "bin").mkdir()
        for name, text in texts.items():
            file = tmp_path / "bin" / name.replace("_", "-")
            file.write_text(f'#!/bin/sh\necho "{text}" "$@"\n')
            file.chmod(0o755)
        return {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}

    return make


# --- What reaches a build ---


@pytest.mark.parametrize("given", ["in the environment", "to make"])
def test_nothing_of_the_caller_s_flags_and_compilers_reaches_a_build(given):
    to_make = [f"{name}={value}" for name, value in FOREIGN.items()] if given == "to make" else []
    environment = dict(line.split("=", 1) for line in probe("@env", *to_make, environment=FOREIGN, make=run).splitlines() if "=" in line)
    ours = environment.pop("RUSTFLAGS")
    assert re.fullmatch(r"(--remap-path-prefix=\S+ ?)+", ours)
    assert FOREIGN.keys() & environment.keys() == set()


# --- What is packaged ---


@pytest.fixture
def package_of(tmp_path):
    """package_of(TREE) is the package that is made there."""

    def build(tree):
        out = tmp_path / "out"
        out.mkdir()
        (out / "THIRD-PARTY-LICENSES").write_text("")
        (tmp_path / "binary").write_text("")
        run("packaging/build-rpm", out, "x86_64", tmp_path / "binary", cwd=tree)
        return rpm_of("x86_64", out)

    return build


def track(tree):
    run("git", "init", "--quiet", cwd=tree)
    run("git", "add", ".", cwd=tree)


def names(package):
    return {path.rpartition("/")[2] for path in run("rpm", "-qlp", package).split()}


def test_a_package_holds_what_git_tracks_as_it_is_now(tree, package_of):
    track(tree)
    (tree / "packaging/examples/.env").write_text("SECRET=1")
    (tree / "packaging/examples/awsvpc.json").write_text("{}")
    package = package_of(tree)
    assert {"overrides.json", "awsvpc.json"} <= names(package) and ".env" not in names(package)
    assert " 2 " in next(line for line in run("rpm", "-qlvp", package).splitlines() if line.endswith("awsvpc.json"))


def test_a_package_is_not_made_without_a_file_that_git_tracks(tree, package_of):
    track(tree)
    (tree / "packaging/examples/awsvpc.json").unlink()
    with pytest.raises(AssertionError, match=r"awsvpc\.json: Cannot stat"):
        package_of(tree)


def test_an_unpacked_archive_is_packaged_whole(tree, package_of):
    (tree / "packaging/examples/more.json").write_text("{}")
    assert "more.json" in names(package_of(tree))


def test_make_rpm_says_where_the_packages_are():
    recipe = re.search(r"^rpm: .*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    said = probe(";".join(line.strip("\t@") for line in recipe.splitlines()[2:]), make=run)
    assert str(ROOT / "target/rpm") in said and all(f"{VERSION}-1.{each}.rpm" in said for each in ARCHITECTURES)


# --- What is installed ---

INSTALL = "$(call install,cc-of-debian,cc-of-amazon)"


def test_a_target_that_lacks_packages_says_how_to_install_them_and_does_not(commands):
    result = probe(INSTALL, environment=commands(apt_get="INSTALLED", sudo="INSTALLED"))
    assert result.returncode != 0 and "INSTALLED" not in result.stdout
    assert "    apt-get install -y --no-install-recommends cc-of-debian\n" in result.stdout.replace("sudo ", "")
    assert "SETUP=yes" in result.stdout


@pytest.mark.parametrize("goal", ["demo", "test"])
def test_demo_and_test_install_them_themselves(commands, goal):
    # Nothing is built, and make stops at the probe.
    environment = commands(apt_get="INSTALLED", sudo="INSTALLED")
    result = probe(INSTALL + " && exit 9", "--old-file=build", goal=goal, environment=environment)
    assert result.stdout.count("INSTALLED") == 2 and "cc-of-debian" in result.stdout and "Error 9" in result.stdout


# --- What a release takes ---


def test_a_release_is_refused_from_a_tree_that_is_not_clean(tree):
    track(tree)
    result = attempt("make", "release", cwd=tree)
    assert result.returncode != 0 and "clean git working tree" in result.stdout and "A  Makefile" in result.stdout
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    run("git", *identity, "commit", "--quiet", "--message=x", cwd=tree)
    run("make", "clean-tree", cwd=tree)


def test_a_release_is_refused_without_git(tree):
    result = attempt("make", "release", cwd=tree, environment={"GIT_CEILING_DIRECTORIES": str(tree.parent)})
    assert result.returncode != 0 and "clean git working tree" in result.stdout


@pytest.mark.parametrize("goal", ["release-rust", "reproducible"])
def test_another_rust_is_refused(goal, tree, commands):
    result = attempt("make", goal, cwd=tree, environment=commands(rustc="rustc 1.94.1 (abc 2026-01-01)"))
    (wanted,) = re.findall(r"^RELEASE_RUST := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert result.returncode != 0 and f"is built with Rust {wanted}, but this is rustc 1.94.1" in result.stdout
    assert f"RUSTUP_TOOLCHAIN={wanted} make {goal}" in result.stdout


def test_the_rust_of_a_release_is_named_in_one_place_and_ordinary_builds_take_an_older_one():
    (wanted,) = re.findall(r"^RELEASE_RUST := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    (oldest,) = re.findall(r'^rust-version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)
    assert [int(part) for part in oldest.split(".")] <= [int(part) for part in wanted.split(".")]
    files = [ROOT / name for name in run("git", "-c", f"safe.directory={ROOT}", "ls-files", cwd=ROOT).split()]
    places = [file.name for file in files if file.suffix != ".lock" and file.is_file() and wanted.encode() in file.read_bytes()]
    assert places == ["Makefile"] and not list(ROOT.glob("rust-toolchain*"))


@pytest.mark.parametrize(
    "found, more, refused",
    [("checked, none", [], False), ("NOT CHECKED, why", [], True), ("NOT CHECKED, why", ["ADVISORIES=unchecked"], False)],
)
def test_advisories_that_were_not_checked_stop_a_release_unless_told_otherwise(found, more, refused, tree):
    (tree / "target").mkdir()
    (tree / "target/.advisories").write_text(f"advisories: {found}\n")
    result = attempt("make", "--old-file=audit", "advisories", *more, cwd=tree)
    assert (result.returncode != 0) == refused and ("ADVISORIES=unchecked" in result.stdout) == refused


def test_the_sums_are_of_this_version_and_follow_the_signatures(tmp_path, key):
    for architecture in ARCHITECTURES:
        shutil.copy(rpm_of(architecture), tmp_path)
        (tmp_path / f"ecs-start-task-{VERSION}-1.{architecture}.cdx.json").write_text("{}")
    (tmp_path / "ecs-start-task-0.0.1-1.x86_64.cdx.json").write_text("{}")
    probe("$(write_sums)", f"RPMS={tmp_path}", make=run)
    before = (tmp_path / "SHA256SUMS").read_text()
    key.make("sign", RPMS=tmp_path)
    after = (tmp_path / "SHA256SUMS").read_text()
    assert before != after and len(after.splitlines()) == 4 and "0.0.1" not in after
    run("sha256sum", "--check", "SHA256SUMS", cwd=tmp_path)


# --- Keys with a passphrase ---

PASSPHRASE = "correct horse"
PATIENCE = 60


@pytest.fixture(scope="module")
def key_with_passphrase():
    key = Key(passphrase=PASSPHRASE)
    yield key
    key.close()


@pytest.fixture
def locked_key(key_with_passphrase):
    """gpg-agent no longer has the passphrase."""
    run("gpgconf", "--kill", "gpg-agent", environment=key_with_passphrase.environment)
    return key_with_passphrase


@pytest.fixture
def one_package(tmp_path):
    directory = tmp_path / "packages"
    directory.mkdir()
    shutil.copy(rpm_of("x86_64"), directory)
    return directory


def signed_by(package):
    return run("rpm", "-qp", "--qf", "%{SIGPGP:pgpsig}", package)


def test_the_passphrase_of_the_key_comes_from_a_file(locked_key, one_package, tmp_path):
    file, repository = tmp_path / "passphrase", tmp_path / "repository"
    file.write_text(PASSPHRASE)
    locked_key.make("sign", RPMS=one_package, GPG_PASSPHRASE_FILE=file)
    assert locked_key.fingerprint[-16:].lower() in signed_by(rpm_of("x86_64", one_package))
    locked_key.make("repo", RPMS=one_package, DIR=repository, GPG_PASSPHRASE_FILE=file)
    signature, metadata = repository / "repodata/repomd.xml.asc", repository / "repodata/repomd.xml"
    run("gpg", "--verify", signature, metadata, environment=locked_key.environment)


def test_the_passphrase_of_the_key_is_asked_for_on_the_terminal(locked_key, one_package):
    command = ["make", "sign", f"GPG_KEY={locked_key.fingerprint}", f"RPMS={one_package}"]
    process, terminal = on_a_terminal(command, os.environ | locked_key.environment | {"TERM": "xterm"})
    said = read_until(terminal, b"enter the passphrase")
    os.write(terminal, PASSPHRASE.encode() + b"\r")
    said += read_until(terminal, None)
    assert process.wait() == 0, said
    assert locked_key.fingerprint[-16:].lower() in signed_by(rpm_of("x86_64", one_package))


def on_a_terminal(command, environment):
    """(process, its terminal), with no other way to ask for anything."""
    ours, its = pty.openpty()
    streams = {"stdin": its, "stdout": its, "stderr": its}
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, env=environment, **streams)
    os.close(its)
    return process, ours


def read_until(terminal, text):
    """What the terminal showed, up to that text; None: everything."""
    said = b""
    while text is None or text not in said:
        assert select.select([terminal], [], [], PATIENCE)[0], f"nothing more for {PATIENCE} s: {said}"
        try:
            said += os.read(terminal, 4096)
        except OSError:  # the other end of the terminal is closed
            return said
    return said


# --- Python's requirements ---


def test_what_pip_installs_is_locked_with_hashes_and_names_no_registry():
    wanted, locked = ((ROOT / f"tests/requirements.{kind}").read_text() for kind in ("in", "txt"))
    pins = re.split(r"^(?=\S+==)", locked, flags=re.MULTILINE)[1:]
    assert [pin for pin in pins if "--hash=sha256:" not in pin] == [] and "://" not in locked and "--index" not in locked
    listed = {each.lower().replace(".", "-") for each in re.findall(r"^([\w.-]+)", wanted, re.MULTILINE)}
    assert listed and listed <= {re.match(r"[\w-]+", pin)[0] for pin in pins}
    installs = re.findall(r".*pip install.*", (ROOT / "Makefile").read_text())
    assert installs and all(" --require-hashes --only-binary :all: " in line for line in installs)
