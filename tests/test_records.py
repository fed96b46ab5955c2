"""What one run leaves for the next, on the built binary: which run concludes what, and what happens if the state directory fails.

A failed run of the unit is restarted by systemd; runs by hand take place in between.
"""

import json
import os
import re
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from standin.answers import HANG_UP, ecs_error, placed_then
from standin.instance import ENDS, UNSEEN
from test_one_task import killed, shown_in
from test_situations import families, wait_until

JOB, SERVICE = "log_agent", "my_task_def"
PENDING = ((0.05, "PENDING"),)
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@pytest.fixture
def unit_of_two(program, host, unit):
    """A run of the unit for a job that exits soon and for a service that does not start."""
    host.instance.lives |= {JOB: ENDS, SERVICE: PENDING}
    settings = unit | {"ECS_START_TASK_DEFINITION": f"{JOB},{SERVICE}", "ECS_START_TASK_TIMEOUT": "2s"}
    return lambda: program.run(**settings).status


def jobs(host):
    return families(host)[JOB]


def test_looking_by_hand_does_not_conclude_what_the_unit_has_started(unit_of_two, program, host):
    assert unit_of_two() == 75 and jobs(host) == 1
    assert program.run("-t", JOB).status == 0
    assert jobs(host) == 1, "by hand: it ran, and nobody has concluded it"
    assert unit_of_two() == 75
    assert jobs(host) == 1
    shown_in(0, next(task for task in host.instance.tasks if task.family == SERVICE))
    assert unit_of_two() == 0
    assert jobs(host) == 1
    assert unit_of_two() == 0
    assert jobs(host) == 2, "concluded by the unit, and gone: started anew"


def test_another_request_that_is_refused_forgets_nothing(unit_of_two, program, host):
    assert unit_of_two() == 75 and jobs(host) == 1
    host.script("StartTask", ecs_error("ClientException", "no"))
    assert program.run("-t", JOB, "--started-by", "other").status == 76
    assert unit_of_two() == 75
    assert jobs(host) == 1


def test_what_was_started_by_hand_is_concluded_by_hand(program, host):
    host.instance.lives[JOB] = ENDS
    for count in (1, 2):
        assert program.run("-t", JOB).status == 0
        wait_until(lambda: host.instance.tasks[-1].status() == "STOPPED")
        assert jobs(host) == count


def test_the_unit_concludes_what_a_run_by_hand_has_started(program, host, unit):
    """A run by hand that was killed when its job had run concludes nothing; the unit does."""
    host.instance.lives[JOB] = ENDS
    by_hand = program.start("-t", JOB, "-t", SERVICE)
    wait_until(lambda: jobs(host) and families(host)[SERVICE])
    time.sleep(1.5)
    killed(by_hand) if by_hand.process.poll() is None else by_hand.finish()
    assert program.run(ECS_START_TASK_DEFINITION=JOB, **unit).status == 0
    before = jobs(host)
    assert program.run(ECS_START_TASK_DEFINITION=JOB, **unit).status == 0
    assert jobs(host) == before + 1


def uptime():
    seconds = float(Path("/proc/uptime").read_text().split()[0])
    return {"secs": int(seconds), "nanos": 0}


#: Records of version 0.1: of a StartTask without a response, and of one that was accepted.
OF_0_1 = {"in-flight": lambda task: {"sent": uptime()}, "accepted": lambda task: {"task": [task.arn, uptime()]}}


@pytest.mark.parametrize("known", OF_0_1.values(), ids=OF_0_1)
def test_a_record_of_version_0_1_is_an_open_question(known, program, host):
    task = host.instance.place(SERVICE, host.instance.id, life=UNSEEN)
    (program.directory / "state").mkdir(mode=0o700)
    usual = {"boot": BOOT_ID.read_text(), "request": 7, "before": [], "ran": False, "failures": 0, "resume": None}
    record = {"sent": None, "task": None} | usual | known(task)
    (program.directory / f"state/{SERVICE}.json").write_text(json.dumps(record))
    shown_in(4, task)
    assert program.run().status == 0
    assert len(host.instance.tasks) == 1


