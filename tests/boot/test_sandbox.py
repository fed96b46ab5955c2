"""What the unit can reach, tried from inside it, by a process that systemd starts like the program."""

import json

import pytest

from boot.machine import UNIT, until
from boot.test_user_data import EXAMPLE
from package.tools import ROOT

DROP_INS = f"/etc/systemd/system/{UNIT}.service.d"
AMAZON_LINUX_2023 = (ROOT / "packaging/examples/amazon-linux-2023.conf").read_text()
DOCKER = "/run/docker.sock"
#: Each of these starts processes for root, with all capabilities.
SOCKETS = [
    "/run/dbus/system_bus_socket",
    "/var/run/dbus/system_bus_socket",
    "/run/systemd/private",
    DOCKER,
    "/run/containerd/containerd.sock",
    f"/proc/1/root{DOCKER}",
]
OPEN_BY_HAND = [socket for socket in SOCKETS if not socket.startswith("/proc")]
DIRECTORIES = ["/run/ecs-start-task", "/var/log/ecs", "/run", "/etc/ecs", "/var/lib", "/usr", "/root"]
ESCAPED = "/srv/escaped"
#: Where /etc/resolv.conf leads on Amazon Linux 2023.
RESOLV_CONF = "/run/systemd/resolve/resolv.conf"
CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
PROBE = f"""
import json, os, subprocess

def succeeds(*command):
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

manager = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
found = {{
    "capabilities": [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")],
    "writable": [each for each in {DIRECTORIES} if os.access(each, os.W_OK)],
    "connected": [each for each in {SOCKETS} if succeeds("python3", "-c", {CONNECT!r}, each)],
    "systemd-run": succeeds("systemd-run", "--wait", "touch", "{ESCAPED}"),
    "systemctl": succeeds("systemctl", "show", "ecs.service"),
    "busctl": succeeds("busctl", "call", *manager, "GetUnit", "s", "ecs.service"),
    "resolv.conf": os.access("{RESOLV_CONF}", os.R_OK),
}}
json.dump(found, open("/var/log/ecs/found.json", "w"))
"""


@pytest.fixture
def waiting(make_machine):
    """waiting(DROP_IN) is (a machine whose unit waits for the agent, what was found from inside the unit)."""

    def boot(drop_in):
        machine = make_machine(closed=("agent",))
        machine.write("/srv/probe.py", PROBE)
        for name, socket in (("docker", DOCKER), ("containerd", "/run/containerd/containerd.sock")):
            machine.write(f"/etc/systemd/system/test-{name}.socket", f"[Socket]\nListenStream={socket}\nAccept=yes\n")
            machine.write(f"/etc/systemd/system/test-{name}@.service", "[Service]\nExecStart=/usr/bin/true\n")
            before_ecs = f"[Unit]\nRequires=test-{name}.socket\nAfter=test-{name}.socket\n"
            machine.write(f"/etc/systemd/system/ecs.service.d/{name}.conf", before_ecs)
        machine.write("/etc/tmpfiles.d/resolve.conf", f"d {RESOLV_CONF.rpartition('/')[0]}\nf {RESOLV_CONF}\n")
        machine.write(f"{DROP_INS}/probe.conf", "[Service]\nExecStartPre=/usr/bin/python3 /srv/probe.py\n")
        machine.write(f"{DROP_INS}/tested.conf", drop_in)
        machine.user_data(EXAMPLE)
        assert machine.boot() == "running"
        until("the unit waits for the agent", lambda: "agent" in machine.show(UNIT, "StatusText")[0])
        return machine, json.loads(machine.read("/var/log/ecs/found.json"))

    return boot


def still_sees_docker_that_was_restarted(machine):
    """Whether docker's socket, made again, is there in the file system as the unit sees it."""
    machine.run("systemctl", "stop", "test-docker.socket")
    machine.run("rm", "-f", DOCKER)
    machine.run("systemctl", "start", "test-docker.socket")
    [process] = machine.show(UNIT, "MainPID")
    return machine.attempt("nsenter", f"--target={process}", "--mount", "test", "-S", DOCKER).returncode == 0


@pytest.mark.parametrize("drop_in", ["", AMAZON_LINUX_2023], ids=["unit", "amazon-linux-2023.conf"])
def test_the_unit_has_what_it_needs_and_cannot_get_more_privileges(waiting, drop_in):
    machine, found = waiting(drop_in)
    assert found == {
        "capabilities": ["0" * 16],
        "writable": ["/run/ecs-start-task", "/var/log/ecs"],
        "connected": [],
        "systemd-run": False,
        "systemctl": False,
        "busctl": False,
        "resolv.conf": True,
    }
    assert machine.attempt("test", "-e", ESCAPED).returncode != 0
    # As the comments of unit and drop-in say.
    assert still_sees_docker_that_was_restarted(machine) == (drop_in == "")

    machine.host.agent.open()
    machine.wait_for("active exited")
    assert len(machine.tasks()) == 1 and "WARN" not in machine.journal()
    assert machine.tasks()[0].arn in machine.journal()
    assert machine.show(UNIT, "StatusText") == ["my_task_def: started"]
    # The directory is the host's, also where the unit has a /run of its own.
    assert machine.run("ls", "/run/ecs-start-task").split()


def test_without_inaccessible_paths_all_of_it_is_open(waiting):
    """Shows that the test above can fail."""
    machine, found = waiting("[Service]\nInaccessiblePaths=\n")
    assert found["connected"] == OPEN_BY_HAND
    assert found["systemd-run"] and found["systemctl"] and found["busctl"]
    machine.run("test", "-e", ESCAPED)
