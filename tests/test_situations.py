"""Exactly one task: the table of situations, each played to the program as its unit runs it.

A failed run is restarted, as by Restart=on-failure with RestartPreventExitStatus=2 78, only at once. What counts is how many
tasks exist on the instance in the end, the last exit code, and that the log contains the reason and the hint.
"""

import json
import re
import signal
import time
from collections import Counter

import pytest

from situations import LATE, ONE, SITUATIONS
from standin import Instance, Program
from standin.answers import HANG_UP, placed_then, stall
from standin.instance import ENDS, RUNS
from standin.program import MOST_SECONDS

NOT_RESTARTED = (0, 2, 78)


def as_the_unit(program, runs, *arguments, **settings):
    """The outcomes of a run and of its restarts."""
    outcomes = []
    while not outcomes or (outcomes[-1].status not in NOT_RESTARTED and len(outcomes) < runs):
        outcomes.append(program.run(*arguments, **settings))
    return outcomes


def families(host):
    return Counter(task.family for task in host.instance.tasks)


def wait_until(condition):
    deadline = time.monotonic() + MOST_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
def test_situation(situation, make_host, tmp_path):
    host = make_host(instance=Instance(**situation.instance), closed=situation.closed)
    situation.play(host)
    outcomes = as_the_unit(Program(host, tmp_path), situation.runs, **situation.settings())
    assert families(host) == situation.tasks
    assert outcomes[-1].status == situation.code
    assert re.search(situation.says, "".join(outcome.log for outcome in outcomes))


def test_two_runs_at_the_same_time_start_one_task(program, host):
    host.instance.lives["my_task_def"] = LATE
    runs = [program.start(), program.start()]
    assert [run.finish().status for run in runs] == [0, 0]
    assert families(host) == ONE and len(host.asked("StartTask")) == 1


def test_a_run_that_was_terminated_is_taken_up_by_the_next(program, host):
    host.instance.lives["my_task_def"] = LATE
    first = program.start()
    wait_until(lambda: host.instance.tasks)
    first.signal(signal.SIGTERM)
    assert first.finish(killed=True).status != 0
    assert program.run().status == 0
    assert families(host) == ONE


def test_a_run_that_was_killed_between_sending_and_answer_is_taken_up_by_the_next(program, host):
    host.instance.lives["my_task_def"] = LATE
    host.script("StartTask", placed_then(stall(60)))
    first = program.start()
    wait_until(lambda: host.instance.tasks)
    first.signal(signal.SIGKILL)
    assert first.finish(killed=True).status == -signal.SIGKILL
    assert program.run().status == 0
    assert families(host) == ONE and len(host.asked("StartTask")) == 1


def test_a_run_that_was_killed_leaves_no_lock_behind(program, host):
    host.script("StartTask", stall(60))
    first = program.start()
    wait_until(lambda: host.asked("StartTask"))
    first.signal(signal.SIGKILL)
    first.finish(killed=True)
    assert program.run("-t", "log_agent").status == 0
    assert families(host) == {"log_agent": 1}


@pytest.mark.parametrize("life", [RUNS, LATE], ids=["shown-at-once", "shown-late"])
def test_no_wait_twice_starts_one_task(life, program, host):
    host.instance.lives["my_task_def"] = life
    assert program.run("--no-wait").status == 0
    assert program.run("--no-wait").status == 0
    assert families(host) == ONE


def test_no_wait_does_not_wait(program, host):
    host.instance.lives["my_task_def"] = ((0.05, "PENDING"),)
    assert program.run("--no-wait").status == 0
    assert families(host) == ONE


def test_a_run_after_a_finished_short_job_starts_it_again(program, host):
    host.instance.lives["my_task_def"] = ENDS
    assert program.run().status == 0
    wait_until(lambda: host.instance.tasks[0].status() == "STOPPED")
    assert program.run().status == 0
    assert families(host) == {"my_task_def": 2}


def test_one_document_of_three_that_is_not_json_fails_alone(program, host, etc):
    documents = etc(program) / "ecs/ecs-start-task.d"
    documents.mkdir()
    (documents / "1.json").write_text(json.dumps({"taskDefinition": "my_task_def", "group": "boot"}))
    (documents / "2.json").write_text('{"taskDefinition": "unknown_def",}')
    (documents / "3.json").write_text(json.dumps({"taskDefinition": "log_agent"}))
    (documents / "ignored.json.rpmsave").write_text("{")
    outcome = program.run(ECS_START_TASK_DEFINITION=None)
    assert outcome.status == 78
    assert families(host) == {"my_task_def": 1, "log_agent": 1}
    assert re.search(r"2\.json.*line 1", outcome.log)
    assert json.loads(host.asked("StartTask")[0].body)["group"] == "boot"


def test_a_lost_answer_is_never_resent_below(program, host):
    """The connection breaks after the request was read, each time: every POST must be in the log."""
    host.always("StartTask", HANG_UP)
    outcome = program.run(ECS_START_TASK_TIMEOUT="4s")
    assert outcome.status == 69
    assert len(host.asked("StartTask")) == 1


def test_permission_to_list_tasks_answers_the_open_question(program, host):
    host.instance.lives["my_task_def"] = ((25, "PENDING"), (25.1, "RUNNING"))
    host.metadata_service.allowed.add("ListTasks")
    host.script("StartTask", placed_then(HANG_UP))
    assert program.run().status == 0
    assert families(host) == ONE and len(host.asked("ListTasks")) == 1


def test_without_permission_to_list_tasks_the_agent_alone_answers(program, host):
    host.script("StartTask", HANG_UP)
    assert program.run().status == 0
    assert [request.operation for request in host.asked("StartTask", "ListTasks")] == ["StartTask", "ListTasks", "StartTask"]
    assert families(host) == ONE


def test_under_the_unit_a_refusal_is_followed_by_a_pause_that_is_told_and_kept(program, host, unit):
    program.environment |= unit | {"ECS_START_TASK_DEFINITION": "unknown_def"}
    first = program.run(verbosity=None)
    # As long after the exit as systemd waits; the test does not wait for that.
    (record,) = (program.directory / "state").glob("unknown_def.*.json")
    record.write_text(json.dumps(json.loads(record.read_text()) | {"ended_at": None}))
    restarted = program.start(verbosity=None)
    wait_until(lambda: "attempt" in program.log_file.read_text().removeprefix(first.log))
    restarted.signal(signal.SIGTERM)
    second = restarted.finish(killed=True)
    other = program.run("-t", "my_task_def", verbosity=None)
    assert first.status == 76 and len(host.asked("StartTask")) == 2
    told, left = (int(re.search(r"attempt.* in (\d+)s", log)[1]) for log in (first.log, second.log))
    assert 15 <= told <= 30 and 0 < left <= told
    assert other.status == 0 and families(host) == ONE


def test_by_hand_nothing_waits(program, host):
    for attempts in (1, 2, 3):
        assert program.run("-t", "unknown_def").status == 76
        assert len(host.asked("StartTask")) == attempts
