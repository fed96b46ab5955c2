"""The time from the agent's first valid response to StartTask on the wire, as the stand-in's sockets see it.

The agents of many hosts come up at random moments of the first 30 s. Those of one round wait at once, so that it takes
no longer than the latest agent; the sides take turns, as the AWS CLI would keep the program from the processor.
"""

import random
import statistics
import subprocess
import threading
import time

from standin.program import ROOT

from .bars import Bar
from .meters import QUIET
from .sides import Scene

UP_WITHIN = 30
SEED = 1
#: A document with host values, which must be known by the time the agent is up.
VALUES = ROOT / "packaging/examples/host-values.json"
ROUNDS = 4  # the program polls every 100 ms, and the median of a few moments within that says little


class Waiter:
    """One run on a host of its own, whose agent comes up late."""

    def __init__(self, side, directory, up_after):
        self.scene = Scene(directory, closed=("agent",))
        self.command, self.environment = self.scene.sides.get(side, self.scene.sides["program"])
        if side == "values":
            self.scene.host.metadata_service.tags["Role"] = "web"
            self.command = [*self.command, "--cli-input-json", VALUES]
        self.side, self.up_after = side, up_after

    def start(self):
        self.child = subprocess.Popen(self.command, env=self.environment, cwd=self.scene.directory, **QUIET)
        threading.Timer(self.up_after, self.open).start()

    def open(self):
        self.opened = time.monotonic()
        self.scene.host.agent.open()

    def finish(self):
        """Seconds to StartTask from the moment at which the agent could respond, and from the first request that it got."""
        with self.scene as scene:
            scene.check(self.side, self.child.wait())
            first, sent = (scene.host.asked(operation)[0].at for operation in ("metadata", "StartTask"))
        return {"from_up_s": sent - self.opened, "from_poll_s": sent - first}


def react(runs, directory):
    """{side: {figure: median, largest}}."""
    chance = random.Random(SEED)
    rows = {"program": [], "values": [], "page": []}
    for number in range(ROUNDS):
        for side, found in rows.items():
            found += together(side, runs, directory / f"{number}-{side}", chance)
    return {side: {key: summary([row[key] for row in found]) for key in found[0]} for side, found in rows.items()}


def together(side, runs, directory, chance):
    waiters = [Waiter(side, directory / str(i), chance.uniform(1, UP_WITHIN)) for i in range(runs)]
    for waiter in waiters:
        waiter.start()
    return [waiter.finish() for waiter in waiters]


def summary(values):
    return {"median": statistics.median(values), "largest": max(values)}


def table(sides):
    yield f"{'to StartTask, ms':38}" + "".join(f"{words:>20}" for words in ("program", "with host values", "page"))
    for key, words in (("from_up_s", "from the agent's coming up"), ("from_poll_s", "from the poll that sees it")):
        cells = [f"{sides[side][key]['median'] * 1000:9.1f} (max {sides[side][key]['largest'] * 1000:5.0f})" for side in sides]
        yield f"{words + ', median':38}" + "".join(f"{cell:>20}" for cell in cells)


def bars(sides):
    ours = sides["program"]
    yield Bar("ms from the agent's coming up to StartTask, median", ours["from_up_s"]["median"] * 1000, 60)
    yield Bar("ms from the poll that sees it to StartTask, median", ours["from_poll_s"]["median"] * 1000, 10)
    yield Bar("the same, with values of the host", sides["values"]["from_poll_s"]["median"] * 1000, 10)
