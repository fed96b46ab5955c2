"""Exactly one task: the table of situations, each played to the program as its unit runs it.

A run that fails is started again, as Restart=on-failure with RestartPreventExitStatus=2 78 does, only at once. What counts
is how many tasks exist on the instance in the end, the last exit code, and that the log holds the reason and the remedy.
"""

import json
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from standin import Answer, Instance, Program
from standin.answers import HANG_UP, SERVER_ERROR, THROTTLED, as_json, cut, ecs_error, failure, placed_then, stall
from standin.imds import Credentials, refusal
from standin.instance import DIES, ENDS, RUNS

pytestmark = pytest.mark.situations

NOT_RESTARTED = (0, 2, 78)
ONE = {"my_task_def": 1}
LATE = ((3, "PENDING"), (3.2, "RUNNING"))  # hidden from the agent for a while, as a payload on its way is
DENIED = ecs_error("AccessDeniedException", "User: arn:aws:sts::123456789012:assumed-role/ecsInstanceRole/i-0 is not authorized to perform: ecs:StartTask")
NOT_DESCRIBED = ecs_error("AccessDeniedException", "User: arn:aws:sts::123456789012:assumed-role/ecsInstanceRole/i-0 is not authorized to perform: ecs:DescribeTasks")
BOOT = int(re.search(r"^btime (\d+)", open("/proc/stat").read(), re.M)[1])


@dataclass
class Situation:
    """What is played, and what must come of it: tasks by family, the last exit code, words in the log."""

    play: Callable = lambda host: None
    tasks: dict = field(default_factory=lambda: ONE)
    code: int = 0
    says: str = ""
    settings: dict = field(default_factory=dict)
    instance: dict = field(default_factory=dict)
    closed: tuple = ()
    runs: int = 4


def scripted(operation, *answers):
    return lambda host: host.script(operation, *answers)


def lasting(operation, answer):
    return lambda host: host.always(operation, answer)


def present(definition="my_task_def", **more):
    return lambda host: host.instance.place(definition, **more) and None


def living(life, family="my_task_def"):
    return lambda host: host.instance.lives.update({family: life})


def clock(seconds):
    return lambda host: setattr(host, "clock_offset", seconds)


def both(*plays):
    return lambda host: [play(host) for play in plays] and None


def token_expires(host):
    def expire(*_):
        host.metadata_service.rotate()
        return ecs_error("ExpiredTokenException", "The security token included in the request is expired")

    host.script("StartTask", expire)


