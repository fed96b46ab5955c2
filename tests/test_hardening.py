"""Privileges that the program drops at its start, seen from outside while it waits for the agent; who may read what it writes."""

import os
import re
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from standin import Program
from standin.answers import failure
from standin.program import BINARY
from test_situations import wait_until

DAC_READ_SEARCH = 1 << 2
AS_ROOT = [] if os.geteuid() == 0 else ["unshare", "--map-root-user"]
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
CORES_WANTED = ["sh", "-c", 'ulimit -c unlimited && exec "$@"', "sh"]


@pytest.fixture
def open_directory():
    """A directory that any user may write to; pytest's is open to one user only."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o1777)
        yield Path(name)


@pytest.fixture
def waiting(make_host, open_directory):
    """waiting(wrapper) is a run that waits for the agent, ended after the test."""
    started = []

    def wait(wrapper=()):
        binary = shutil.copy(BINARY, open_directory)
        program = Program(make_host(closed=("agent",)), open_directory, binary=binary)
        program.wrapper = list(wrapper)
        started.append(program.start(verbosity=None))
        wait_until(lambda: started[-1].log_size())
        return started[-1]

    yield wait
    for running in started:
        running.signal()
        running.finish(killed=True)


def proc(running, name):
    return Path(f"/proc/{running.process.pid}", name)


def status(text):
    return dict(re.findall(r"^(\w+):\s+(\S+)$", text, re.MULTILINE))


def capabilities(text):
    return {kind: int(status(text)["Cap" + kind], 16) for kind in ("Inh", "Prm", "Eff", "Amb")}


def test_it_can_gain_no_privilege_and_leave_no_core(waiting):
    running = waiting(CORES_WANTED)
    assert status(proc(running, "status").read_text())["NoNewPrivs"] == "1"
    assert re.search(r"^Max core file size +0 +0 ", proc(running, "limits").read_text(), re.MULTILINE)


# SIGABRT ends a panic. Not SIGSEGV, whose first one the Rust runtime takes for a fault that will come again.
@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGQUIT], ids=lambda number: number.name)
def test_a_crash_leaves_no_core(number, waiting):
    running = waiting(CORES_WANTED)
    running.signal(number)
    ended = os.waitid(os.P_PID, running.process.pid, os.WEXITED | os.WNOWAIT)
    assert (ended.si_code, ended.si_status) == (os.CLD_KILLED, number), "CLD_DUMPED is a core"
    assert not [path for path in running.program.directory.iterdir() if path.name.startswith("core")]


def test_nobody_of_the_same_user_reads_its_memory(waiting):
    # In /proc, a process that may not be dumped belongs to root, and its user cannot attach a debugger to it.
    running = waiting(AS_NOBODY)
    assert (proc(running, "status").stat().st_uid, proc(running, "mem").stat().st_uid) == (0, 0)


def test_root_keeps_only_what_reads_another_user_s_files(waiting):
    kept = capabilities(proc(waiting(AS_ROOT), "status").read_text())
    assert kept == {"Inh": 0, "Prm": DAC_READ_SEARCH, "Eff": DAC_READ_SEARCH, "Amb": 0}


def test_who_is_not_root_has_nothing(waiting):
    assert set(capabilities(proc(waiting(AS_NOBODY), "status").read_text()).values()) == {0}


def test_a_child_of_root_does_not_get_it_back(make_program, tmp_path):
    program = make_program(closed=("agent",))
    program.wrapper = AS_ROOT
    seen = tmp_path / "seen"
    program.play_systemctl(f"cat /proc/self/status > {seen}")
    running = program.start()
    wait_until(lambda: seen.is_file() and "Seccomp" in seen.read_text())
    running.signal()
    running.finish(killed=True)
    assert capabilities(seen.read_text())["Prm"] == DAC_READ_SEARCH
    assert status(seen.read_text())["NoNewPrivs"] == "1"


def test_root_reads_a_document_in_a_directory_that_is_closed_to_it_but_writes_no_log_there(program, host, tmp_path):
    closed = tmp_path / "home"
    closed.mkdir()
    document = closed / "task.json"
    document.write_text('{"taskDefinition": "log_agent"}')
    document.chmod(0)
    closed.chmod(0)
    program.wrapper = AS_ROOT
    settings = {"ECS_START_TASK_DEFINITION": None, "ECS_START_TASK_LOG_FILE": closed / "log"}
    outcome = program.run("--cli-input-json", document, **settings, verbosity=None)
    closed.chmod(0o700)
    assert outcome.status == 0 and [task.family for task in host.instance.tasks] == ["log_agent"]
    assert not (closed / "log").exists() and outcome.stderr.count("WARN") == outcome.stderr.count("cannot write the log file") == 1


def test_only_root_reads_the_records_and_its_group_the_log(program):
    """With any umask of the caller. A run that fails leaves its records."""
    program.wrapper = ["sh", "-c", 'umask 0 && exec "$@"', "sh"]
    assert program.run("-t", "unknown_def").status == 76
    state = program.directory / "state"
    modes = {re.sub("[0-9a-f]{16}", "DIGEST", path.name): path.stat().st_mode & 0o777 for path in (state, *state.iterdir(), program.log_file)}
    assert modes == {
        "state": 0o700,
        "lock": 0o600,
        "records.lock": 0o600,
        "unknown_def.DIGEST.json": 0o600,
        "ecs-start-task.log": 0o640,
    }


def test_who_is_not_root_still_knows_the_journal(waiting):
    # A process that may not be dumped can read only a few of its own files in /proc; standard error must be one of them.
    journal = 'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) && export JOURNAL_STREAM && exec "$@"'
    running = waiting([*AS_NOBODY, "sh", "-c", journal, "sh"])
    running.signal()
    assert running.finish(killed=True).stderr.startswith("<6>[INFO] ecs-start-task")


def test_of_each_secret_one_copy_is_in_memory(program, host):
    """After a signed request; the buffers of the HTTP and JSON libraries that held them are wiped."""
    host.always("StartTask", failure("RESOURCE:MEMORY"))
    program.wrapper = AS_ROOT
    running = program.start()
    wait_until(lambda: running.log_size() and "retrying" in program.log_file.read_text())
    memory = writable_memory(running.process.pid)
    running.signal()
    running.finish(killed=True)
    (issued,) = host.metadata_service.issued
    (token,) = host.metadata_service.tokens
    copies = {secret: memory.count(secret.encode()) for secret in (issued.secret_key, issued.token, token)}
    assert set(copies.values()) == {1}, copies


def writable_memory(pid):
    ranges = re.findall(r"^(\w+)-(\w+) rw", Path(f"/proc/{pid}/maps").read_text(), re.MULTILINE)
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        pieces = []
        for begin, end in ranges:
            memory.seek(int(begin, 16))
            pieces.append(memory.read(int(end, 16) - int(begin, 16)))
    return b"".join(pieces)
