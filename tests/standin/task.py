"""One task as a model: what the agent and ECS say about it at any moment.

A task follows its `life`, pairs of (seconds since it was placed, KnownStatus). Before the first pair, the agent has not received
it. ECS reports STOPPED later than the agent (`ecs_lag`), or follows a separate life.
"""

import math
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone

RUNS = ((0.05, "PENDING"), (0.1, "RUNNING"))
DIES = ((0.05, "PENDING"), (0.1, "STOPPED"))
ENDS = ((0.05, "PENDING"), (0.1, "RUNNING"), (0.15, "STOPPED"))
UNSEEN = ()
NEVER = math.inf

#: The statuses of a task in ECS, one after the other, while the agent already says STOPPED.
ENDING = ("DEACTIVATING", "STOPPING", "DEPROVISIONING")


def at_age(life, age):
    return next((status for since, status in reversed(life) if since <= age), None)


def beginning(life, status):
    return next((since for since, each in life if each == status), NEVER)


def stamp(moment):
    return datetime.fromtimestamp(moment, timezone.utc).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class Container:
    """One container of a definition. The agent lists it once it tries to create it: `created` seconds after its task was placed."""

    name: str = "main"
    created: float = 0
    started: float | None = None  # None: when the task is RUNNING
    exit_code: int = 1


@dataclass
class Task:
    arn: str
    family: str
    revision: int
    started_by: str = ""
    life: tuple = RUNS
    ecs_life: tuple | None = None  # lastStatus by the second, when it is not the agent's
    ecs_lag: float = 0
    containers: tuple = (Container(),)
    tells_starts: bool = True  # agents before 1.77.0 give no StartedAt
    instance: str = ""  # the ARN of the container instance that it was placed on
    placed: float = field(default_factory=time.monotonic)
    created: float = field(default_factory=time.time)
    stop_code: str = ""
    stopped_reason: str = "Essential container in task exited"
    unwanted: bool = False  # somebody has called StopTask

    @property
    def age(self):
        return time.monotonic() - self.placed

    def status(self):
        """The agent's KnownStatus now, None before it has received the task."""
        return at_age(self.life, self.age)

    def desired_status(self):
        """It becomes STOPPED when the task has stopped, and earlier by StopTask."""
        return "STOPPED" if self.unwanted or self.status() == "STOPPED" else "RUNNING"

    def last_status(self):
        """The state as ECS has it now."""
        if self.ecs_life is not None:
            return at_age(self.ecs_life, self.age) or "PENDING"
        known = self.status() or "PENDING"
        behind = self.age - beginning(self.life, "STOPPED")
        if known != "STOPPED" or behind >= self.ecs_lag:
            return known
        return ENDING[int(len(ENDING) * behind / self.ecs_lag)]

    def ran_after(self):
        """Seconds from its placement until either of the two says RUNNING."""
        return min(beginning(self.life, "RUNNING"), beginning(self.ecs_life or (), "RUNNING"))

    def ran(self):
        return self.ran_after() <= self.age

    def stop(self, reason, after=0.1):
        """StopTask: DesiredStatus is STOPPED at once, KnownStatus once the containers have exited."""
        self.unwanted, self.stop_code, self.stopped_reason = True, "UserInitiated", reason
        age = self.age
        self.life = (*((since, status) for since, status in self.life if since <= age), (age + after, "STOPPED"))

    def listed(self):
        """The containers that the agent has tried to create."""
        return [each for each in self.containers if each.created <= self.age]

    def has_started(self, container):
        return (self.ran_after() if container.started is None else container.started) <= self.age

    def container(self, container):
        """As the introspection API shows it."""
        created = stamp(self.created)
        shown = {
            "DockerId": uuid.uuid5(uuid.NAMESPACE_URL, self.arn + container.name).hex * 2,
            "DockerName": f"ecs-{self.family}-{self.revision}-{container.name}",
            "Name": container.name,
            "Image": "busybox",
            "ImageID": "sha256:0",
            "CreatedAt": created,
        }
        if self.tells_starts and self.has_started(container):
            shown["StartedAt"] = created
        return shown
