"""After an outage: the time from the moment at which ECS can be reached again to StartTask on the wire.

Runs with outages of different lengths take place at the same time as the rest of the bench. The page's unit is restarted by systemd
after 30 s, whatever the outage was.
"""

import subprocess
import time

from .bars import Bar
from .meters import QUIET
from .sides import Scene

OUTAGES = (20, 35, 95)
RUNS = 4  # of each, as the delays are random
LONGEST_DELAY = 20


class Outages:
    """Runs that cannot reach ECS, from now on."""

    def __init__(self, directory):
        self.runs = [Run(outage, directory / f"{outage}-{i}") for outage in OUTAGES for i in range(RUNS)]

    def finish(self):
        """{seconds of the outage: seconds from its end to StartTask, of each run}."""
        found = {outage: [] for outage in OUTAGES}
        for run in self.runs:
            found[run.outage].append(run.finish())
        return found


class Run:
    def __init__(self, outage, directory):
        self.outage, self.scene = outage, Scene(directory, closed=("ecs",))
        command, environment = self.scene.sides["program"]
        self.opens = time.monotonic() + outage
        self.scene.host.ecs.open_after(outage)
        environment = environment | {"ECS_START_TASK_TIMEOUT": "15m"}
        self.child = subprocess.Popen(command, env=environment, cwd=directory, **QUIET)

    def finish(self):
        with self.scene as scene:
            scene.check("program", self.child.wait())
            return scene.host.asked("StartTask")[0].at - self.opens


def table(result):
    yield f"{'after an outage of':38}{'s to StartTask, mean':>22}{'largest':>12}"
    for outage, seconds in result.items():
        yield f"{outage:36} s{sum(seconds) / len(seconds):22.1f}{max(seconds):12.1f}"


def bars(result):
    yield Bar("s from the end of an outage to StartTask", max(map(max, result.values())), LONGEST_DELAY)
