"""The SBOM of each package agrees with the binary in it, and does not contain the path of its own build."""

import json
import re

import pytest

from package.crates import embedded
from package.tools import ARCHITECTURES, RPMS, VERSION, binary_of, rpm_of, run

pytestmark = pytest.mark.parametrize("architecture", ARCHITECTURES)


@pytest.fixture
def sbom(architecture):
    return json.loads(rpm_of(architecture).with_suffix(".cdx.json").read_text())


def test_it_lists_the_crates_of_the_binary(architecture, sbom):
    assert versions(sbom, "pkg:cargo/") == embedded(architecture) - {("ecs-start-task", VERSION)}


def test_it_lists_what_the_compiler_links_as_well(architecture, sbom):
    # The version in the binary is that of its compiler, and so of the standard library.
    (rust,) = set(re.findall(r"rustc version (\S+)", run("readelf", "--string-dump=.comment", binary_of(architecture))))
    (musl,) = {version for name, version in versions(sbom, "pkg:generic/") if name == "musl"}
    assert versions(sbom, "pkg:generic/") == {("rust-std", rust), ("musl", musl)} and re.fullmatch(r"1\.\d+\.\d+", musl)
    needed = {each["ref"]: each.get("dependsOn", []) for each in sbom["dependencies"]}
    assert {f"pkg:generic/rust-std@{rust}", f"pkg:generic/musl@{musl}"} <= set(needed[sbom["metadata"]["component"]["bom-ref"]])


def versions(sbom, kind):
    """{(name, version)} of the components of that kind."""
    return {(each["name"], each["version"]) for each in sbom["components"] if each["purl"].startswith(kind)}


def test_it_is_of_this_program_and_each_crate_has_its_licence_and_its_digest(architecture, sbom):
    about = sbom["metadata"]["component"]
    assert (sbom["bomFormat"], about["name"], about["version"]) == ("CycloneDX", "ecs-start-task", VERSION)
    assert [each["name"] for each in sbom["components"] if not (each["licenses"] and each["purl"])] == []
    crates = [each for each in sbom["components"] if each["purl"].startswith("pkg:cargo/")]
    assert [each["name"] for each in crates if not each["hashes"]] == []


def test_no_two_are_told_apart_by_time_or_place(architecture, sbom):
    assert "serialNumber" not in sbom
    assert str(RPMS.parents[1]) not in rpm_of(architecture).with_suffix(".cdx.json").read_text()
