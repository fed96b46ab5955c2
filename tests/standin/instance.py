"""The container instance as a model: who it is, which task definitions exist, which tasks were ever placed on it.

A task lives by its `life`, pairs of (seconds since it was placed, KnownStatus); before the first pair the agent has not
heard of it. Tasks are never removed, so that a test can count what really came to exist.
"""

import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone

RUNS = ((0.05, "PENDING"), (0.1, "RUNNING"))
DIES = ((0.05, "PENDING"), (0.1, "STOPPED"))
ENDS = ((0.05, "PENDING"), (0.1, "RUNNING"), (0.15, "STOPPED"))
UNSEEN = ()


@dataclass
class Task:
    arn: str
    family: str
    revision: int
    started_by: str = ""
    life: tuple = RUNS
    placed: float = field(default_factory=time.monotonic)
    created: float = field(default_factory=time.time)
    stopped_reason: str = "Essential container in task exited"

    def status(self):
        """KnownStatus as the agent has it now, None while it has not heard of the task."""
        age = time.monotonic() - self.placed
        return next((status for since, status in reversed(self.life) if since <= age), None)

    def ran(self):
        age = time.monotonic() - self.placed
        return any(status == "RUNNING" and since <= age for since, status in self.life)

    def container(self):
        """The one container, as the introspection API shows it."""
        stamp = datetime.fromtimestamp(self.created, timezone.utc).isoformat().replace("+00:00", "Z")
        started = {"StartedAt": stamp} if self.ran() else {}
        name = f"ecs-{self.family}-{self.revision}-main"
        return {
            "DockerId": uuid.uuid5(uuid.NAMESPACE_URL, self.arn).hex * 2,
            "DockerName": name,
            "Name": "main",
            "Image": "busybox",
            "ImageID": "sha256:0",
            "CreatedAt": stamp,
            **started,
        }


@dataclass
class Instance:
    """`cluster` is what ECS_CLUSTER held, a name or an ARN; `definitions` maps families to their latest revision."""

    cluster: str = "my-cluster"
    partition: str = "aws"
    region: str = "us-east-1"
    account: str = "123456789012"
    id: str = "0123456789abcdef0123456789abcdef"
    long_arn: bool = True
    definitions: dict = field(default_factory=lambda: {"my_task_def": 3, "log_agent": 1, "my_task_def_extra": 1})
    details: dict = field(default_factory=dict)  # what DescribeTaskDefinition says of a family besides the usual
    lives: dict = field(default_factory=dict)
    tasks: list = field(default_factory=list)
    announced: bool = False  # has the agent told anyone its container instance yet?

    def arn_of(self, resource):
        return f"arn:{self.partition}:ecs:{self.region}:{self.account}:{resource}"

    @property
    def cluster_name(self):
        return self.cluster.rpartition("/")[2]

    @property
    def arn(self):
        middle = f"{self.cluster_name}/" if self.long_arn else ""
        return self.arn_of(f"container-instance/{middle}{self.id}")

    def definition(self, name):
        """(family, revision) of a family, family:revision or ARN; None when no such definition is ACTIVE."""
        family, _, revision = name.rpartition("task-definition/")[2].partition(":")
        latest = self.definitions.get(family, 0)
        revision = int(revision or latest)
        return (family, revision) if 0 < revision <= latest else None

    def place(self, definition, started_by="", **more):
        family, revision = self.definition(definition)
        arn = self.arn_of(f"task/{self.cluster_name}/{uuid.uuid4().hex}")
        more.setdefault("life", self.lives.get(family, RUNS))
        self.tasks.append(Task(arn, family, revision, started_by, **more))
        return self.tasks[-1]

    def find(self, arn):
        return next((task for task in self.tasks if task.arn == arn), None)
