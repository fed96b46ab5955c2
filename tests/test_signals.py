"""SIGTERM and SIGINT at each stage: the program exits at once, by that signal, and logs what is left behind."""

import os
import random
import json
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from standin.answers import HANG_UP, failure, placed_then, stall
from test_situations import wait_until

SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
DEFINITION = "my_task_def"
NOTHING = "nothing was started"
PENDING = ((0.05, "PENDING"),)


def waiting_for_the_agent(program):
    program.host.always("metadata", stall(60))
    return lambda: program.host.asked("metadata"), "waiting for the ECS agent", NOTHING


def waiting_for_the_role(program):
    program.host.always("credentials", stall(60))
    return lambda: program.host.asked("credentials"), "waiting for the role's credentials", NOTHING


def looking_for_the_task(program):
    program.host.always("tasks", stall(60))
    return lambda: program.host.asked("tasks"), None, NOTHING


def waiting_for_an_answer(program):
    program.host.script("StartTask", placed_then(stall(60)))
    behind = rf"StartTask for {DEFINITION} was sent and its response was not read; the next run checks this by the record in \S+/state"
    return lambda: program.host.instance.tasks, f"starting {DEFINITION}", behind


def waiting_for_another_answer(program):
    program.host.script("StartTask", failure("RESOURCE:CPU"))
    return lambda: "retrying" in program.said(), f"starting {DEFINITION}", NOTHING


def finding_out(program):
    program.host.instance.lives[DEFINITION] = ()
    program.host.script("StartTask", placed_then(HANG_UP))
    behind = rf"StartTask for {DEFINITION} was sent and its response was not read"
    return lambda: len(program.host.asked("tasks")) > 2, f"checking whether {DEFINITION} was started", behind


def waiting_for_the_task_to_run(program):
    program.host.instance.lives[DEFINITION] = PENDING
    return (
        lambda: len(program.host.asked("tasks")) > 4,
        f"waiting for {DEFINITION} to run: PENDING",
        rf"ECS accepted the task arn:aws:ecs:\S+/[0-9a-f]{{32}}, which continues",
    )


STAGES = [
    waiting_for_the_agent,
    waiting_for_the_role,
    looking_for_the_task,
    waiting_for_an_answer,
    waiting_for_another_answer,
    finding_out,
    waiting_for_the_task_to_run,
]


def interrupted(run, number):
    """The outcome of a run that got the signal, and how long it took to exit."""
    began = time.monotonic()
    run.signal(number)
    outcome = run.finish(killed=True)
    assert outcome.status == -number and time.monotonic() - began < 5
    return outcome


def last_line(text):
    """The last line, which must be whole, without its priority, or its time and process."""
    assert text.endswith("\n")
    return re.sub(r"^(<4>|\S*\d\d:\d\d:\d\d\S* (\d+ )?)", "", text.splitlines()[-1])


def check(outcome, number, doing, behind):
    doing = f" while {doing}.*" if doing else ".*"
    line = last_line(outcome.stderr)
    assert re.fullmatch(rf"\[WARN\] ended by {number.name}{doing}; {behind}.*", line)
    assert last_line(outcome.log) == line


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_it_ends_at_once_and_says_what_stays_behind(stage, number, program):
    program.said = lambda: program.log_file.read_text() if program.log_file.exists() else ""
    reached, doing, behind = stage(program)
    run = program.start(verbosity=None)
    wait_until(reached)
    check(interrupted(run, number), number, doing, behind)


def test_while_another_run_holds_the_lock(program, host):
    host.script("StartTask", stall(60))
    first = program.start(verbosity=None)
    wait_until(lambda: host.asked("StartTask"))
    second = program.start(verbosity=None)
    wait_until(lambda: f"process {first.process.pid}" in program.log_file.read_text())
    check(interrupted(second, signal.SIGTERM), signal.SIGTERM, f"waiting for another run before continuing with {DEFINITION}", NOTHING)
    interrupted(first, signal.SIGTERM)


