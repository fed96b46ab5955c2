"""python -m bench.fleet_services: agent, IMDS and ECS of a whole fleet in one lean process.

The stand-in of the tests checks every request's signature and form with botocore and has a thread for each connection,
which is too slow for hundreds of processes at once on two cores; this one checks neither. ECS has the token bucket of
"Request throttling" in its API reference, and a bystander who wants five of its tokens a second. Each instance's agent
has a path of its own. A line on stdin opens the agents; another one stops everything, and the record goes to stdout.
"""

import asyncio
import json
import re
import sys
import time
import uuid
from collections import Counter, defaultdict

from standin.answers import Bucket

BURST, RATE, BYSTANDER = 100, 40, 5
RUNS_AFTER = 0.1  # seconds from the placing of a task until its agent calls it RUNNING
ARN = "arn:aws:ecs:us-east-1:123456789012:{}"
SECRET = {"Code": "Success", "AccessKeyId": "ASIAFLEET", "SecretAccessKey": "fleet", "Token": "fleet"}


class Fleet:
    def __init__(self):
        self.began = time.monotonic()
        self.bucket = Bucket(BURST, RATE)
        self.tasks = defaultdict(list)  # by instance: (ARN, when it was placed)
        self.calls = Counter()
        self.first = None
        self.bystander = []

    def now(self):
        return time.monotonic() - self.began

    async def serve(self, reader, writer):
        """HTTP/1.1 as far as the program uses it: one request with its whole body, one response."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"(?i)^content-length: (\d+)", head, re.MULTILINE)
        body = await reader.readexactly(int(length[1])) if length else b""
        status, answer = self.answer(head.split(" ", 2)[1], body)
        text = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        writer.write(b"HTTP/1.1 %d -\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (status, len(text), text))
        writer.close()

    def answer(self, path, body):
        if path == "/":
            return self.start_task(json.loads(body))
        if path.startswith("/latest"):
            role = path.removeprefix("/latest/meta-data/iam/security-credentials/")
            return (200, SECRET) if role == "fleet" else (200, "fleet")
        _, instance, _, what = path.split("/", 3)
        if what == "metadata":
            return 200, {"Cluster": "fleet", "ContainerInstanceArn": ARN.format(f"container-instance/fleet/{instance}")}
        if what == "tasks":
            return 200, {"Tasks": [self.describe(task) for task in self.tasks[instance]]}
        found = [task for task in self.tasks[instance] if task[0] == what.removeprefix("tasks?taskarn=")]
        return (200, self.describe(found[0])) if found else (404, {})

    def describe(self, task):
        arn, placed = task
        status = "RUNNING" if self.now() >= placed + RUNS_AFTER else "PENDING"
        return {"Arn": arn, "Family": "my_task_def", "Version": "1", "KnownStatus": status, "DesiredStatus": "RUNNING", "Containers": []}

    def start_task(self, body):
        (instance,) = body["containerInstances"]
        now = self.now()
        self.first = self.first or now
        self.calls[instance] += 1
        if not self.bucket.take(now):
            return 400, {"__type": "ThrottlingException", "message": "Rate exceeded"}
        arn = ARN.format(f"task/fleet/{uuid.uuid4().hex}")
        self.tasks[instance].append((arn, now))
        return 200, {"tasks": [{"taskArn": arn, "lastStatus": "PENDING"}], "failures": []}

    async def stand_by(self):
        """Somebody else in the account, who does not retry."""
        while True:
            await asyncio.sleep(1 / BYSTANDER)
            if self.first is not None:
                self.bystander.append((self.now(), self.bucket.take(self.now())))

    def record(self):
        placed = [when for tasks in self.tasks.values() for _, when in tasks]
        last = max(placed, default=0)
        served = [granted for when, granted in self.bystander if when <= last]
        return {
            "tasks_of_instance": {instance: len(tasks) for instance, tasks in self.tasks.items()},
            "calls": sum(self.calls.values()),
            "last_s": last - (self.first or 0),
            "bystander_asked": len(served),
            "bystander_served": sum(served),
        }


async def main():
    loop, fleet = asyncio.get_running_loop(), Fleet()
    open_at = {"host": "127.0.0.1", "port": 0, "backlog": 1024}
    services = await asyncio.start_server(fleet.serve, **open_at)
    agents = await asyncio.start_server(fleet.serve, start_serving=False, **open_at)
    print(json.dumps([server.sockets[0].getsockname()[1] for server in (services, agents)]), flush=True)
    bystander = asyncio.create_task(fleet.stand_by())
    await loop.run_in_executor(None, sys.stdin.readline)
    await agents.start_serving()
    await loop.run_in_executor(None, sys.stdin.readline)
    bystander.cancel()
    print(json.dumps(fleet.record()), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
