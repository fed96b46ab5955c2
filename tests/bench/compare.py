"""A run of the program compared with the page's commands, alternating on the same host, with ECS over TLS.

Wall and CPU time are the whole process tree's, peak memory that of its largest process. System calls, processes and
requests do not vary, so they are counted once.
"""

import statistics
from collections import Counter

from . import meters
from .bars import Bar, exactly
from .sides import Scene

#: The requests of a run: the identity of the instance; token, role and credentials; the tasks; StartTask.
NEEDED = ["StartTask", "credentials", "metadata", "role", "tasks", "token"]


def compare(runs, directory):
    """{side: its figures}."""
    with Scene(directory) as scene:
        counted = {side: counts(scene, side) for side in scene.sides}
        measured = {side: [] for side in scene.sides}
        for _ in range(runs + 1):  # the first one warms the caches
            for side, rows in measured.items():
                rows.append(once(scene, side, meters.costs) | once(scene, side, meters.memory))
    return {side: medians(rows[1:]) | counted[side] for side, rows in measured.items()}


def once(scene, side, meter):
    scene.fresh()
    status, figures = meter(*scene.sides[side], scene.directory)
    scene.check(side, status)
    return figures


def counts(scene, side):
    return once(scene, side, meters.calls) | {"requests": sorted(request.operation for request in scene.host.requests)}


def medians(rows):
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def table(sides):
    yield f"{'a run, ECS over TLS':24}{'program':>12}{'page':>12}{'page / program':>18}"
    units = {"cpu_s": "cpu, s", "wall_s": "wall, s", "memory_kib": "memory, KiB", "system_calls": "system calls", "processes": "processes"}
    rows = {words: [sides[side][key] for side in ("program", "page")] for key, words in units.items()}
    rows["requests"] = [len(sides[side]["requests"]) for side in ("program", "page")]
    for words, (ours, theirs) in rows.items():
        ratio = f"{theirs / ours:18.1f}" if ours else ""
        yield f"{words:24}{shown(ours):>12}{shown(theirs):>12}{ratio}"


def shown(value):
    return f"{value:,.0f}" if value == int(value) else f"{value:.4f}"


def bars(sides):
    ours, theirs = sides["program"], sides["page"]
    for key, part in (("cpu_s", 100), ("wall_s", 5), ("memory_kib", 10)):
        yield Bar(f"{key} / the page's", ours[key] / theirs[key], 1 / part)
    yield Bar("peak resident memory, KiB", ours["memory_kib"], 5 * 1024)
    vain = Counter(ours["requests"]) - Counter(NEEDED)
    yield Bar("requests that are not needed", vain.total(), 0, exact=True)
    yield exactly("processes started", ours["processes"], 0)
