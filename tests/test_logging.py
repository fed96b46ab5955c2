"""The log: stderr for people and the journal, the file with full times; neither can ever block a run."""

import json
import os
import re
import socket
import subprocess

import pytest

from standin import Answer
from standin.answers import THROTTLED
from terminal import show

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \d+ (?=\[(ERROR|WARN|INFO|DEBUG|TRACE)\] )")
OF_DAY = re.compile(r"\d\d:\d\d:\d\d\.\d{3}Z (?=\[(ERROR|WARN|INFO|DEBUG|TRACE)\] )")


def on_stderr(program, tmp_path, status=0, **settings):
    """The lines on stderr when stderr is a file whose device and inode are known beforehand."""
    path = tmp_path / "stderr"
    with open(path, "wb") as stream:
        about = os.fstat(stream.fileno())
        environment = {**program.environment, **{name: value.format(about) for name, value in settings.items()}}
        ended = subprocess.run([program.binary], env=environment, stderr=stream, stdout=subprocess.DEVNULL, timeout=60)
    assert ended.returncode == status
    return path.read_text().splitlines()


def test_stderr_has_times_for_people(program, tmp_path):
    lines = on_stderr(program, tmp_path)
    assert lines and all(OF_DAY.match(line) for line in lines)


def test_the_journal_gets_priorities_and_no_times(program, tmp_path):
    program.host.script("StartTask", THROTTLED)
    settings = {"JOURNAL_STREAM": "{0.st_dev}:{0.st_ino}", "ECS_START_TASK_LOG_LEVEL": "debug"}
    lines = on_stderr(program, tmp_path, **settings)
    assert not [line for line in lines if re.search(r"\d\d:\d\d:\d\d", line)]
    assert {line[: line.index("] ") + 1] for line in lines} == {"<4>[WARN]", "<6>[INFO]", "<7>[DEBUG]"}
    failed = on_stderr(program, tmp_path, status=78, ECS_START_TASK_DEFINITION="a b", JOURNAL_STREAM="{0.st_dev}:{0.st_ino}")
    assert failed[-1].startswith("<3>[ERROR] ")


def test_a_journal_stream_that_is_not_stderr_changes_nothing(program, tmp_path):
    lines = on_stderr(program, tmp_path, JOURNAL_STREAM="{0.st_dev}:1")
    assert lines and all(OF_DAY.match(line) for line in lines)


def test_stderr_has_no_times_under_an_old_systemd_that_only_sets_notify_socket(program, tmp_path, unit):
    lines = on_stderr(program, tmp_path, **unit)
    assert lines and not [line for line in lines if re.search(r"\d\d:\d\d:\d\d", line)]


def test_systemd_hears_what_is_waited_for_once_and_how_it_ended(make_program, unit, manager):
    make_program(closed=("agent",)).run(ECS_START_TASK_TIMEOUT="3s", **unit)
    begun, ended = manager.heard()
    assert begun == "STATUS=waiting for the ECS agent"
    assert re.match(r"STATUS=failed: gave up after \d+s: the ECS agent does not respond", ended)


def test_systemd_hears_why_a_task_was_not_started(program, unit, manager):
    assert program.run("-t", "unknown_def", **unit).status == 76
    last = manager.heard()[-1]
    assert last.startswith("STATUS=unknown_def: failed: ECS ") and "TaskDefinition is inactive" in last


def test_a_manager_that_does_not_read_is_not_waited_for(program, unit, manager):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other, pytest.raises(BlockingIOError):
        for _ in range(100_000):
            other.sendto(b"x", socket.MSG_DONTWAIT, manager.getsockname())
    assert program.run(**unit).status == 0


def test_every_line_of_the_file_has_its_full_time_in_utc(program):
    lines = program.run(TZ="America/New_York").log.splitlines()
    assert lines and all(STAMP.match(line) for line in lines)


def test_the_file_is_added_to(program):
    first = program.run().log
    program.run("-t", "log_agent")
    assert program.log_file.read_text().startswith(first) and len(program.log_file.read_text()) > len(first)


def test_the_file_and_stderr_say_the_same(program):
    outcome = program.run(verbosity=None)
    assert outcome.log
    assert [STAMP.sub("", line) for line in outcome.log.splitlines()] == [
        OF_DAY.sub("", line) for line in outcome.stderr.splitlines()
    ]


@pytest.mark.parametrize("place", ["missing/directory/log", ".", "/dev/full", "pipe"])
def test_a_log_file_that_cannot_be_written_is_one_warning(place, program, host, tmp_path):
    path = tmp_path / place
    os.mkfifo(tmp_path / "pipe")  # that nobody reads
    outcome = program.run(ECS_START_TASK_LOG_FILE=path, verbosity=None)
    assert outcome.status == 0 and len(host.instance.tasks) == 1
    assert len([line for line in outcome.stderr.splitlines() if str(path) in line and "WARN" in line]) == 1


def test_a_healthy_run_is_told_in_a_few_lines_that_name_the_values(program, host):
    outcome = program.run(verbosity=None)
    (task,) = host.instance.tasks
    for value in (host.instance.cluster, host.instance.id, "us-east-1", "my_task_def", task.arn):
        assert value in outcome.stderr
    assert 3 <= len(outcome.stderr.splitlines()) <= 12
    assert "WARN" not in outcome.stderr and "DEBUG" not in outcome.stderr


def test_quiet_says_nothing_on_success_and_the_reason_on_failure(program):
    assert program.run("-q", verbosity=None).stderr == ""
    assert "TaskDefinition is inactive" in program.run("-q", "-t", "unknown_def", verbosity=None).stderr


def test_each_v_says_more(program):
    lengths = [len(program.run("--dry-run", verbosity=verbosity).stderr) for verbosity in (None, "-v", "-vv")]
    assert lengths == sorted(set(lengths))


def test_the_highest_verbosity_names_actions_and_request_ids(program):
    program.host.script("StartTask", THROTTLED)
    said = program.run(verbosity="-vv").stderr
    assert re.search(r"\[TRACE\] StartTask: 400 Bad Request, request ID [0-9a-f-]{36}\n", said)


def test_waiting_says_what_for_and_does_not_repeat_itself(program, host):
    host.always("metadata", Answer(500, b"{}"))
    outcome = program.run(ECS_START_TASK_TIMEOUT="3s", verbosity=None)
    assert len(host.asked("metadata")) > 5
    assert 1 <= len(re.findall(r"\b500\b", outcome.stderr)) <= 4


def test_on_a_terminal_waiting_is_one_line_that_is_rewritten(make_program):
    program = make_program(closed=("agent",))
    program.host.agent.open_after(3)
    shown, status = show([program.binary], program.environment, 200, stdout=False)
    assert status == 0
    assert len(re.findall(r"\r\x1b\[Kwaiting for the ECS agent", shown)) >= 2
    assert not re.search(r"waiting for the ECS agent[^\r\n]*\n", shown)


def test_a_log_that_cannot_be_written_has_the_fix_that_check_gives(program, tmp_path):
    for path, hint in (("a b/log", f"`mkdir -p '{tmp_path}/a b'`"), ("", "fix the path, or set ECS_START_TASK_LOG_FILE to another file")):
        settings = {"ECS_START_TASK_LOG_FILE": tmp_path / path, "verbosity": None}
        checked = program.run("check", "--output", "json", **settings)
        (found,) = [each for each in json.loads(checked.stdout) if each["Check"] == "log"]
        assert hint in found["Fix"] and f"; {found['Fix']}\n" in program.run(**settings).stderr
