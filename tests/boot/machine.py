"""A container instance that boots: systemd in systemd-nspawn, the stand-in host at the real addresses of its network.

The root file system is made once and lies below an overlay; what is written goes away with the machine. Its network
namespace belongs to the test: agent, IMDS, ECS and the package repository are sockets of this process in it.
"""

import ctypes
import os
import shutil
import subprocess
import threading
import time
import uuid
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import examples
from package.amazon_linux import ECS_INIT, UNITS, write_units
from package.tools import ROOT, attempt, need, run
from standin import Host
from standin.tls import Authority

ROOTFS = ROOT / "target/boot/rootfs"
REPOSITORY = "repository.example.com"
#: The places of what `make repo` made for the hosts.
REPO_FILE = "/etc/yum.repos.d/ecs-start-task.repo"
REPO_KEY = "/etc/pki/rpm-gpg/RPM-GPG-KEY-ecs-start-task"
ECS = "ecs.us-east-1.amazonaws.com"
#: In seconds; long enough for a machine that is busy with other tests.
PATIENCE = 60
CLONE_NEWNET = 0x40000000
UNIT = "ecs-start-task"
NOT_ROOT = "the boot test needs root: run it as root, or `make test-unprivileged` without it"


def until(what, condition, patience=PATIENCE):
    """The first true value of the condition."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError(f"after {patience} s still not: {what}")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """dnf itself reports what it cannot download."""


class Machine:
    """Not booted yet, so that files can be put in; `closed` are services of the stand-in that refuse connections."""

    def __init__(self, repository, closed=()):
        assert os.geteuid() == 0, NOT_ROOT
        need("systemd-nspawn", "ip", "nsenter")
        assert (ROOTFS / ".done").is_file(), f"{ROOTFS} is missing: `make boot-test` makes it"
        # Not tempfile's names: the name of a machine cannot contain an underscore.
        self.name = f"machine-{uuid.uuid4().hex[:12]}"
        self.directory = ROOTFS.parent / self.name
        self.directory.mkdir()
        self.root = self.directory / "root"
        self.nspawn = self.leader = self.host = self.web = None
        self.groups = []
        self.mount()
        self.connect(repository, closed)
        self.furnish(repository)

    def mount(self):
        for name in ("upper", "work", "root"):
            (self.directory / name).mkdir()
        layers = f"lowerdir={ROOTFS},upperdir={self.directory}/upper,workdir={self.directory}/work"
        run("mount", "-t", "overlay", "overlay", "-o", layers, self.root)

    def connect(self, repository, closed):
        run("ip", "netns", "add", self.name)
        run("ip", "-n", self.name, "link", "set", "lo", "up")
        run("ip", "-n", self.name, "address", "add", "169.254.169.254/32", "dev", "lo")
        self.authority = Authority(self.directory, ECS)
        with self.network():
            self.host = Host(
                tls=self.authority.context,
                closed=closed,
                agent_at=("127.0.0.1", 51678),
                imds_at=("169.254.169.254", 80),
                ecs_at=("127.0.0.1", 443),
            )
            self.web = ThreadingHTTPServer(("127.0.0.1", 80), partial(Quiet, directory=str(repository)))
        threading.Thread(target=self.web.serve_forever, args=(0.02,), daemon=True).start()

    @contextmanager
    def network(self):
        """Moves this thread into the machine's network; sockets that are made in it stay there."""
        with open("/proc/thread-self/ns/net") as outside, open(f"/run/netns/{self.name}") as inside:
            self.enter(inside)
            try:
                yield
            finally:
                self.enter(outside)

    def enter(self, namespace):
        assert ctypes.CDLL(None).setns(namespace.fileno(), CLONE_NEWNET) == 0, f"setns {namespace.name}"

    def furnish(self, repository):
        """What an image for ECS has, and the .repo file and the public key of our repository."""
        write_units(self.root / "usr/lib/systemd/system", UNITS)
        self.write("/usr/libexec/amazon-ecs-init", ECS_INIT, mode=0o755)
        self.write("/etc/hosts", f"127.0.0.1 localhost {ECS} {REPOSITORY}\n")
        self.write("/etc/pki/tls/certs/ca-bundle.crt", self.authority.bundle.read_text())
        self.public_key = (repository / "RPM-GPG-KEY-ecs-start-task").read_text()
        self.write(REPO_FILE, (repository / "ecs-start-task.repo").read_text())
        self.write(REPO_KEY, self.public_key)
        self.write("/etc/dnf/dnf.conf", "[main]\nmodule_platform_id=platform:amazon\n")
        self.write("/etc/ecs/ecs.config", "", mode=0o600)
        (self.root / "usr/bin/yum").symlink_to("dnf")
        # As on Amazon Linux; Debian enables what is installed.
        self.write("/usr/lib/systemd/system-preset/99-default-disable.preset", "disable *\n")
        # No network comes up here, and cloud-init runs only where a test needs it.
        for unit in ("systemd-networkd-wait-online", "cloud-init-local", "cloud-init"):
            self.write(f"/etc/systemd/system/{unit}.service", "")
        run("systemd-machine-id-setup", f"--root={self.root}")

    def write(self, path, text, mode=0o644):
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def filled_in(self, example):
        """The example for this machine's repository."""
        return examples.filled_in(example, f"http://{REPOSITORY}", self.public_key)

    def read(self, path):
        file = self.root / path.lstrip("/")
        return file.read_text() if file.is_file() else ""

    def user_data(self, script):
        """What the next boots run in their cloud-final.service; None: nothing, as in the boots after an instance's first."""
        self.write("/var/lib/cloud/user-data", self.filled_in(script or "#!/bin/sh\n"), mode=0o755)

    def boot(self):
        """Boot until no job is queued, and return the state of the system: running or degraded.

        A unit that was started may still exit after that.
        """
        self.begin_boot()
        return until("the boot has ended", self.booted)

    def begin_boot(self):
        """Boot until systemd responds."""
        own_groups = "; ".join(f"echo $$ > {group}/cgroup.procs" for group in self.make_groups())
        container = [
            *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", "--console=read-only"),
            *("--resolv-conf=off", "--timezone=off", "--kill-signal=SIGRTMIN+3"),
            *(f"--network-namespace-path=/run/netns/{self.name}", f"--directory={self.root}", f"--machine={self.name}"),
        ]
        with open(self.directory / "console", "a") as console:
            self.nspawn = subprocess.Popen(
                ["sh", "-c", f'{own_groups}; exec "$@"', "sh", *container],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
            )
        self.leader = until("the container has a first process", self.find_leader)
        until("systemd answers", lambda: self.attempt("systemctl", "is-system-running").stdout.strip() in ANSWERS)

    def make_groups(self):
        """A control group in each hierarchy; containers that are started from the same one would share it."""
        top = Path("/sys/fs/cgroup")
        self.groups = [each / self.name for each in (top / "systemd", top / "unified", top) if (each / "cgroup.procs").exists()]
        for group in self.groups:
            group.mkdir(exist_ok=True)
        return self.groups

    def find_leader(self):
        assert self.nspawn.poll() is None, f"systemd-nspawn ended:\n{self.console()}"
        ours = os.readlink("/proc/self/ns/pid")
        for child in Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children").read_text().split():
            try:
                if os.readlink(f"/proc/{child}/ns/pid") != ours and "systemd" in Path(f"/proc/{child}/comm").read_text():
                    return int(child)
            except FileNotFoundError:
                pass
        return None

    def booted(self):
        state = self.attempt("systemctl", "is-system-running").stdout.strip()
        return state if state in ("running", "degraded") else None

    def console(self):
        return (self.directory / "console").read_text(errors="replace")

    def attempt(self, *command):
        """The finished process of a command in the machine."""
        inside = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C"]
        return attempt("nsenter", f"--target={self.leader}", "--all", "--", *inside, *command)

    def run(self, *command):
        """What a command in the machine printed; it must succeed."""
        result = self.attempt(*command)
        assert result.returncode == 0, f"{command} ended with {result.returncode}:\n{result.stdout}\n{self}"
        return result.stdout

    def show(self, unit=UNIT, *names):
        """The unit's properties of these names."""
        shown = self.run("systemctl", "show", unit, "--property=" + ",".join(names))
        properties = dict(line.split("=", 1) for line in shown.splitlines())
        return [properties[name] for name in names]

    def state(self, unit=UNIT):
        return " ".join(self.show(unit, "ActiveState", "SubState"))

    def wait_for(self, state, unit=UNIT):
        """Wait for a state such as "active exited"."""
        try:
            until(f"{unit} is {state}", lambda: self.state(unit) == state)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self}") from None

    def journal(self, unit=UNIT):
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--unit", unit, "--boot", "--output=cat")

    def log(self):
        return self.read("/var/log/ecs/ecs-start-task.log")

    def tasks(self):
        """Every task that ever existed on this instance."""
        return self.host.instance.tasks

    def shut_down(self):
        if self.nspawn is None:
            return
        if self.leader:
            self.attempt("systemctl", "poweroff", "--no-block")
        try:
            self.nspawn.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.nspawn.kill()
            self.nspawn.wait()
        self.nspawn = self.leader = None

    def close(self):
        self.shut_down()
        for server in filter(None, (self.host, self.web)):
            server.close() if server is self.host else (server.shutdown(), server.server_close())
        attempt("umount", self.root)
        attempt("ip", "netns", "delete", self.name)
        for group in self.groups:
            attempt("find", group, "-depth", "-type", "d", "-exec", "rmdir", "{}", "+")
        shutil.rmtree(self.directory, ignore_errors=True)

    def __str__(self):
        """What a person would read after a failed test."""
        if not self.leader:
            return self.console()
        looks = (("systemctl", "status", "--full", UNIT), ("systemctl", "list-jobs"), ("journalctl", "--boot", "--lines=60"))
        output = "\n".join(f"$ {' '.join(look)}\n{self.attempt(*look).stdout}" for look in looks)
        return f"{output}\n$ cloud-init-output.log\n{self.read('/var/log/cloud-init-output.log')}\n{self.host}"


#: Where the administrator's units are, and the one that AWS's page puts there.
ETC_UNIT = "/etc/systemd/system/ecs-start-task.service"
PAGE_UNIT = """[Unit]
Requires=ecs.service
After=ecs.service
[Service]
Restart=on-failure
RestartSec=30
ExecStart=/usr/bin/bash /etc/ecs/ecs-start-task.sh
[Install]
WantedBy=default.target
"""


def leave_unit_of_the_page(machine):
    """The unit of AWS's page, and a script that waits like the page's."""
    machine.write("/etc/ecs/ecs-start-task.sh", "sleep infinity\n")
    machine.write(ETC_UNIT, PAGE_UNIT)


ANSWERS = ("initializing", "starting", "running", "degraded", "maintenance")
