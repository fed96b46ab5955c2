"""A broken host: a full disk, a log that cannot be written, closed streams, no /proc, few file descriptors.

None of this may prevent the task from being started, except a state directory that cannot hold its record.
"""

import os
import re

import pytest

from standin.instance import UNSEEN
from standin.program import unshare


def in_shell(program, script, *before):
    """The program run by a shell script, in which it is "$@"."""
    program.wrapper = [*before, "bash", "-c", script, "bash"]


def on_file_system(program, place, options, fill=0, logged=0):
    """A small file system of its own at the place, filled with so many bytes; what the log holds in the end is stdout."""
    place.mkdir()
    mount = f'mount -t tmpfs -o mode=755,{options} none "{place}" && head -c {fill} /dev/zero >"{place}/ballast"; '
    if logged:
        mount += f'printf "%{logged}s\\n" >"$ECS_START_TASK_LOG_FILE"; '
    in_shell(program, mount + '"$@" >/dev/null; status=$?; cat "$ECS_START_TASK_LOG_FILE"; exit $status', *unshare("--mount"))


SIZE = 8 * 4096
FULL, ALMOST_FULL = (f"size={SIZE}", SIZE), (f"size={SIZE}", SIZE - 4096, 3000)
READ_ONLY = ("ro", 0)


def warnings(outcome):
    return re.findall(r"\[WARN\] cannot write the log file (.*?): (No space left|Read-only)", outcome.stderr)


@pytest.mark.parametrize(("room", "why"), [(FULL, "No space left"), (ALMOST_FULL, "No space left"), (READ_ONLY, "Read-only")])
def test_a_log_that_cannot_be_written_is_one_warning(room, why, program, host, tmp_path):
    on_file_system(program, tmp_path / "log", *room)
    log = tmp_path / "log/log"
    outcome = program.run(ECS_START_TASK_LOG_FILE=log, ECS_START_TASK_DEFINITION="my_task_def,log_agent,my_task_def_extra")
    assert outcome.status == 0 and len(host.instance.tasks) == 3
    assert warnings(outcome) == [(str(log), why)]
    assert ("begins" in outcome.stdout) == (room == ALMOST_FULL)


def test_a_log_at_the_limit_of_the_shell_is_one_warning(program, host):
    """Which is in KiB in bash; the kernel would end the program by SIGXFSZ."""
    program.log_file.write_bytes(b"x" * 8191 + b"\n")
    in_shell(program, 'ulimit -f 8; exec "$@"')
    outcome = program.run(verbosity=None)
    assert outcome.status == 0 and len(host.instance.tasks) == 1
    assert outcome.stderr.count("WARN") == outcome.stderr.count("cannot write the log file") == 1


@pytest.mark.parametrize("room", [FULL, READ_ONLY], ids=["full", "read-only"])
def test_without_room_for_the_record_nothing_is_sent(room, program, host, tmp_path):
    on_file_system(program, tmp_path / "state", *room)
    outcome = program.run(ECS_START_TASK_TIMEOUT="2s", verbosity=None)
    assert outcome.status == 75 and not host.asked("StartTask")
    assert re.search(rf"{tmp_path}/state.*(No space left|Read-only)", outcome.stderr)
    assert "as root" not in outcome.stderr


def test_root_that_is_kept_from_a_path_is_not_told_to_be_root(program, tmp_path):
    """Like the unit: without any capability, and without access to home directories."""
    closed = tmp_path / "home"
    closed.mkdir()
    (closed / "ca.pem").touch()
    in_shell(program, f'mount -t tmpfs -o mode=0 none "{closed}" && exec setpriv --bounding-set=-all --inh-caps=-all "$@"', *unshare("--mount"))
    for settings in ({"AWS_CA_BUNDLE": closed / "ca.pem", "AWS_ENDPOINT_URL_ECS": "https://127.0.0.1:1"}, {"ECS_START_TASK_STATE_DIR": closed / "x"}, {"ECS_START_TASK_LOG_FILE": closed / "x"}):
        outcome = program.run(**settings, ECS_START_TASK_TIMEOUT="2s", verbosity=None)
        assert "Permission denied" in outcome.stderr and "/root and /home" in outcome.stderr and "as root" not in outcome.stderr
        assert next(iter(settings)) in outcome.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_told_to_be_root(program, tmp_path):
    closed = tmp_path / "home"
    closed.mkdir(mode=0)
    tmp_path.chmod(0o755)
    in_shell(program, 'exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"')
    assert "run it with sudo" in program.run(ECS_START_TASK_STATE_DIR="/root/x", ECS_START_TASK_LOG_FILE="/dev/null", verbosity=None).stderr


