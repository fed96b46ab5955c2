"""The SBOM beside each package says what the binary in it says, and names its own place nowhere."""

import json

import pytest

from package.crates import embedded
from package.tools import ARCHITECTURES, RPMS, VERSION, rpm_of

pytestmark = pytest.mark.parametrize("architecture", ARCHITECTURES)


@pytest.fixture
def sbom(architecture):
    return json.loads(rpm_of(architecture).with_suffix(".cdx.json").read_text())


def test_it_lists_the_crates_of_the_binary(architecture, sbom):
    listed = {(component["name"], component["version"]) for component in sbom["components"]}
    assert listed == embedded(architecture) - {("ecs-start-task", VERSION)}


def test_it_is_of_this_program_and_each_crate_has_its_licence_and_its_digest(architecture, sbom):
    about = sbom["metadata"]["component"]
    assert (sbom["bomFormat"], about["name"], about["version"]) == ("CycloneDX", "ecs-start-task", VERSION)
    assert [c["name"] for c in sbom["components"] if not (c["licenses"] and c["hashes"] and c["purl"])] == []


def test_no_two_are_told_apart_by_time_or_place(architecture, sbom):
    assert "serialNumber" not in sbom
    assert str(RPMS.parents[1]) not in rpm_of(architecture).with_suffix(".cdx.json").read_text()
