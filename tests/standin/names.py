"""A name server with a given response for each family: addresses, an error code, or nothing at all."""

import socket
import struct
import threading
from contextlib import suppress

CODES = {"FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5}
FAMILIES = {1: ("A", socket.AF_INET), 28: ("AAAA", socket.AF_INET6)}
SILENT = None


class NameServer:
    """`names` maps a name to the responses for A and for AAAA; for any other name it is NXDOMAIN."""

    def __init__(self, udp, names):
        self.socket, self.names, self.asked = udp, names, []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with suppress(OSError):
            while query := self.socket.recvfrom(512):
                if query[0] and (answer := self.answer(query[0])) is not None:
                    self.socket.sendto(answer, query[1])

    def answer(self, query):
        name, end = read_name(query, 12)
        kind, _ = struct.unpack("!HH", query[end : end + 4])
        family, number = FAMILIES[kind]
        self.asked.append((name, family))
        said = self.names.get(name, {}).get(family, [] if name in self.names else "NXDOMAIN")
        if said is SILENT:
            return None
        addresses, code = (said, 0) if isinstance(said, list) else ([], CODES[said])
        # A response, recursion available; the question again; each address by a pointer to the name in the question.
        head = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(addresses), 0, 0)
        packed = [socket.inet_pton(number, address) for address in addresses]
        records = [struct.pack("!HHHIH", 0xC00C, kind, 1, 60, len(each)) + each for each in packed]
        return head + query[12 : end + 4] + b"".join(records)

    def close(self):
        """Shut down first: that wakes the thread, which a close alone does not."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def read_name(message, at):
    """The name at this place, and where it ends."""
    labels = []
    while length := message[at]:
        labels.append(message[at + 1 : at + 1 + length].decode().lower())
        at += 1 + length
    return ".".join(labels), at + 1
