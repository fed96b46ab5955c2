"""python -m standin: play a host until interrupted, at the addresses that are given.

Without options it uses free ports and prints the settings with which the program, curl and the AWS CLI reach them. With the
real addresses and --tls-name it serves a machine that really boots. Each request is a line on stdout or in --record.
"""

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from . import answers
from .host import ANY_PORT, Host
from .instance import Instance
from .tls import Authority


def address(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


def arguments():
    parser = argparse.ArgumentParser(prog="python -m standin", description=__doc__)
    for service, real in (("agent", "127.0.0.1:51678"), ("imds", "169.254.169.254:80"), ("ecs", "127.0.0.1:443")):
        parser.add_argument(
            f"--{service}", type=address, default=ANY_PORT, metavar="ADDRESS:PORT", help=f"on an instance: {real}"
        )
    parser.add_argument("--tls-name", action="append", help="serve ECS over TLS with a certificate for this name (repeatable)")
    parser.add_argument("--tls-directory", type=Path, default=Path(), help="where the authority's authority.pem is written")
    parser.add_argument("--cluster", default="my-cluster", help="a name or an ARN, as ECS_CLUSTER holds it")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--definition", action="append", default=[], help="a further family that exists (repeatable)")
    parser.add_argument("--agent-after", type=float, default=0, metavar="SECONDS", help="refuse connections to the agent so long")
    parser.add_argument("--throttle", type=int, default=0, metavar="TIMES", help="throttle the first StartTask calls")
    parser.add_argument("--record", type=argparse.FileType("w"), default=sys.stdout)
    return parser.parse_args()


def play(options):
    instance = Instance(cluster=options.cluster, region=options.region)
    instance.definitions |= dict.fromkeys(options.definition, 1)
    tls = Authority(options.tls_directory, *options.tls_name).context if options.tls_name else None
    host = Host(instance, tls=tls, closed=("agent",), agent_at=options.agent, imds_at=options.imds, ecs_at=options.ecs)
    host.script("StartTask", *[answers.THROTTLED] * options.throttle)
    host.agent.open_after(options.agent_after)
    return host


def record(host, stream):
    """Each request as one line of JSON, without its headers: those hold secrets."""
    for request in host.requests:
        line = {
            "service": request.service,
            "operation": request.operation,
            "method": request.method,
            "path": request.path,
            "body": request.body.decode(errors="replace"),
            "status": request.answer.status,
            "at": request.at,
        }
        print(json.dumps(line), file=stream, flush=True)


def main():
    options = arguments()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with play(options) as host:
        print(
            f"ECS_START_TASK_AGENT_URL={host.agent.url}\nAWS_EC2_METADATA_SERVICE_ENDPOINT={host.imds.url}\n"
            f"AWS_ENDPOINT_URL_ECS={host.ecs.url}",
            file=sys.stderr,
            flush=True,
        )
        stop.wait()
        record(host, options.record)
        host.verify()


if __name__ == "__main__":
    main()
