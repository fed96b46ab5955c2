"""The container instance as a model: its identity, the task definitions that exist, and all tasks that were ever placed on it.

Tasks are never removed, so that a test can count those that really existed.
"""

import uuid
from dataclasses import dataclass, field

from .task import DIES, ENDS, NEVER, RUNS, UNSEEN, Container, Task

__all__ = ["DIES", "ENDS", "NEVER", "RUNS", "UNSEEN", "Container", "Instance", "Task"]


@dataclass
class Instance:
    """`cluster` is the value of ECS_CLUSTER, a name or an ARN; `definitions` maps families to their latest revision."""

    cluster: str = "my-cluster"
    partition: str = "aws"
    region: str = "us-east-1"
    account: str = "123456789012"
    id: str = "0123456789abcdef0123456789abcdef"
    long_arn: bool = True
    status: str = "ACTIVE"  # by DescribeContainerInstances
    capacity_provider: str | None = None
    definitions: dict = field(default_factory=lambda: {"my_task_def": 3, "log_agent": 1, "my_task_def_extra": 1})
    details: dict = field(default_factory=dict)  # what DescribeTaskDefinition says of a family besides the usual
    lives: dict = field(default_factory=dict)  # of a family's tasks; a list of lives is for one task after the other
    containers: dict = field(default_factory=dict)  # of a family
    ecs_lag: float = 0  # seconds that ECS needs longer than the agent to call a task STOPPED
    tasks: list = field(default_factory=list)
    former: list = field(default_factory=list)  # IDs of its former registrations
    error_lines: int = 0  # of the agent's log
    announced: bool = False  # whether the agent has already reported its container instance

    def arn_of(self, resource):
        return f"arn:{self.partition}:ecs:{self.region}:{self.account}:{resource}"

    @property
    def cluster_name(self):
        return self.cluster.rpartition("/")[2]

    @property
    def arn(self):
        return self.arn_with(self.id)

    def arn_with(self, identity):
        middle = f"{self.cluster_name}/" if self.long_arn else ""
        return self.arn_of(f"container-instance/{middle}{identity}")

    def definition(self, name):
        """(family, revision) of a family, family:revision or ARN; None when no such definition is ACTIVE."""
        family, _, revision = name.rpartition("task-definition/")[2].partition(":")
        latest = self.definitions.get(family, 0)
        revision = int(revision or latest)
        return (family, revision) if 0 < revision <= latest else None

    def place(self, definition, started_by="", **more):
        family, revision = self.definition(definition)
        arn = self.arn_of(f"task/{self.cluster_name}/{uuid.uuid4().hex}")
        if "life" not in more:
            more["life"] = self.life_of_the_next(family)
        usual = {"containers": self.containers.get(family, (Container(),)), "ecs_lag": self.ecs_lag, "instance": self.arn}
        self.tasks.append(Task(arn, family, revision, started_by, **usual | more))
        return self.tasks[-1]

    def life_of_the_next(self, family):
        life = self.lives.get(family, RUNS)
        if not isinstance(life, list):
            return life
        return life.pop(0) if len(life) > 1 else life[0]

    def find(self, arn):
        return next((task for task in self.tasks if task.arn == arn), None)

    def known(self):
        """The tasks that the agent has received, without those of a former registration."""
        return [task for task in self.tasks if task.instance == self.arn and task.status()]

    def register_anew(self):
        """Another ARN, as after a deregistration."""
        self.former.append(self.id)
        self.id = uuid.uuid4().hex
