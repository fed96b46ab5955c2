"""Waiting for the agent: every way in which its introspection API can fail to name the container instance.

Each happens twice before the agent recovers, and then without end: the program must recover from the first, and must give up on
the second with 69, naming what it saw, without any request to ECS.
"""

import re
from dataclasses import replace

import pytest

from standin import Answer
from standin.agent import COMMANDS, VERSION
from standin.answers import HANG_UP, as_json

ARN = "arn:aws:ecs:us-east-1:123456789012:container-instance/my-cluster/0123456789abcdef0123456789abcdef"
NOBODY = {"Cluster": "", "ContainerInstanceArn": None, "Version": ""}


def metadata(**changed):
    return as_json({"Cluster": "my-cluster", "ContainerInstanceArn": ARN, "Version": VERSION} | changed)


#: What the agent responds, and what must be logged about it.
ANSWERS = {
    "500-with-empty-object": (as_json(NOBODY, 500), r"\b500\b"),
    "500-with-all-of-it": (replace(metadata(), status=500), r"\b500\b"),
    "500-without-body": (Answer(500, headers={"Connection": "close"}), r"\b500\b"),
    "404": (Answer(404, b"404 page not found\n"), r"\b404\b"),
    "no-arn": (metadata(ContainerInstanceArn=None), r"ContainerInstanceArn|regist"),
    "empty-arn": (metadata(ContainerInstanceArn=""), r"ContainerInstanceArn|regist"),
    "available-commands": (as_json(COMMANDS), r"AvailableCommands|ContainerInstanceArn"),
    "not-an-arn": (metadata(ContainerInstanceArn="my-instance"), r"my-instance"),
    "another-arn": (
        metadata(ContainerInstanceArn="arn:aws:ecs:us-east-1:123456789012:cluster/my-cluster"),
        r"cluster/my-cluster",
    ),
    "arn-that-leads-elsewhere": (metadata(ContainerInstanceArn=ARN.replace("us-east-1", "evil.example/#")), r"evil\.example"),
    "wrong-types": (metadata(Cluster=7, ContainerInstanceArn=["x"]), r"invalid type|not a response"),
    "empty": (Answer(), r"not a response|JSON|EOF"),
    "not-json": (Answer(body=b"<html>Welcome to nginx!</html>"), r"nginx"),
    "a-json-string": (as_json("registered"), r"invalid type|not a response"),
    "cut-off-json": (Answer(body=b'{"Cluster":"my-cl'), r"my-cl"),
    "cut-off-body": (Answer(body=metadata().body, cut=20), r"closed|cut|end"),
    "hang-up": (HANG_UP, r"(?i)clos|disconnect|reset|end"),
    "not-http": (Answer(raw=b"SSH-2.0-OpenSSH_9.2p1\r\n"), r"(?i)http|protocol"),
    "huge": (Answer(body=b'{"Cluster":"' + b"x" * 8_000_000 + b'"}'), r"(?i)large"),
    "deep": (Answer(body=b"[" * 200_000), r"unusable response from the ECS agent: .* the response is larger than"),
    "control-characters": (Answer(body=b"\x1b[2J\x1b]0;owned\x07 \xc2\x9b31m\xff\xfe"), r"owned"),
    "control-characters-in-arn": (metadata(ContainerInstanceArn="\x1b]0;owned\x07"), r"owned"),
    "redirect": (Answer(302, headers={"Location": "http://127.0.0.1:1/v1/metadata"}), r"\b302\b"),
}
ROWS = [pytest.param(*row, id=name) for name, row in ANSWERS.items()]


@pytest.mark.parametrize(("answer", "reason"), ROWS)
def test_a_passing_fault_of_the_agent_is_waited_out(answer, reason, program, host):
    host.script("metadata", answer, answer)
    outcome = program.run()
    assert outcome.status == 0 and len(host.instance.tasks) == 1
    assert re.search(reason, outcome.said)


@pytest.mark.parametrize(("answer", "reason"), ROWS)
def test_a_lasting_fault_of_the_agent_is_given_up_with_69(answer, reason, program, host):
    host.always("metadata", answer)
    outcome = program.run(ECS_START_TASK_TIMEOUT="1s")
    assert outcome.status == 69
    assert re.search(reason, outcome.said)
    assert not host.asked("StartTask")


def failing(_, default):
    """The normal response of the agent, with another status."""
    return replace(default(), status=500)


def test_a_list_of_tasks_with_500_is_no_list(program, host):
    host.always("tasks", failing)
    outcome = program.run(ECS_START_TASK_TIMEOUT="1s", verbosity=None)
    assert outcome.status == 69 and re.search(r"/v1/tasks returned 500", outcome.stderr)
    assert not host.asked("StartTask")


def test_a_task_on_a_list_with_500_is_not_known_to_run(program, host):
    host.always("tasks", lambda request, default: failing(request, default) if host.instance.tasks else default())
    outcome = program.run(ECS_START_TASK_TIMEOUT="1s", verbosity=None)
    assert outcome.status == 75 and "returned 500" in outcome.stderr


def test_an_agent_that_never_listens_is_given_up_with_69_and_a_hint(make_program):
    program = make_program(closed=("agent",))
    outcome = program.run(ECS_START_TASK_TIMEOUT="2s", verbosity=None)
    assert outcome.status == 69
    assert "refused" in outcome.stderr and program.host.agent.url in outcome.stderr
    assert re.search(r"ecs\.service|systemctl status ecs", outcome.stderr)
    assert outcome.seconds < 10
    assert not [request for request in program.host.asked() if request.service == "ecs"]


def test_an_agent_that_takes_the_request_and_says_nothing_is_given_up_in_time(program, host):
    host.always("metadata", Answer(raw=b"", delay=60))
    outcome = program.run(ECS_START_TASK_TIMEOUT="2s")
    assert outcome.status == 69 and outcome.seconds < 15
    assert re.search(r"(?i)timed? ?out", outcome.said)
