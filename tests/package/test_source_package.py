"""The source package builds without a network and with its own crates only, and its %check runs the unit tests."""

import re
import shutil

import pytest

from package.tools import ROOT, RPMS, VERSION, rpm_of, run
from standin.program import unshare

#: What cargo has built of the crates stays here, so that it is not built a second time.
CACHE = ROOT / "target/source-package"
#: The shipped binary is tested elsewhere; here it only has to build.
HURRY = {
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
}


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory):
    """(the package that rpmbuild made of the source package without a network, what it said)."""
    source = rpm_of("src")
    top = CACHE / "rpmbuild"
    shutil.rmtree(top, ignore_errors=True)
    # Each source has the date of the changelog, by which cargo cannot tell that it changed.
    for fingerprint in CACHE.glob("cargo/**/.fingerprint/ecs-start-task-*"):
        shutil.rmtree(fingerprint)
    said = run(
        *(*unshare("--net"), "rpmbuild", "--rebuild", "--nodeps", "--define", f"_topdir {top}", source),
        environment=HURRY
        | {"CARGO_TARGET_DIR": str(CACHE / "cargo"), "CARGO_HOME": str(tmp_path_factory.mktemp("empty-cargo-home"))},
    )
    return next((top / "RPMS").rglob("*.rpm")), said


def test_its_check_ran_the_unit_tests(rebuilt):
    assert re.search(r"test result: ok\. [1-9]\d+ passed; 0 failed", rebuilt[1])


def test_it_makes_the_same_package_around_its_own_binary(rebuilt):
    form = "[%{FILEMODES:perms} %{FILENAMES}\n]%{NAME} %{VERSION}"
    ours = run("rpm", "-qp", "--qf", form, rpm_of("x86_64"))
    assert ours.endswith(VERSION) and run("rpm", "-qp", "--qf", form, rebuilt[0]) == ours


def test_it_carries_no_place_of_the_machine():
    assert "/" not in run("rpm", "-qp", "--list", RPMS / f"ecs-start-task-{VERSION}-1.src.rpm")
