"""A table of situations on an instance that could lead to no task, to two tasks, or to no message.

Each row sets up something on a host and states the required result. Tasks whose response was lost stay hidden from the agent for
a while (LATE), like a real task whose payload is on its way.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from standin import Answer
from standin.answers import HANG_UP, SERVER_ERROR, THROTTLED, as_json, cut, denied, ecs_error, failure, placed_then, stall
from standin.imds import Credentials, refusal
from standin.instance import DIES, ENDS

ONE = {"my_task_def": 1}
LATE = ((3, "PENDING"), (3.2, "RUNNING"))
BOOT = int(re.search(r"^btime (\d+)", Path("/proc/stat").read_text(), re.MULTILINE)[1])


@dataclass
class Situation:
    """What happens, and the required result: tasks by family, the last exit code, words in the log."""

    play: Callable = lambda host: None
    tasks: dict = field(default_factory=lambda: ONE)
    code: int = 0
    says: str = ""
    definition: str = "my_task_def"
    timeout: str = "40s"
    if_running: str = "skip"
    instance: dict = field(default_factory=dict)
    closed: tuple = ()
    runs: int = 4

    def settings(self):
        names = ("DEFINITION", "TIMEOUT", "IF_RUNNING")
        return {f"ECS_START_TASK_{name}": getattr(self, name.lower()) for name in names}


def scripted(operation, *answers):
    return lambda host: host.script(operation, *answers)


def lasting(operation, answer):
    return lambda host: host.always(operation, answer)


def present(definition="my_task_def", life=((0, "RUNNING"),), **more):
    return lambda host: host.instance.place(definition, life=life, **more) and None


def living(life, family="my_task_def"):
    return lambda host: host.instance.lives.update({family: life})


def allowing(*operations):
    return lambda host: host.metadata_service.allowed.update(operations)


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
    "agent-late": Situation(lambda host: host.agent.open_after(3), closed=("agent",), says="refused"),
    "agent-unregistered": Situation(
        scripted("metadata", *[as_json({"Cluster": "", "ContainerInstanceArn": None})] * 5), says="regist"
    ),
    "agent-500": Situation(scripted("metadata", *[Answer(500, b"{}")] * 5), says=r"\b500\b"),
    "agent-garbage": Situation(scripted("metadata", Answer(body=b"\x00garbage"), Answer(body=b"{")), says="garbage"),
    "task-list-500": Situation(both(present(), scripted("tasks", Answer(500), Answer(500))), says=r"\b500\b"),
    "task-list-garbage": Situation(
        both(present(), scripted("tasks", Answer(body=b'{"Tasks":[{"Arn":'), as_json({"Tasks": None}), as_json({})))
    ),
    "task-list-of-another-server": Situation(
        both(present(), scripted("tasks", as_json({"AvailableCommands": []}), Answer(body=b"<html>")))
    ),
    "task-list-of-5000": Situation(
        lambda host: [host.instance.place("log_agent") for _ in range(5000)], tasks={"my_task_def": 1, "log_agent": 5000}
    ),
    "cluster-as-arn": Situation(instance={"cluster": "arn:aws:ecs:us-east-1:123456789012:cluster/my-cluster"}),
    "old-arn": Situation(instance={"long_arn": False, "id": "4d5a3f1c-9c2e-4b53-a3f5-0f1e2d3c4b5a"}),
    "imds-500": Situation(scripted("credentials", refusal(500)), says=r"\b500\b"),
    "imds-cut-off": Situation(scripted("credentials", cut(50)), says=r"broke off|closed|cut|end"),
    "imds-expired": Situation(
        scripted("credentials", as_json(Credentials().document() | {"Expiration": "2020-01-01T00:00:00Z"})), says="(?i)expired"
    ),
    "imds-late-role": Situation(scripted("role", refusal(404), refusal(404)), says="(?i)role.*instance profile"),
    "throttled-3-times": Situation(scripted("StartTask", *[THROTTLED] * 3), says="ThrottlingException.*Rate exceeded"),
    "throttled-12-times": Situation(scripted("StartTask", *[THROTTLED] * 12), says="Rate exceeded", timeout="3s", runs=13),
    "500-before-the-task": Situation(scripted("StartTask", SERVER_ERROR), says="ServerException"),
    "500-after-the-task": Situation(both(living(LATE), scripted("StartTask", placed_then(SERVER_ERROR))), says="ServerException"),
    "503-page-after-the-task": Situation(
        both(living(LATE), scripted("StartTask", placed_then(Answer(503, b"<html>upstream")))), says="503"
    ),
    "connection-cut-before-the-task": Situation(scripted("StartTask", HANG_UP), says="may or may not"),
    "connection-cut-after-the-task": Situation(
        both(living(LATE), scripted("StartTask", placed_then(HANG_UP))), says="may or may not"
    ),
    "answer-cut-after-the-task": Situation(both(living(LATE), scripted("StartTask", cut(60))), says="may or may not"),
    "answer-unreadable-after-the-task": Situation(both(living(LATE), scripted("StartTask", placed_then(Answer(body=b"{}"))))),
    "no-answer-after-the-task": Situation(
        both(living(LATE), scripted("StartTask", placed_then(stall(60)))),
        says="(?i)timed? ?out",
        timeout="90s",
    ),
    "connection-cut-again-and-again": Situation(
        lasting("StartTask", HANG_UP), tasks={}, code=69, timeout="4s", runs=3, says="may or may not"
    ),
    "agent-not-connected": Situation(scripted("StartTask", failure("AGENT")), says="AGENT.*not connected"),
    "resource-twice": Situation(scripted("StartTask", *[failure("RESOURCE:CPU")] * 2), says="RESOURCE:CPU.*too few"),
    "missing-once": Situation(scripted("StartTask", failure("MISSING")), says="MISSING"),
    "access-denied-once": Situation(scripted("StartTask", denied("ecs:StartTask")), says="ecs:StartTask on resource"),
    "access-denied-for-ever": Situation(
        lasting("StartTask", denied("ecs:StartTask")),
        tasks={},
        code=77,
        says="ecs:StartTask on resource",
        timeout="2s",
        runs=3,
    ),
    "definition-unknown": Situation(
        tasks={},
        code=76,
        says="unknown_def.*TaskDefinition is inactive",
        definition="unknown_def",
        runs=3,
    ),
    "token-expired": Situation(token_expires, says="ExpiredTokenException"),
    "clock-10-min-slow": Situation(clock(600), says=r"(?i)clock.*(10m|9m 59s)"),
    "clock-3-h-fast": Situation(clock(-3 * 3600), says=r"(?i)clock.*(3h|2h 59m)"),
    "already-running": Situation(present(), says="(?i)already"),
    "already-pending": Situation(present(life=((0, "PENDING"), (2, "RUNNING"))), says="(?i)already|PENDING"),
    "already-running-in-another-revision": Situation(present("my_task_def:1"), says="(?i)already"),
    "another-revision-than-wanted": Situation(present("my_task_def:1"), tasks={"my_task_def": 2}, definition="my_task_def:2"),
    "wanted-revision-running": Situation(present("my_task_def:2"), definition="my_task_def:2", says="(?i)already"),
    "already-running-by-arn": Situation(
        present(), definition="arn:aws:ecs:us-east-1:123456789012:task-definition/my_task_def", says="(?i)already"
    ),
    "guard-turned-off": Situation(present(), tasks={"my_task_def": 2}, if_running="start"),
    "same-family-stopped": Situation(present(life=((0, "STOPPED"),)), tasks={"my_task_def": 2}),
    "from-before-the-boot-and-corrected": Situation(
        present(created=BOOT - 3600, life=((0, "RUNNING"), (2, "STOPPED"))), tasks={"my_task_def": 2}
    ),
    "from-before-the-boot-and-stood-by": Situation(present(created=BOOT - 3600), says="(?i)already"),
    "other-family-with-the-same-prefix": Situation(
        present("my_task_def_extra"), tasks={"my_task_def": 1, "my_task_def_extra": 1}
    ),
    "stops-at-once": Situation(
        both(living(DIES), allowing("DescribeTasks")), code=70, says="Essential container in task exited", runs=1
    ),
    "stops-at-once-and-may-not-be-described": Situation(living(DIES), code=70, says="ecs:DescribeTasks", runs=1),
    "ran-and-ended-unseen": Situation(living(((0.01, "PENDING"), (0.02, "RUNNING"), (0.03, "STOPPED")))),
    "not-running-at-the-deadline": Situation(living(((0.05, "PENDING"),)), code=75, timeout="2s", runs=3),
    "never-seen-by-the-agent": Situation(living(()), code=75, timeout="2s", runs=3),
    "second-of-three-refused": Situation(
        living(ENDS),
        tasks={"my_task_def": 1, "log_agent": 1},
        code=76,
        says="unknown_def.*TaskDefinition is inactive",
        definition="my_task_def,unknown_def,log_agent",
        runs=3,
    ),
}