def test_a_disk_that_is_full_only_after_the_sending_makes_no_failure_of_a_task_that_runs(program, host, tmp_path):
    """One page for the lock and one for the record: there is no room left for the response of ECS."""
    on_file_system(program, tmp_path / "state", f"size={SIZE}", SIZE - 2 * 4096)
    outcome = program.run(verbosity=None)
    assert outcome.status == 0 and len(host.instance.tasks) == 1
    assert re.search(r"WARN.*check again.*No space left", outcome.stderr)


#: What happens to the streams, and what the log file must still say.
STREAMS = {
    "stdout-is-closed": 'exec "$@" >&-',
    "stdout-is-a-pipe-without-reader": '"$@" | head -c 0; exit ${PIPESTATUS[0]}',
    "stderr-is-closed": 'exec "$@" 2>&-',
    "stderr-is-a-pipe-without-reader": '"$@" 2>&1 >/dev/null | head -c 0; exit ${PIPESTATUS[0]}',
    "all-are-closed": 'exec "$@" <&- >&- 2>&-',
    "stdout-is-full": 'exec "$@" >/dev/full',
    "all-are-full": 'exec "$@" >/dev/full 2>/dev/full',
}


@pytest.mark.parametrize("script", STREAMS.values(), ids=STREAMS)
@pytest.mark.parametrize("definition", ["my_task_def", "unknown_def"])
def test_streams_that_nobody_reads_change_nothing(script, definition, program, host):
    in_shell(program, script)
    outcome = program.run("--output", "json", ECS_START_TASK_DEFINITION=definition, verbosity=None)
    assert outcome.status == (0 if definition == "my_task_def" else 76)
    assert len(host.instance.tasks) == (definition == "my_task_def")
    assert re.search("started: arn:" if definition == "my_task_def" else "TaskDefinition is inactive", outcome.log)


def test_without_proc_a_run_knows_what_the_one_before_it_did(program, host):
    host.instance.lives["my_task_def"] = UNSEEN
    in_shell(program, 'mount -t tmpfs none /proc && exec "$@"', *unshare("--mount"))
    assert program.run("--no-wait", verbosity=None).status == 0
    assert program.run("--no-wait", verbosity=None).status == 0
    assert len(host.asked("StartTask")) == 1


def test_sixteen_files_are_enough(program, host):
    in_shell(program, 'ulimit -n 16; exec "$@"')
    outcome = program.run(verbosity=None)
    assert outcome.status == 0 and len(host.instance.tasks) == 1
    assert "WARN" not in outcome.stderr


@pytest.mark.parametrize("files", [3, 5, 7])
def test_with_too_few_files_it_says_so_and_sends_nothing(files, program, host):
    in_shell(program, f'ulimit -n {files}; exec "$@"')
    outcome = program.run(ECS_START_TASK_TIMEOUT="1s", verbosity=None)
    assert outcome.status in (69, 75, 78) and not host.asked("StartTask")
    assert "No file descriptors available" in outcome.stderr


def test_without_a_thread_for_the_name_it_says_so_and_sends_nothing(program, host, tmp_path):
    """Root has no such limit, so this becomes another user, who can still reach the directory of the tests."""
    capability = "+dac_read_search"
    if os.geteuid() == 0:
        os.chown(tmp_path, 54321, -1)
    other = ["setpriv", "--reuid=54321", "--clear-groups", f"--inh-caps={capability}", f"--ambient-caps={capability}"]
    program.wrapper = [*(other if os.geteuid() == 0 else []), "prlimit", "--nproc=1"]
    outcome = program.run(ECS_START_TASK_TIMEOUT="1s", AWS_ENDPOINT_URL_ECS=f"http://localhost:{host.ecs.port}", verbosity=None)
    assert outcome.status == 69 and not host.asked("StartTask")
    assert "cannot create a thread for the name lookup: Resource temporarily unavailable" in outcome.stderr


def test_a_host_that_slept_between_two_runs_has_lost_no_task(program, host):
    """A time namespace in which eight more hours have passed since the boot, all of them in suspend."""
    host.instance.lives["my_task_def"] = ((3, "RUNNING"),)
    assert program.run("--no-wait").status == 0
    program.wrapper = unshare("--time", "--boottime", "28800")
    assert program.run().status == 0
    assert len(host.asked("StartTask")) == 1
