"""Runs the built binary against a host, in an environment that contains only what is given here.

Every run must pass the same checks: a documented exit code, no panic, no secret, no terminal control
characters and no log line of another crate, on stdout, on stderr and in the log file alike.
"""

import os
import re
import shlex
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("ECS_START_TASK_BINARY", ROOT / "target/x86_64-unknown-linux-musl/release/ecs-start-task")).resolve()
VERSION = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
CODES = {0, 2, 69, 70, 75, 76, 77, 78}
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
OTHER_CRATES = re.compile(r"\b(ureq|ureq_proto|rustls|webpki|aws_sigv4|aws_credential_types)\b")
MOST_SECONDS = 120
PIECE = 16


@dataclass
class Outcome:
    """One finished run, printed whole when a test fails."""

    command: list
    changed: dict
    status: int
    stdout: str
    stderr: str
    log: str
    seconds: float

    @property
    def said(self):
        """Everything that a person can read afterwards."""
        return self.stderr + self.log

    def __str__(self):
        settings = " ".join(f"{name}={shlex.quote(str(value))}" for name, value in self.changed.items())
        head = f"$ {settings} {shlex.join(map(str, self.command))}\nstatus {self.status} after {self.seconds:.2f} s"
        return "\n".join([head, "--- stdout", self.stdout, "--- stderr", self.stderr, "--- log file", self.log])


#: A name that is never looked up, because one of its labels is too long.
NO_NAME = "x" * 64 + ".invalid"

SYSTEMCTL = "/usr/bin/systemctl"
#: A systemctl that never responds: what this machine's own would report depends on the machine.
NO_SYSTEMD = {SYSTEMCTL: Path(__file__).parent / "bin/systemctl"} if Path(SYSTEMCTL).exists() else {}


class Program:
    """The binary with settings that point to the host; state and log are in `directory`.

    `mounts` maps paths to what replaces them in a private mount namespace; $$ in a path is the process of the program.
    """

    def __init__(self, host, directory, binary=BINARY):
        self.host, self.directory, self.binary = host, Path(directory), binary
        self.log_file = self.directory / "ecs-start-task.log"
        self.wrapper, self.mounts = [], {}
        self.environment = {
            "PATH": os.defpath,
            "HOME": str(directory),
            "ECS_START_TASK_DEFINITION": "my_task_def",
            "ECS_START_TASK_AGENT_URL": host.agent.url,
            "ECS_START_TASK_STATE_DIR": str(self.directory / "state"),
            "ECS_START_TASK_LOG_FILE": str(self.log_file),
            "ECS_START_TASK_TIMEOUT": "40s",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": host.imds.url,
            "AWS_ENDPOINT_URL_ECS": host.ecs.url,
        }

    def run(self, *arguments, verbosity="-vv", **changed):
        """Run to the end; a setting of None is taken out of the environment."""
        return self.start(*arguments, verbosity=verbosity, **changed).finish()

    def start(self, *arguments, verbosity="-vv", **changed):
        options = [*arguments, verbosity] if verbosity else list(arguments)
        return Running(self, [*namespace(self.mounts), *self.wrapper, self.binary, *options], changed)

    def play_systemctl(self, script):
        """Fakes states of units that no test can quickly bring about in real ones."""
        path = self.directory / "systemctl"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        self.mounts[SYSTEMCTL] = path


def unshare(*namespaces):
    """A wrapper with new namespaces, as root in them."""
    return ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), *namespaces]


def in_mounts(script):
    """A wrapper that mounts before it runs the program, in a mount namespace of its own."""
    return [*unshare("--mount"), "sh", "-c", f'{script} && exec "$@"', "sh"]


def namespace(mounts):
    """A wrapper in which each target is its source; $$ in a target is the process of the program."""
    binds = [f"mount --bind {shlex.quote(str(source))} {target}" for target, source in mounts.items()]
    return in_mounts(" && ".join(binds)) if binds else []


class Running:
    """A run that has begun."""

    def __init__(self, program, command, changed):
        self.program, self.command, self.changed = program, command, changed
        settings = program.environment | changed
        environment = {name: str(value) for name, value in settings.items() if value is not None}
        self.logged = self.log_size()
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            command,
            env=environment,
            cwd=program.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def log_size(self):
        return self.program.log_file.stat().st_size if self.program.log_file.is_file() else 0

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def finish(self, killed=False):
        """The outcome, checked; `killed` allows an exit by signal."""
        try:
            stdout, stderr = self.process.communicate(timeout=MOST_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            stdout, stderr = self.process.communicate()
            raise AssertionError(f"still running after {MOST_SECONDS} s:\n{self.outcome(stdout, stderr)}") from None
        outcome = self.outcome(stdout, stderr)
        print(outcome)
        judge(outcome, self.program.host.secrets(), killed)
        return outcome

    def outcome(self, stdout, stderr):
        log = self.program.log_file.read_bytes()[self.logged :] if self.log_size() else b""
        texts = [text.decode() for text in (stdout, stderr, log)]
        return Outcome(self.command, self.changed, self.process.returncode, *texts, time.monotonic() - self.began)


def judge(outcome, secrets, killed=False):
    """Checks that every run must pass."""
    assert killed or outcome.status in CODES, f"exit code {outcome.status} is not a documented one"
    for where, text in (("stdout", outcome.stdout), ("stderr", outcome.stderr), ("the log file", outcome.log)):
        assert "panicked" not in text, f"a panic on {where}"
        assert not leaked(text, secrets), f"a secret on {where}"
        assert not CONTROL.search(text), f"a control character on {where}: {CONTROL.search(text)}"
        assert where == "stdout" or not OTHER_CRATES.search(text), f"a line of another crate in {where}"


def leaked(text, secrets):
    """Whether a piece of a secret is in the text, even a truncated one."""
    pieces = (secret[at : at + PIECE] for secret in secrets for at in range(0, len(secret) - PIECE + 1, PIECE))
    return any(piece in text for piece in pieces)
