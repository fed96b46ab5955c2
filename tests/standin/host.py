"""A whole host: the three services on their ports, the script of faults, and the record of all requests.

The rule: a request that no service supports, one to ECS about the instance before the agent named its container instance, and a
scripted response that was never requested are all recorded as wrong, and `verify` raises them.
"""

import threading
import time
from collections import defaultdict, deque

from . import signature
from .agent import Agent
from .ecs import Ecs
from .imds import Imds
from .instance import Instance
from .wire import Listener

ANY_PORT = ("127.0.0.1", 0)
ABOUT_THE_INSTANCE = ("StartTask", "StopTask", "ListTasks", "DescribeTasks", "DescribeContainerInstances")


class Host:
    """`ecs` is a service of your own in place of the model; `closed` names services that refuse connections at first."""

    def __init__(
        self,
        instance=None,
        imds=None,
        ecs=None,
        tls=None,
        closed=(),
        agent_at=ANY_PORT,
        imds_at=ANY_PORT,
        ecs_at=ANY_PORT,
        network=None,
    ):
        self.instance = instance or Instance()
        self.metadata_service = imds or Imds()
        self.clock_offset = 0  # seconds that ECS's clock is ahead of this machine's
        self.requests, self.unexpected = [], []
        self.scripted, self.standing = defaultdict(deque), {}
        self.lock = threading.RLock()
        self.network = network
        ecs = ecs or Ecs(self.instance, self.metadata_service, self.now)
        self.agent = self.listener("agent", Agent(self.instance), agent_at)
        self.imds = self.listener("imds", self.metadata_service, imds_at)
        self.ecs = self.listener("ecs", ecs, ecs_at, tls=tls, clock_offset=lambda: self.clock_offset)
        for listener in self.listeners:
            if listener.service not in closed:
                listener.open()

    def now(self):
        return time.time() + self.clock_offset

    @property
    def listeners(self):
        return self.agent, self.imds, self.ecs

    def listener(self, name, service, address, **more):
        return Listener(name, address, lambda request: self.answer(service, request), network=self.network, **more)

    def script(self, operation, *entries):
        """Send these in turn, then let the service respond by itself."""
        self.scripted[operation].extend(entries)

    def always(self, operation, entry):
        """Send this whenever the script for the operation is empty."""
        self.standing[operation] = [entry, 0]

    def answer(self, service, request):
        with self.lock:
            self.requests.append(request)
            request.operation = service.operation(request)
            if not request.operation or (request.operation in ABOUT_THE_INSTANCE and not self.instance.announced):
                self.unexpected.append(request)
            entry = self.next_entry(request.operation)

            def default():
                return service.answer(request)

            request.answer = entry(request, default) if callable(entry) else entry or default()
            return request.answer

    def next_entry(self, operation):
        if self.scripted[operation]:
            return self.scripted[operation].popleft()
        if operation in self.standing:
            self.standing[operation][1] += 1
            return self.standing[operation][0]
        return None

    def asked(self, *operations):
        """The requests of these operations, in order; of all operations when none is named."""
        return [request for request in self.requests if not operations or request.operation in operations]

    def secrets(self):
        """Everything that must never be shown: secret keys, session and metadata tokens, signatures."""
        issued = self.metadata_service.issued
        keys = [secret for each in issued for secret in (each.secret_key, each.token)]
        signatures = [found["signature"] for found in map(signature.parts, self.asked()) if found]
        return keys + self.metadata_service.tokens + signatures

    def verify(self):
        unused = [name for name, queue in self.scripted.items() if queue]
        unused += [name for name, (_, times) in self.standing.items() if not times]
        unused += [f"{each.service}: dropped connection" for each in self.listeners if each.drops]
        assert not self.unexpected, "nobody expected these requests:\n" + "\n".join(map(str, self.unexpected))
        assert not unused, f"scripted answers that nobody asked for: {', '.join(unused)}"

    def __str__(self):
        return "\n".join(f"{request.at - self.requests[0].at:8.3f} s  {request}" for request in self.requests)

    def close(self):
        for listener in self.listeners:
            listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
