"""A stand-in container instance: agent introspection, IMDSv2 and ECS on loopback ports.

The services behave like the real ones unless a script says otherwise. All requests are recorded in order, unexpected ones
included. The same package serves the tests, the demo, the benchmark and a real boot at the real addresses.
"""

from .host import Host
from .instance import Instance
from .program import Program
from .wire import Answer

__all__ = ["Answer", "Host", "Instance", "Program"]