SITUATIONS = {
    "healthy": Situation(),
    "agent-late": Situation(lambda host: host.agent.open_after(1.5), closed=("agent",), says="refused"),
    "agent-unregistered": Situation(scripted("metadata", *[as_json({"Cluster": "", "ContainerInstanceArn": None})] * 5), says="regist"),
    "agent-500": Situation(scripted("metadata", *[Answer(500, b"{}")] * 5), says=r"\b500\b"),
    "agent-garbage": Situation(scripted("metadata", Answer(body=b"\x00garbage"), Answer(body=b"{")), says="garbage"),
    "task-list-500": Situation(both(present(), scripted("tasks", Answer(500), Answer(500))), says=r"\b500\b"),
    "task-list-garbage": Situation(both(present(), scripted("tasks", Answer(body=b'{"Tasks":[{"Arn":'), as_json({"Tasks": None}), as_json({})))),
    "task-list-of-another-server": Situation(both(present(), scripted("tasks", as_json({"AvailableCommands": []}), Answer(body=b"<html>")))),
    "task-list-of-5000": Situation(lambda host: [host.instance.place("log_agent") for _ in range(5000)] and None, tasks={"my_task_def": 1, "log_agent": 5000}),
    "cluster-as-arn": Situation(instance={"cluster": "arn:aws:ecs:us-east-1:123456789012:cluster/my-cluster"}),
    "old-arn": Situation(instance={"long_arn": False, "id": "4d5a3f1c-9c2e-4b53-a3f5-0f1e2d3c4b5a"}),
    "imds-500": Situation(scripted("credentials", refusal(500)), says=r"\b500\b"),
    "imds-cut-off": Situation(scripted("credentials", cut(50)), says=r"broke off|closed|cut|end"),
    "imds-expired": Situation(scripted("credentials", as_json(Credentials().document() | {"Expiration": "2020-01-01T00:00:00Z"})), says="(?i)expired"),
    "imds-late-role": Situation(scripted("role", refusal(404), refusal(404)), says="(?i)role.*instance profile"),
    "throttled-3-times": Situation(scripted("StartTask", *[THROTTLED] * 3), says="ThrottlingException.*Rate exceeded"),
    "throttled-12-times": Situation(scripted("StartTask", *[THROTTLED] * 12), says="Rate exceeded", settings={"ECS_START_TASK_TIMEOUT": "3s"}, runs=13),
    "500-before-the-task": Situation(scripted("StartTask", SERVER_ERROR), says="ServerException"),
    "500-after-the-task": Situation(both(living(LATE), scripted("StartTask", placed_then(SERVER_ERROR))), says="ServerException"),
    "503-page-after-the-task": Situation(both(living(LATE), scripted("StartTask", placed_then(Answer(503, b"<html>upstream")))), says="503"),
    "connection-cut-before-the-task": Situation(scripted("StartTask", HANG_UP), says="may or may not"),
    "connection-cut-after-the-task": Situation(both(living(LATE), scripted("StartTask", placed_then(HANG_UP))), says="may or may not"),
    "answer-cut-after-the-task": Situation(both(living(LATE), scripted("StartTask", cut(60))), says="may or may not"),
    "answer-unreadable-after-the-task": Situation(both(living(LATE), scripted("StartTask", placed_then(Answer(body=b"{}"))))),
    "no-answer-after-the-task": Situation(both(living(LATE), scripted("StartTask", placed_then(stall(60)))), says="(?i)timed? ?out", settings={"ECS_START_TASK_TIMEOUT": "90s"}),
    "connection-cut-again-and-again": Situation(lasting("StartTask", HANG_UP), tasks={}, code=69, settings={"ECS_START_TASK_TIMEOUT": "4s"}, runs=3, says="may or may not"),
    "agent-not-connected": Situation(scripted("StartTask", failure("AGENT")), says="AGENT.*not connected"),
    "resource-twice": Situation(scripted("StartTask", *[failure("RESOURCE:CPU")] * 2), says="RESOURCE:CPU.*too little"),
    "missing-once": Situation(scripted("StartTask", failure("MISSING")), says="MISSING"),
    "access-denied-once": Situation(scripted("StartTask", DENIED), says="ecs:StartTask.*role ecsInstanceRole"),
    "access-denied-for-ever": Situation(lasting("StartTask", DENIED), tasks={}, code=77, says="ecs:StartTask.*role ecsInstanceRole", settings={"ECS_START_TASK_TIMEOUT": "2s"}, runs=3),
    "definition-unknown": Situation(tasks={}, code=76, says="unknown_def.*TaskDefinition is inactive", settings={"ECS_START_TASK_DEFINITION": "unknown_def"}, runs=3),
    "token-expired": Situation(token_expires, says="ExpiredTokenException"),
    "clock-10-min-slow": Situation(clock(600), says=r"(?i)clock.*10 ?m"),
    "clock-3-h-fast": Situation(clock(-3 * 3600), says=r"(?i)clock.*(3 ?h|2h 59m)"),
    "already-running": Situation(present(), says="(?i)already"),
    "already-pending": Situation(present(life=((0, "PENDING"), (2, "RUNNING")))),
    "already-running-in-another-revision": Situation(present("my_task_def:1"), says="(?i)already"),
    "another-revision-than-wanted": Situation(present("my_task_def:1"), tasks={"my_task_def": 2}, settings={"ECS_START_TASK_DEFINITION": "my_task_def:2"}),
    "wanted-revision-running": Situation(present("my_task_def:2"), settings={"ECS_START_TASK_DEFINITION": "my_task_def:2"}, says="(?i)already"),
    "already-running-by-arn": Situation(present(), settings={"ECS_START_TASK_DEFINITION": "arn:aws:ecs:us-east-1:123456789012:task-definition/my_task_def"}),
    "guard-turned-off": Situation(present(), tasks={"my_task_def": 2}, settings={"ECS_START_TASK_IF_RUNNING": "start"}),
    "same-family-stopped": Situation(present(life=((0, "STOPPED"),)), tasks={"my_task_def": 2}),
    "from-before-the-boot-and-corrected": Situation(present(created=BOOT - 3600, life=((0, "RUNNING"), (2, "STOPPED"))), tasks={"my_task_def": 2}),
    "from-before-the-boot-and-stood-by": Situation(present(created=BOOT - 3600, life=((0, "RUNNING"),)), says="(?i)already"),
    "other-family-with-the-same-prefix": Situation(present("my_task_def_extra"), tasks={"my_task_def": 1, "my_task_def_extra": 1}),
    "stops-at-once": Situation(living(DIES), code=70, says="Essential container in task exited", runs=1),
    "stops-at-once-and-may-not-be-described": Situation(both(living(DIES), lasting("DescribeTasks", NOT_DESCRIBED)), code=70, says="ecs:DescribeTasks", runs=1),
    "ran-and-ended-unseen": Situation(living(((0.01, "PENDING"), (0.02, "RUNNING"), (0.03, "STOPPED")))),
    "not-running-at-the-deadline": Situation(living(((0.05, "PENDING"),)), code=75, settings={"ECS_START_TASK_TIMEOUT": "2s"}, runs=3),
    "never-seen-by-the-agent": Situation(living(()), code=75, settings={"ECS_START_TASK_TIMEOUT": "2s"}, runs=3),
    "second-of-three-refused": Situation(
        living(ENDS), tasks={"my_task_def": 1, "log_agent": 1}, code=76, says="unknown_def.*TaskDefinition is inactive",
        settings={"ECS_START_TASK_DEFINITION": "my_task_def,unknown_def,log_agent"}, runs=3),
}


