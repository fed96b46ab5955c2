"""ecs-start-task status: what became of the configured tasks in this boot, by the agent and the records alone."""

import json
import os
import re
import signal
from datetime import datetime, timedelta, timezone

import pytest

from standin import Answer
from standin.answers import HANG_UP, placed_then, stall
from standin.instance import DIES, ENDS, UNSEEN
from test_situations import wait_until

FAMILY = "my_task_def"


def status(program, *arguments, **settings):
    """What it says, and that nothing else was asked for it."""
    asked = len(program.host.requests)
    outcome = program.run("status", *arguments, verbosity=None, **settings)
    assert {request.service for request in program.host.requests[asked:]} <= {"agent"}
    return outcome


def the_task(program, **settings):
    """(exit code, the one task of the JSON document)"""
    outcome = status(program, "-o", "json", **settings)
    (task,) = json.loads(outcome.stdout)["tasks"]
    return outcome.status, task


def test_a_task_that_runs(program, host):
    assert program.run().status == 0
    arn = host.instance.tasks[0].arn
    outcome = status(program)
    since = r"since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    assert outcome.status == 0
    assert re.fullmatch(rf"{FAMILY}\tRUNNING\t{arn}\t{since}, started by this program, 1 StartTask call\n", outcome.stdout)
    code, task = the_task(program)
    assert (code, task["taskArn"], task["status"], task["startedByThisProgram"], task["attempts"]) == (0, arn, "RUNNING", True, 1)
    assert (task["error"], task["nextAttempt"], task["lastStop"], task["failures"]) == (None, None, None, 0)
    assert json.loads(status(program, "-o", "json").stdout)["instance"] == host.instance.arn


def test_a_task_that_others_started(program, host):
    task = host.instance.place(FAMILY, "ecs-svc/1", life=((0, "RUNNING"),))
    assert program.run().status == 0
    assert f"RUNNING\t{task.arn}" in status(program).stdout
    assert "not started by this program" in status(program).stdout
    assert the_task(program)[1]["startedByThisProgram"] is False


@pytest.mark.parametrize("spelling", [f"{FAMILY}:3", "arn:aws:ecs:us-east-1:123456789012:task-definition/my_task_def:3"])
def test_a_task_that_this_program_started_for_another_request(spelling, program, host):
    assert program.run().status == 0
    assert "started by this program" in status(program, "-t", spelling).stdout
    assert "not started" not in status(program, "-t", spelling).stdout


def nothing(program, host):
    pass


def accepted(program, host):
    host.instance.lives[FAMILY] = UNSEEN
    assert program.run("--no-wait").status == 0


def in_doubt(program, host):
    host.script("StartTask", placed_then(stall(60)))
    run = program.start()
    wait_until(lambda: host.asked("StartTask"))
    run.signal(signal.SIGKILL)
    run.finish(killed=True)


def ended(program, host):
    host.instance.lives[FAMILY] = ENDS
    assert program.run().status == 0
    wait_until(lambda: host.instance.tasks[0].status() == "STOPPED")


def gone(program, host):
    assert program.run().status == 0
    host.always("tasks", Answer(body=b'{"Tasks":[]}'))


@pytest.mark.parametrize(
    ("play", "said"),
    [(nothing, "NOT STARTED"), (accepted, "ACCEPTED"), (in_doubt, "IN DOUBT"), (ended, "STOPPED"), (gone, "GONE")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_run_is_75(play, said, program, host):
    play(program, host)
    if play is in_doubt:
        host.always("tasks", Answer(body=b'{"Tasks":[]}'))
    code, task = the_task(program)
    assert (code, task["status"]) == (75, said)
    assert task["taskArn"] == (host.instance.tasks[0].arn if play in (accepted, ended, gone) else None)


def test_where_nothing_was_tried_check_says_more(program):
    assert status(program).stdout == f"{FAMILY}\tNOT STARTED\t-\tsee `ecs-start-task check`\n"
    assert "NOT RESOLVED YET\t-\tsee `ecs-start-task check`\n" in status(program, ECS_START_TASK_DEFINITION="a-{tag:x}").stdout


def test_of_a_task_that_stopped_the_time_is_that_of_its_start(program, host):
    ended(program, host)
    assert re.search(r"\tSTOPPED\t\S+\tstarted \d{4}-\S+Z, started by this program, ", status(program).stdout)


def test_what_answered_an_open_question_may_be_anybodys(program, host):
    def lost(*_):
        host.instance.place(FAMILY, "ecs-svc/1", life=((0, "RUNNING"),))
        return HANG_UP

    host.script("StartTask", lost)
    assert program.run().status == 0
    code, task = the_task(program)
    assert (code, task["status"], task["startedByThisProgram"]) == (0, "RUNNING", None)
    assert "started by" not in status(program).stdout


def test_what_the_unit_has_tried_and_when_it_tries_next(program, host, unit):
    host.instance.lives[FAMILY] = DIES
    assert program.run(**unit).status == 70
    code, task = the_task(program)
    assert (code, task["status"], task["attempts"], task["failures"]) == (75, "STOPPED", 1, 1)
    wait = datetime.strptime(task["nextAttempt"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc) - datetime.now(timezone.utc)
    assert timedelta(seconds=5) < wait < timedelta(seconds=31)
    assert f"1 StartTask call, 1 failed run, next attempt at {task['nextAttempt']}" in status(program).stdout


def test_each_task_has_its_line_and_one_that_does_not_run_decides(program, host):
    assert program.run().status == 0
    outcome = status(program, ECS_START_TASK_DEFINITION=f"{FAMILY},log_agent")
    assert outcome.status == 75
    assert [line.split("\t")[:2] for line in outcome.stdout.splitlines()] == [[FAMILY, "RUNNING"], ["log_agent", "NOT STARTED"]]


def test_a_silent_agent_is_69(make_program):
    outcome = status(make_program(closed=("agent",)))
    assert outcome.status == 69 and "the ECS agent does not respond" in outcome.stderr


def test_a_list_that_cannot_be_read_is_69_too(program, host):
    host.always("tasks", Answer(500))
    code, task = the_task(program)
    assert code == 69 and task["status"] is None and "/v1/tasks returned 500" in task["error"]["message"]


def test_with_nothing_configured_it_is_78(program):
    assert status(program, ECS_START_TASK_DEFINITION="").status == 78


def test_a_task_whose_configuration_is_invalid_is_78_where_all_else_is_well(program, tmp_path):
    assert program.run().status == 0
    assert status(program, ECS_START_TASK_DEFINITION="a b").status == 78
    assert status(program, ECS_START_TASK_DEFINITION=f"{FAMILY},a b").status == 78
    assert status(program, ECS_START_TASK_DEFINITION="log_agent,a b").status == 75
    (tmp_path / "broken.json").write_text("{")
    outcome = status(program, "--cli-input-json", str(tmp_path / "broken.json"))
    assert outcome.status == 78 and "UNKNOWN" in outcome.stdout


def test_another_cluster_is_78_as_for_a_run(program, host):
    outcome = status(program, "--cluster", "other")
    assert outcome.status == 78 and "--cluster requires cluster other, but this instance is in " in outcome.stderr
    said = outcome.stderr.partition("[ERROR]")[2]
    assert said == program.run("--cluster", "other", verbosity=None).stderr.partition("[ERROR]")[2]
    assert status(program, "--cluster", host.instance.cluster).status == 75


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_told_to_be_root(program):
    assert program.run().status == 0
    program.wrapper = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    outcome = status(program)
    assert outcome.status == 78 and "root" in outcome.stderr
