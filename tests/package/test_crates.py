"""The list of crates in the binary, with which a scanner finds what an advisory concerns on an instance."""

import pytest

from package.crates import direct, embedded, linked, locked
from package.tools import ARCHITECTURES, VERSION


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
