"""The fixtures: a host, and the built binary with settings that point to it.

At the end of each test the host's record is printed, which pytest shows when the test failed, and verified: unexpected
requests and scripted responses that were never requested fail the test.
"""

import os
import signal
import socket
from contextlib import suppress
from pathlib import Path

import pytest

import findings
from standin import Host, Program
from standin.names import NameServer
from standin.network import Network
from standin.program import BINARY

#: A proxy in it would apply to every run.
ECS_CONFIG = Path("/etc/ecs/ecs.config")

# Settings of this machine for its own tools must not reach the programs that run here.
for name in list(os.environ):
    if name.startswith("AWS_") or name.lower().endswith(("_proxy", "_bundle")):
        del os.environ[name]

# Tests set for themselves what a group may write to.
os.umask(0o022)

# Tests that run in the background or under nohup start programs that ignore signals.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)


def pytest_sessionstart(session):
    if not hasattr(session.config, "workerinput"):
        findings.begin()
    if not BINARY.is_file():
        pytest.exit(f"{BINARY} is missing: `make build` makes it, ECS_START_TASK_BINARY names another", returncode=1)
    if ECS_CONFIG.exists() or "cloud-final.service" in Path("/proc/self/cgroup").read_text():
        pytest.exit(f"run the tests elsewhere: they take a machine without {ECS_CONFIG}, and not from user data", returncode=1)


def pytest_sessionfinish(session):
    if not hasattr(session.config, "workerinput"):
        findings.end()


@pytest.fixture
def make_host():
    """make_host(...) is Host(...), verified and closed at the end of the test."""
    hosts = []

    def make(**options):
        hosts.append(Host(**options))
        return hosts[-1]

    yield make
    for host in hosts:
        host.close()
        print(host)
    for host in hosts:
        host.verify()


@pytest.fixture
def make_program(make_host, tmp_path):
    """make_program(...) is the program on a host made with these options."""
    return lambda **options: Program(make_host(**options), tmp_path)


@pytest.fixture
def host(make_host):
    return make_host()


@pytest.fixture
def program(host, tmp_path):
    return Program(host, tmp_path)


@pytest.fixture
def make_networked(tmp_path, etc):
    """make_networked(address, ...) is the program in a network namespace with these addresses and a name server."""
    opened = []

    def make(*addresses, names=(), default=(), **options):
        network = Network(*addresses, default=default)
        server = NameServer(network.udp(("127.0.0.53", 53)), dict(names))
        program = Program(Host(network=network, **options), tmp_path)
        opened.extend([program.host, server, network])
        program.wrapper, program.names = network.wrapper, server
        (etc(program) / "resolv.conf").write_text("nameserver 127.0.0.53\n")
        return program

    yield make
    for each in opened:
        each.close()


class Manager(socket.socket):
    """systemd's end of the socket on which a unit reports its state."""

    def heard(self):
        """What has come and was not read yet."""
        messages = []
        with suppress(BlockingIOError):
            while True:
                messages.append(self.recv(1 << 16, socket.MSG_DONTWAIT).decode())
        return messages


@pytest.fixture
def manager(tmp_path):
    with Manager(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        yield manager


@pytest.fixture
def unit(manager):
    """program.run(**unit) is a run of the unit, which reports to `manager`."""
    return {"NOTIFY_SOCKET": manager.getsockname()}


@pytest.fixture
def etc(tmp_path):
    """etc(program) lets the program run with an /etc of its own, and returns that directory."""

    def private_etc(program):
        directory = tmp_path / "etc"
        (directory / "ecs").mkdir(parents=True)
        (directory / "hosts").write_text("127.0.0.1 localhost\n")
        program.mounts["/etc"] = directory
        return directory

    return private_etc

