"""The list of crates in the binary, by which a scanner finds what an advisory affects, and the page that says why each is there."""

import re

import pytest

from package.crates import direct, embedded, linked, locked
from package.tools import ARCHITECTURES, ROOT, VERSION


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_binary_lists_what_is_linked_into_it(architecture):
    listed = embedded(architecture)
    assert ("ecs-start-task", VERSION) in listed
    assert linked(architecture) - listed == set()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_binary_lists_nothing_that_only_tests_use(architecture):
    listed = embedded(architecture)
    assert listed <= locked()
    assert not {name for name, _ in listed} & set(direct("dev-dependencies"))


@pytest.mark.parametrize("kind, heading", [("dependencies", "In the binary"), ("dev-dependencies", "In the tests")])
def test_each_dependency_says_why_it_is_there_and_what_was_weighed(kind, heading):
    page = (ROOT / "packaging/DEPENDENCIES.md").read_text()
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| `(\S+)` \| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    assert rows and [name for name, _, _ in rows] == sorted(direct(kind))