def records(program):
    found = [path for path in (program.directory / "state").rglob("*") if path.is_file() and path.name != "lock"]
    assert found
    return found


def garble(path):
    path.write_bytes(b"\x00{garbage")


def empty(path):
    path.write_bytes(b"")


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("spoil", [garble, empty, cut], ids=lambda spoil: spoil.__name__)
def test_a_record_that_cannot_be_read_is_an_open_question(spoil, program, host):
    host.instance.lives[SERVICE] = UNSEEN
    host.script("StartTask", placed_then(HANG_UP))
    first = program.start()
    wait_until(lambda: host.instance.tasks)
    killed(first)
    for path in records(program):
        spoil(path)
    shown_in(6, host.instance.tasks[0])
    assert program.run().status == 0
    assert len(host.instance.tasks) == 1


@pytest.mark.parametrize("guard", ["skip", "start"])
def test_what_this_run_has_sent_it_still_knows_when_the_record_is_deleted(guard, program, host):
    """The agent lists the task late: for a run that forgets the request, no task is there."""

    def lost(_, place):
        place()
        for path in records(program):
            path.unlink()
        return HANG_UP

    host.instance.lives[SERVICE] = ((3, "PENDING"), (3.2, "RUNNING"))
    host.script("StartTask", lost)
    assert program.run("--if-running", guard).status == 0
    assert len(host.instance.tasks) == 1
    (record,) = (path for path in records(program) if path.suffix == ".json")
    assert json.loads(record.read_text())["task"]["arn"] == host.instance.tasks[0].arn


def replace_by_directory(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [garble, empty, Path.unlink, replace_by_directory], ids=lambda spoil: spoil.__name__)
def test_a_record_that_is_spoiled_at_the_end_takes_nothing_from_the_result(spoil, program, host):
    host.instance.lives[SERVICE] = PENDING
    run = program.start()
    wait_until(lambda: host.instance.tasks and host.asked("task", "tasks")[-1].at > host.instance.tasks[0].placed + 0.5)
    for path in records(program):
        spoil(path)
    shown_in(0, host.instance.tasks[0])
    outcome = run.finish()
    assert outcome.status == 0 and host.instance.tasks[0].arn in outcome.stdout
    assert len(host.instance.tasks) == 1


def temporary_names(trace):
    """What was created in the state directory and is neither a record, a lock nor a directory."""
    made = re.findall(r'open(?:at)?\(.*?"[^"]*?([^/"]+)", [^)]*O_CREAT', trace.read_text())
    return {name for name in made if not name.endswith((".json", ".log", "lock", "keeper"))}


def test_no_two_runs_write_to_the_same_temporary_file(program, host):
    names = []
    for number in (1, 2):
        trace = program.directory / f"trace-{number}"
        program.wrapper = ["strace", "-f", "-e", "trace=open,openat", "-o", trace]
        assert program.run("-t", f"{SERVICE}:{number}").status == 0
        names.append(temporary_names(trace))
    assert all(names) and not names[0] & names[1]


@pytest.fixture
def on_a_file_system(program):
    """on_a_file_system(fails, recovers) puts the state directory on a tmpfs that fails until the test lets it recover."""
    ends = []

    def mount(fails, recovers):
        state, pipe = program.directory / "state", program.directory / "pipe"
        state.mkdir(mode=0o700)
        os.mkfifo(pipe)
        ends.append(os.open(pipe, os.O_RDWR))  # which waits for nobody
        wait = f'(read line < "$1"; {recovers}) > "$1.out" 2>&1 &'
        script = f'mount -t tmpfs -o size=16k,mode=700 state "$0"; {fails}; {wait} shift; exec "$@"'
        program.wrapper = ["unshare", "--mount", "sh", "-c", script, state, pipe]
        return lambda: os.write(ends[0], b"\n")

    yield mount
    for end in ends:
        os.write(end, b"\n")
        os.close(end)


FAILURES = {
    "full": ('head -c 16k /dev/zero > "$0/filler"', 'rm "$0/filler"'),
    "read-only": ('mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"', 'umount "$0"'),
}


