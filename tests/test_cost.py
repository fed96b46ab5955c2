"""What a run costs, as far as it does not vary: its requests, the processes that it starts, its system calls.

`make bench` shows how much time and memory it takes, compared with the page's commands.
"""

import pytest

from bench import compare
from bench.sides import Scene

#: A run over TLS has some 580; a tenth more is for other kernels and bundles of roots, and where the owner of the agent's socket
#: must be read from the kernel's tables.
MOST_CALLS = 640


@pytest.fixture
def scene(tmp_path):
    with Scene(tmp_path) as scene:
        yield scene


@pytest.fixture
def counted(scene):
    return compare.counts(scene, "program")


def test_nothing_is_asked_that_is_not_needed(counted):
    assert counted["requests"] == compare.NEEDED


def test_no_process_is_started(counted):
    assert counted["processes"] == 0


def test_the_kernel_is_not_called_in_vain(counted):
    assert 100 < counted["system_calls"] <= MOST_CALLS


def test_a_line_of_the_log_is_written_at_once(counted, scene):
    writes = (scene.directory / "trace").read_text().count(" write(2, ")
    assert writes == len(scene.program.log_file.read_text().splitlines()) > 2
