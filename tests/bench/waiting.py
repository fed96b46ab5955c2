"""What waiting costs: an agent that does not come up, for ten minutes, while the rest of the bench runs.

The processor time includes the `systemctl` that the run calls now and then. A shorter wait cannot be scaled, because a run polls
more often at first; then the time has no limit.
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
SETTLED = 20  # seconds after which memory must not grow


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
        """KiB of private memory; the kernel loads and drops pages of the binary at will."""
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