@pytest.mark.parametrize(("fails", "recovers"), FAILURES.values(), ids=FAILURES)
def test_a_state_directory_that_cannot_be_written_for_a_while_is_waited_for(fails, recovers, on_a_file_system, program, host):
    recover = on_a_file_system(fails, recovers)
    run = program.start()
    time.sleep(3)
    assert not host.asked("StartTask"), "nothing is sent that is not on record"
    recover()
    assert run.finish().status == 0
    assert len(host.instance.tasks) == 1


def test_a_state_directory_that_is_read_only_at_the_end_takes_nothing_from_the_result(on_a_file_system, program, host):
    host.instance.lives[SERVICE] = PENDING
    now = on_a_file_system("true", FAILURES["read-only"][0])
    run = program.start()
    wait_until(lambda: host.instance.tasks and host.asked("task", "tasks")[-1].at > host.instance.tasks[0].placed + 0.5)
    now()
    wait_until(lambda: "ro," in [line for line in mounts(run) if str(program.directory / "state") in line][-1])
    shown_in(0, host.instance.tasks[0])
    outcome = run.finish()
    assert outcome.status == 0 and host.instance.tasks[0].arn in outcome.stdout


def test_in_a_state_directory_that_is_moved_away_nothing_is_written(program, host, tmp_path):
    def records():
        return {path.name: path.read_text() for path in (tmp_path / "moved").glob("*.json")}

    host.instance.lives[SERVICE] = PENDING
    run = program.start()
    wait_until(lambda: host.instance.tasks and host.asked("task", "tasks")[-1].at > host.instance.tasks[0].placed + 0.5)
    (tmp_path / "state").rename(tmp_path / "moved")
    before = records()
    shown_in(0, host.instance.tasks[0])
    assert run.finish().status == 0 and before and records() == before


def mounts(run):
    return Path(f"/proc/{run.process.pid}/mounts").read_text().splitlines()


@pytest.mark.parametrize(("fails", "recovers"), FAILURES.values(), ids=FAILURES)
def test_a_state_directory_that_cannot_be_written_is_75_at_the_deadline(fails, recovers, on_a_file_system, program, host):
    on_a_file_system(fails, recovers)
    assert program.run(ECS_START_TASK_TIMEOUT="2s").status == 75
    assert not host.asked("StartTask")


def next_attempt(outcome):
    """Seconds from now until the reported time."""
    (line,) = [line for line in outcome.log.splitlines() if " attempt" in line][-1:]
    stamp = re.search(r" attempt.*?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)", line)[1]
    return (datetime.fromisoformat(stamp).replace(tzinfo=timezone.utc) - datetime.now(timezone.utc)).total_seconds()


@pytest.fixture
def ended():
    """ended(run) stops it at the end of the test, in any case."""
    runs = []
    yield lambda run: runs.append(run) or run
    for run in runs:
        run.process.kill()
        run.process.communicate()


def test_failures_by_hand_do_not_lengthen_the_pause_of_the_unit(program, host, unit, ended):
    for _ in range(4):
        assert program.run("-t", "unknown_def").status == 76
    run = ended(program.start(ECS_START_TASK_DEFINITION="unknown_def", **unit))
    wait_until(lambda: run.process.poll() == 76)
    assert next_attempt(run.finish()) <= 31


def test_the_next_attempt_is_announced_after_the_error(program, unit):
    outcome = program.run(**unit | {"ECS_START_TASK_DEFINITION": "unknown_def"})
    assert outcome.log.index("[ERROR]") < outcome.log.index("no new attempt")


def test_a_restart_by_hand_is_obeyed_at_once(program, host, unit):
    """A start sooner than RestartSec after the recorded end is not by systemd. The only reported pause comes after it."""
    settings = unit | {"ECS_START_TASK_DEFINITION": "unknown_def"}
    assert program.run(**settings).status == 76
    outcome = program.run(**settings)
    assert outcome.status == 76 and outcome.log.count("no new attempt") == 1