def test_in_the_pause(program, unit):
    program.environment |= unit
    assert program.run("-t", "unknown_def", verbosity=None).status == 76
    # The next run would come RestartSec later; the test does not wait for that.
    (record,) = (program.directory / "state").glob("unknown_def.*.json")
    known = json.loads(record.read_text())
    record.write_text(json.dumps(known | {"ended_at": None, "not_before": {"secs": known["not_before"]["secs"] + 60, "nanos": 0}}))
    run = program.start("-t", "unknown_def", verbosity=None)
    wait_until(lambda: "the next attempt is at" in program.log_file.read_text())
    outcome = interrupted(run, signal.SIGTERM)
    check(outcome, signal.SIGTERM, r"pausing until \S+Z before the next attempt at unknown_def", NOTHING)


def test_of_several_tasks_each_is_told(program, host):
    host.instance.lives |= {DEFINITION: PENDING, "log_agent": ((0.05, "RUNNING"),)}
    host.always("StartTask", lambda request, default: failure("AGENT")(request, default) if b"_extra" in request.body else default())
    run = program.start(verbosity=None, ECS_START_TASK_DEFINITION=f"log_agent,{DEFINITION},my_task_def_extra")
    wait_until(lambda: len(host.asked("tasks")) > 6)
    line = last_line(interrupted(run, signal.SIGTERM).stderr)
    log_agent, pending = host.instance.tasks
    assert f"the task {log_agent.arn} was started; ECS accepted the task {pending.arn}, which continues" in line
    assert "_extra" not in line.partition("; ")[2]


def test_what_was_said_to_stay_behind_is_taken_up_by_the_next_run(program, host):
    host.script("StartTask", placed_then(stall(60)))
    run = program.start(verbosity=None)
    wait_until(lambda: host.instance.tasks)
    interrupted(run, signal.SIGTERM)
    assert program.run().status == 0
    assert len(host.instance.tasks) == len(host.asked("StartTask")) == 1


@pytest.mark.parametrize("seed", range(4))
def test_whenever_it_comes_what_is_said_is_true(seed, program, host):
    """Sixteen runs that are interrupted at random moments; the last one of each says what became of the task."""
    delays = random.Random(seed)
    host.instance.lives[DEFINITION] = PENDING
    for each in range(16):
        # By its name, because the previous one may still be on its way to the host.
        run = program.start("--started-by", f"run-{each}", verbosity=None)
        time.sleep(delays.uniform(0, 0.1))
        run.signal()
        outcome = run.finish(killed=True)
        assert outcome.status == -signal.SIGTERM
        sent = [request for request in host.asked("StartTask") if f'"run-{each}"'.encode() in request.body]
        assert not sent or re.search("ended by SIGTERM.*(was sent|continues)", outcome.log)
        host.instance.tasks.clear()
        shutil.rmtree(program.directory / "state", ignore_errors=True)


def test_a_signal_that_the_caller_ignores_stays_ignored(program, host):
    """Like nohup with SIGHUP, and a shell without job control with the SIGINT of background processes."""
    host.script("metadata", stall(1))
    program.wrapper = ["sh", "-c", 'trap "" HUP INT; exec "$0" "$@"']
    run = program.start(verbosity=None)
    wait_until(lambda: host.asked("metadata"))
    run.signal(signal.SIGHUP)
    run.signal(signal.SIGINT)
    assert run.finish().status == 0


def is_caught(process, number):
    """Whether the process has a handler for the signal (proc(5))."""
    caught = re.search(r"^SigCgt:\s*(\S+)", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)[1]
    return int(caught, 16) >> (number - 1) & 1


def test_a_stderr_that_nobody_reads_does_not_keep_it(program):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    while True:
        try:
            os.write(writer, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(writer, True)
    process = subprocess.Popen([program.binary], env=program.environment, stderr=writer, stdout=subprocess.DEVNULL)
    wait_until(lambda: is_caught(process, signal.SIGTERM))
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == -signal.SIGTERM
    os.close(reader)
    os.close(writer)
