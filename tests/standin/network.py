"""A network namespace for a test: its addresses, its default routes, and sockets in it for the stand-ins.

A process in the namespace makes the sockets and hands them over, since a socket belongs to the namespace in which it was
made. The services themselves run in the test's process, and the program enters by `wrapper`.
"""

import json
import os
import socket
import subprocess
import sys

#: The gateway of a default route: nothing is there, and the other end of the link is in the namespace too.
GATEWAYS = {4: ("198.18.0.2/24", "198.18.0.1"), 6: ("fd18::2/64", "fd18::1")}


class Network:
    """`addresses` are this host's, besides 127.0.0.1 and ::1; `default` names the families with a default route."""

    def __init__(self, *addresses, default=()):
        ours, theirs = socket.socketpair()
        as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
        command = ["unshare", *as_root, "--net", sys.executable, __file__, str(theirs.fileno())]
        self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        theirs.close()
        self.helper = ours
        self.ask(setup=setup(addresses, default))
        enter = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        self.wrapper = ["nsenter", f"--target={self.process.pid}", *enter, "--net"]

    def ask(self, **what):
        self.helper.send(json.dumps(what).encode())
        answer, sockets, *_ = socket.recv_fds(self.helper, 4096, 1)
        assert answer == b"done", answer.decode()
        return [socket.socket(fileno=number) for number in sockets]

    def tcp(self, address):
        return self.ask(kind="tcp", address=address)[0]

    def udp(self, address):
        return self.ask(kind="udp", address=address)[0]

    def run(self, *command):
        """A command of `ip`, later than the setup."""
        self.ask(setup=[list(command)])

    def close(self):
        self.helper.close()
        self.process.wait(30)


def setup(addresses, default):
    """Commands of `ip`. Addresses are on the loopback interface, so that they need no link and no neighbour."""
    commands = [["link", "set", "lo", "up"]]
    # Without the wait for duplicates, in which an IPv6 address cannot be bound yet.
    commands += [["address", "add", address, "dev", "lo", *(["nodad"] if ":" in address else [])] for address in addresses]
    if default:
        commands += [["link", "add", "inside", "type", "veth", "peer", "name", "outside"]]
        commands += [["link", "set", name, "up"] for name in ("inside", "outside")]
    for family in default:
        address, gateway = GATEWAYS[family]
        commands += [["address", "add", address, "dev", "inside", *(["nodad"] if family == 6 else [])]]
        commands += [[f"-{family}", "route", "add", "default", "via", gateway, "dev", "inside"]]
    return commands


def main(channel):
    """Inside the namespace: makes the requested sockets until the other end closes."""
    while asked := channel.recv(65536):
        try:
            made = do(json.loads(asked))
            socket.send_fds(channel, [b"done"], [each.fileno() for each in made])
        except (OSError, subprocess.CalledProcessError) as error:
            channel.send(f"{asked.decode()}: {error}".encode())


def do(asked):
    for command in asked.get("setup", ()):
        subprocess.run(["ip", *command], check=True)
    if "kind" not in asked:
        return []
    host, port = asked["address"]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[asked["kind"]])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((host, port))
    return [made]


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
