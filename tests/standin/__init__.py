"""A stand-in container instance: agent introspection, IMDSv2 and ECS on loopback ports.

The services behave as the real ones do unless a script says otherwise, every request is kept in order, and what nobody
expected is kept too. The same package serves the tests, the demo, the benchmark and a real boot at the real addresses.
"""

from .host import Host
from .instance import Instance
from .program import Program
from .wire import Answer

__all__ = ["Answer", "Host", "Instance", "Program"]
