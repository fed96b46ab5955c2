"""A launching fleet: hundreds of processes of the program at once, whose agents come up at the same moment.

ECS has a token bucket, which a bystander, another caller, also needs. For comparison, the page's retries against the same bucket are
modelled from their constants, because so many AWS CLIs at once do not fit on a machine.
"""

import heapq
import json
import os
import random
import statistics
import subprocess
import sys
from pathlib import Path

import awscli

from standin.answers import Bucket
from standin.program import BINARY

from .bars import Bar, exactly
from .fleet_services import BURST, BYSTANDER, RATE
from .meters import QUIET

SEED = 1
RESTART = 30  # RestartSec= of the page's unit; systemd adds no chance to it
POLL = 1  # the page's `sleep 1` until the agent responds


def launch(processes, directory, page_run):
    """What really happened, and what would have happened with the page if one run of its script takes `page_run` seconds."""
    services = subprocess.Popen(
        [sys.executable, "-m", "bench.fleet_services"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    ports = json.loads(services.stdout.readline())
    fleet = [start(f"{i:032x}", directory, *ports) for i in range(processes)]
    print("agents up", file=services.stdin, flush=True)
    statuses = [process.wait() for process in fleet]
    record = json.loads(services.communicate("end\n")[0])
    tasks = record.pop("tasks_of_instance").values()
    really = shares(processes, record) | {
        "failed": sum(status != 0 for status in statuses),
        "instances_without_one_task": processes - sum(count == 1 for count in tasks),
    }
    return {"processes": processes, "limit_s": limit(processes), "program": really, "page_modelled": page(processes, page_run)}


def start(instance, directory, port, agent_port):
    home = directory / instance
    home.mkdir(parents=True)
    environment = {
        "PATH": os.defpath,
        "ECS_START_TASK_DEFINITION": "my_task_def",
        "ECS_START_TASK_AGENT_URL": f"http://127.0.0.1:{agent_port}/{instance}",
        "ECS_START_TASK_STATE_DIR": str(home / "state"),
        "ECS_START_TASK_LOG_FILE": str(home / "log"),
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{port}",
        "AWS_ENDPOINT_URL_ECS": f"http://127.0.0.1:{port}",
    }
    return subprocess.Popen([BINARY], env=environment, cwd=home, **QUIET)


def limit(processes):
    """Seconds that the bucket itself needs for so many instances."""
    return max(0, processes - BURST) / RATE


def shares(processes, record):
    last, asked = record["last_s"], record["bystander_asked"]
    return {
        "last_s": last,
        "last_by_limit": last / limit(processes),
        "calls_per_task": record["calls"] / processes,
        "bystander_served": record["bystander_served"] / asked if asked else 1.0,
    }


def page(processes, run):
    """The median of simulations: each instance's AWS CLI tries as its legacy mode does, and then systemd its unit."""
    rows = [shares(processes, simulate(processes, run, random.Random(SEED + i))) for i in range(15)]
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def attempts():
    """The attempts of one CLI by its own table; between them it waits a random part of 1, 2, 4 ... seconds."""
    data = json.loads((Path(awscli.__file__).parent / "botocore/data/_retry.json").read_text())
    retry = data["retry"]["__default__"]
    assert retry["delay"] == {"type": "exponential", "base": "rand", "growth_factor": 2}, "the AWS CLI tries otherwise now"
    return retry["max_attempts"]


def simulate(processes, run, chance):
    bucket, most, record = Bucket(BURST, RATE), attempts(), {"calls": 0, "bystander_asked": 0, "bystander_served": 0}
    # (time, tie-breaker, which attempt of the CLI it is); the bystander's has none.
    queue = [(chance.uniform(0, POLL) + run, i, 1) for i in range(processes)]
    began = min(queue)[0]
    queue.append((began, processes, None))
    heapq.heapify(queue)
    started = 0
    while started < processes:
        now, who, attempt = heapq.heappop(queue)
        granted = bucket.take(now)
        if attempt is None:
            record["bystander_asked"] += 1
            record["bystander_served"] += granted
            heapq.heappush(queue, (now + 1 / BYSTANDER, who, None))
            continue
        record["calls"] += 1
        started += granted
        if not granted:
            again = (chance.random() * 2 ** (attempt - 1), attempt + 1) if attempt < most else (RESTART + run, 1)
            heapq.heappush(queue, (now + again[0], who, again[1]))
    return record | {"last_s": now - began}


def table(result):
    yield f"{result['processes']} instances at once, bucket of {BURST} and {RATE}/s (its limit: {result['limit_s']:.1f} s)"
    yield f"{'':38}{'program':>16}{'page, modelled':>16}"
    for key, words in (
        ("last_s", "s to the last task"),
        ("last_by_limit", "of the bucket's limit"),
        ("calls_per_task", "calls per task"),
        ("bystander_served", "of the bystander's calls served at once"),
    ):
        yield f"{words:40}{result['program'][key]:14.2f}{result['page_modelled'][key]:16.2f}"


def bars(result):
    ours = result["program"]
    yield exactly("runs of the fleet that failed", ours["failed"], 0)
    yield exactly("instances without just one task", ours["instances_without_one_task"], 0)
    yield Bar("time to the last task of the fleet / the bucket's limit", ours["last_by_limit"], 2.2)
    yield Bar("StartTask calls per task of the fleet", ours["calls_per_task"], 10.5)
    yield Bar("bystander's calls that are throttled", 1 - ours["bystander_served"], 0.4)
