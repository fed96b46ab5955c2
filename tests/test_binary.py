"""The file that is shipped: static, position independent, stripped, and small."""

import subprocess

import pytest

from standin.program import BINARY

LARGEST = 3 * 1024 * 1024


@pytest.fixture(scope="module")
def readelf():
    """readelf(option) is what binutils' readelf says about the binary."""

    def read(option):
        return subprocess.run(
            ["readelf", "--wide", option, BINARY],
            check=True,
            capture_output=True,
            text=True,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        ).stdout

    return read


def test_no_interpreter_and_no_library_is_needed(readelf):
    assert "LOAD" in readelf("--program-headers")
    assert "INTERP" not in readelf("--program-headers")
    assert "(NEEDED)" not in readelf("--dynamic")


def test_it_is_position_independent_and_cannot_be_patched_in_memory(readelf):
    assert "DYN" in readelf("--file-header")
    assert "PIE" in readelf("--dynamic")
    assert "GNU_RELRO" in readelf("--program-headers")
    assert "GNU_STACK" in readelf("--program-headers") and "RWE" not in readelf("--program-headers")


def test_it_is_stripped(readelf):
    assert ".symtab" not in readelf("--section-headers") and ".debug" not in readelf("--section-headers")


def test_it_is_small():
    assert BINARY.stat().st_size <= LARGEST


def test_it_names_no_place_of_the_machine_that_built_it():
    assert b"/.cargo/registry/" not in BINARY.read_bytes()
