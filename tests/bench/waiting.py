"""What waiting costs: an agent that does not come up, for ten minutes, while the rest of the bench goes on.

The processor time is that of the run and of the `systemctl` that it asks now and then. A wait that is cut short cannot
be scaled, as a run asks more often at first: then the time has no bar.
"""

import signal
import subprocess
import threading
import time
from pathlib import Path

from . import meters
from .bars import Bar
from .sides import Scene

WHOLE = 600
SETTLED = 20  # seconds after which memory may not grow any more


class Waiting:
    """A run that waits, from now on."""

    def __init__(self, seconds, directory):
        self.seconds = max(seconds, SETTLED)
        self.scene = Scene(directory, closed=("agent",))
        environment = self.scene.program.environment | {"ECS_START_TASK_TIMEOUT": "1h"}
        self.child = subprocess.Popen([self.scene.program.binary], env=environment, cwd=directory, **meters.QUIET)
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        time.sleep(SETTLED)
        self.settled = self.resident()
        time.sleep(self.seconds - SETTLED)
        self.last = self.resident()
        self.child.send_signal(signal.SIGTERM)
        _, self.used = meters.wait(self.child)

    def resident(self):
        """KiB of memory of its own; pages of the binary come and go with the kernel's mood."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:"))

    def finish(self):
        self.thread.join()
        self.scene.host.close()
        return {
            "seconds": self.seconds,
            "cpu_s": self.used.ru_utime + self.used.ru_stime,
            "grown_kib": self.last - self.settled,
            "own_memory_kib": self.last,
        }


def table(result):
    yield f"{result['seconds']} s of waiting for the agent: {result['cpu_s']:.3f} s of CPU; {result['own_memory_kib']} KiB of memory"
    yield f"of its own, {result['grown_kib']} KiB more than after {SETTLED} s"


def bars(result):
    if result["seconds"] >= WHOLE:
        yield Bar("s of CPU for ten minutes of waiting", result["cpu_s"], 0.2)
    yield Bar("KiB that memory grows while waiting", result["grown_kib"], 0, exact=True)
