"""python -m chaos: runs the requested number of schedules, and prints each one that failed."""

import argparse
import asyncio
import collections
import os
import resource
import socket
import sys
import tempfile
import time
from pathlib import Path

from standin.program import BINARY, ROOT

from .fault import Fault
from .judge import judge
from .schedule import draw
from .world import World

SHOW = 5  # schedules that went wrong and are printed; all of them are written to STORIES
STORIES = ROOT / "target/chaos"
#: The longest time of a schedule, whatever the program does.
MOST_SECONDS = 600


def arguments():
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=300, help="how many schedules")
    parser.add_argument("--seed", type=int, help="play this one and show everything")
    parser.add_argument("--first", type=int, help="the first seed; by the clock without it")
    parser.add_argument("--at-once", type=int, default=200)
    return parser.parse_args()


class Play:
    """All schedules of one call."""

    def __init__(self, options):
        self.options = options
        self.began = time.monotonic()
        self.through, self.rules, self.wrong = 0, collections.Counter(), []
        self.tasks = self.processes = self.error_lines = self.second = 0

    def seeds(self):
        first = self.options.seed or self.options.first or int(time.time()) % 1_000_000 * 1000
        yield from range(first, first + (1 if self.options.seed else self.options.runs))

    async def run(self):
        with tempfile.TemporaryDirectory(prefix="chaos-") as directory:
            notify = f"{directory}/notify"
            manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            manager.bind(notify)
            await asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol, sock=manager)
            seeds = self.seeds()
            players = [self.player(seeds, Path(directory), notify, number) for number in range(self.options.at_once)]
            await asyncio.gather(*players)

    async def player(self, seeds, directory, notify, number):
        await asyncio.sleep(number * 0.05)  # not all at the same moment
        for seed in seeds:
            world = World(draw(seed), directory / str(seed), BINARY, notify)
            try:
                await asyncio.wait_for(world.play(), MOST_SECONDS)
                faults = judge(world)
            except asyncio.TimeoutError:
                faults = [Fault("hangs", f"the schedule did not end within {MOST_SECONDS} s")]
            except OSError as error:
                faults = [Fault("not played", repr(error))]
            self.count(world, faults)
            world.remove()

    def count(self, world, faults):
        self.through += 1
        self.tasks += len(world.instance.tasks)
        self.processes += len(world.processes)
        self.error_lines += world.instance.error_lines
        self.rules.update({fault.rule for fault in faults})
        if faults:
            self.wrong.append(world.schedule.seed)
        text = story(world, faults) if faults or self.options.seed else ""
        if faults:
            (STORIES / f"{world.schedule.seed}.txt").write_text(text)
        if self.options.seed or (faults and len(self.wrong) <= SHOW):
            print(text, flush=True)

    def summary(self):
        seconds = time.monotonic() - self.began
        rules = ", ".join(f"{rule}: {count}" for rule, count in self.rules.most_common())
        yield f"{self.through} schedules in {seconds:.0f} s ({self.through / seconds:.2f} a second), {self.through - len(self.wrong)} right"
        yield f"{self.processes} processes, {self.tasks} tasks, {self.error_lines} lines in the agents' logs"
        if self.wrong:
            yield f"wrong: {len(self.wrong)} ({rules}); seeds: {' '.join(map(str, self.wrong))}"
            yield f"their stories are in {STORIES}"


def story(world, faults):
    """The schedule, what happened, what each process printed, and what was wrong."""
    lines = [f"\n--- seed {world.schedule.seed}; `make chaos SEED={world.schedule.seed}` plays it again", str(world.schedule)]
    lines += ["what happened:", *world.notes]
    for process in world.processes:
        lines += [f"process {process.number} said:", (world.directory / f"{process.number}.err").read_text().rstrip()]
    return "\n".join(lines + [f"WRONG  {fault}" for fault in faults] if faults else [*lines, "right"])


def main():
    # Each process has three ports, and a schedule has several processes.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.umask(0o022)
    STORIES.mkdir(parents=True, exist_ok=True)
    play = Play(arguments())
    asyncio.run(play.run())
    print("\n".join(play.summary()))
    sys.exit(bool(play.wrong))


if __name__ == "__main__":
    main()
