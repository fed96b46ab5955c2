"""Launches of every size, simulated: the program's own retry code against ECS's token bucket, by `fleet_simulation`.

The limits of the figures are asserted there; here they are printed.
"""

import re
import subprocess

from standin.program import ROOT

from .bars import Bar

COMMAND = ["cargo", "test", "--quiet", "--locked", "a_launching_fleet", "--", "--nocapture"]
LINE = re.compile(r"^(\d+) instances: ([\d.]+) of the limit, ([\d.]+) calls, bystander ([\d.]+)$", re.MULTILINE)


def sweep():
    """[(instances, time to the last task relative to the bucket's limit, calls per task, share of the bystander's calls served)]."""
    said = subprocess.run(COMMAND, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    rows = [(int(instances), *map(float, figures)) for instances, *figures in LINE.findall(said)]
    assert rows, f"the simulation prints no figures:\n{said}"
    return rows


def table(rows):
    yield f"{'instances, simulated; the worst seed':38}{'of the limit':>16}{'calls per task':>16}{'bystander':>12}"
    for instances, slowest, calls, bystander in rows:
        yield f"{instances:38,}{slowest:16.2f}{calls:16.2f}{bystander:12.2f}"


def bars(rows):
    _, slowest, calls, bystander = zip(*rows, strict=True)
    yield Bar("time to the last task, any size / the bucket's limit", max(slowest), 2.2)
    yield Bar("StartTask calls per task, any size", max(calls), 10.5)
    yield Bar("bystander's calls that are throttled, any size", 1 - min(bystander), 0.4)
