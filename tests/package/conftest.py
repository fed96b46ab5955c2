"""A key, and the packages signed with it."""

import shutil

import pytest

from package.tools import ARCHITECTURES, Key, rpm_of


@pytest.fixture(scope="session")
def key():
    key = Key()
    yield key
    key.close()


@pytest.fixture
def signed(key, tmp_path):
    """A directory of the packages, signed by `make sign`."""
    directory = tmp_path / "signed"
    directory.mkdir()
    for architecture in ARCHITECTURES:
        shutil.copy(rpm_of(architecture), directory)
    key.make("sign", RPMS=directory)
    return directory