def as_the_unit(program, runs, *arguments, **settings):
    """The outcomes of a run and of its restarts."""
    outcomes = []
    while not outcomes or (outcomes[-1].status not in NOT_RESTARTED and len(outcomes) < runs):
        outcomes.append(program.run(*arguments, **settings))
    return outcomes


def families(host):
    return Counter(task.family for task in host.instance.tasks)


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
def test_situation(situation, make_host, tmp_path):
    host = make_host(instance=Instance(**situation.instance), closed=situation.closed)
    situation.play(host)
    outcomes = as_the_unit(Program(host, tmp_path), situation.runs, **situation.settings)
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
    """The connection dies after the request was read, each time: every POST must be one that the log tells of."""
    host.always("StartTask", HANG_UP)
    outcome = program.run(ECS_START_TASK_TIMEOUT="4s")
    assert outcome.status == 69
    assert len(host.asked("StartTask")) == 1


def test_permission_to_list_tasks_answers_the_open_question(program, host):
    host.instance.lives["my_task_def"] = ((25, "PENDING"), (25.1, "RUNNING"))
    host.script("StartTask", placed_then(HANG_UP))
    assert program.run().status == 0
    assert families(host) == ONE and host.asked("ListTasks")


def test_without_permission_to_list_tasks_the_agent_alone_answers(program, host):
    host.always("ListTasks", ecs_error("AccessDeniedException", "not authorized to perform: ecs:ListTasks"))
    host.script("StartTask", HANG_UP)
    assert program.run().status == 0
    assert families(host) == ONE and len(host.asked("StartTask")) == 2
