"""Responses of a malicious server: they never end, are not what they claim to be, or need more memory than it seems."""

import gzip
import itertools
import socket
import threading

from .wire import Answer

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
PIECE = 64 * 1024
TASK = b'"Arn":"arn:aws:ecs:us-east-1:123456789012:task/my-cluster/0","Version":"1","KnownStatus":"STOPPED"'


def endless(head, piece, pace=0):
    """The head, then the piece, forever."""

    def pieces():
        return itertools.chain([head], itertools.repeat(piece))

    return Answer(raw=pieces, pace=pace)


def listing(piece, head=b""):
    """A list of tasks that does not end."""
    return endless(OK + b'\r\n{"Tasks":[' + head, piece * (PIECE // len(piece)))


def promising(length, body=b'{"a":1}'):
    """A Content-Length that is not the body's; the connection stays open."""
    return Answer(body=body, headers={"Content-Length": str(length)})


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def redirect(request, _):
    """To itself, forever."""
    return Answer(302, headers={"Location": f"http://{request.headers['Host']}{request.path}"})


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
#: Ten megabytes of spaces in ten kilobytes.
BOMB = gzip.compress(b" " * 10_000_000)
#: A megabyte of elements, each of which takes far more memory than its text.
MANY = b'{"tasks":[],"failures":[%s]}' % b",".join([b"{}"] * 340_000)
LARGE, BROKEN, HEAD, STRANGE = r"larger than", r"cut off", r"(?i)header", r"returned|response"

#: The response, and what must be logged about it.
FAULTS = {
    "endless-body": (endless(OK + b"\r\n", b" " * PIECE), LARGE),
    "endless-text": (endless(OK + b'\r\n{"Tasks":[{"Arn":"', b"x" * PIECE), LARGE),
    "endless-chunks": (endless(CHUNKED, chunk(b" ") * 1000), LARGE),
    "endless-chunk-size": (endless(CHUNKED, b"0" * PIECE), BROKEN),
    "endless-trailers": (endless(CHUNKED + b"0\r\n", b"x: y\r\n" * 1000), BROKEN),
    "endless-headers": (endless(OK, b"x: y\r\n" * 1000), HEAD),
    "endless-header": (endless(OK + b"x: ", b"y" * PIECE), HEAD),
    "endless-interim-answers": (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), HEAD),
    "a-byte-a-second": (endless(b"HTTP/1.1 200 ", b"O", pace=1), r"timed out"),
    "a-byte-of-the-body-a-second": (endless(OK + b"\r\n", b" ", pace=1), r"timeout"),
    "redirects": (redirect, r"302"),
    "gzip-bomb": (Answer(body=BOMB, headers={"Content-Encoding": "gzip"}), STRANGE),
    "invalid-utf-8": (Answer(body=b'{"a":"\xff\xfe\xc3\x28","Cluster":"\xf0\x28\x8c\xbc"}'), STRANGE),
    "invalid-utf-8-in-headers": (Answer(raw=OK + b"Location: \xff\xfe\r\nContent-Length: 2\r\n\r\n{}"), STRANGE),
    "longer-than-it-is": (promising(1000), r"timeout"),
    "shorter-than-it-is": (promising(3), STRANGE),
    "a-length-that-overflows": (promising(2**64), HEAD),
    "two-lengths": (Answer(raw=OK + b"Content-Length: 2\r\nContent-Length: 7\r\n\r\n{}"), HEAD),
    "a-length-and-chunks": (Answer(raw=OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}"), BROKEN),
    "a-huge-chunk": (Answer(raw=CHUNKED + b"ffffffffffffffff\r\n{}"), BROKEN),
    "many-elements": (Answer(body=MANY), LARGE),
}

#: For the agent's list of tasks, which is read as a stream and may be large.
TASKS = {
    "endless-tasks": listing(b"{%s}," % TASK),
    "endless-tasks-of-the-family": listing(b'{%s,"Family":"my_task_def"},' % TASK),
    "endless-containers": listing(b"{},", b'{%s,"Family":"my_task_def","Containers":[' % TASK),
    "endless-names": listing(b"x" * PIECE, b'{"'),
    "endless-depth": listing(b"[" * PIECE),
    "endless-other-members": endless(OK + b"\r\n{", b'"a":1,' * 1000),
}


class Raw:
    """A server that sends bytes, whatever it receives: all at once, or one every `pace` seconds. It closes when the client does."""

    def __init__(self, data=b"", pace=0):
        self.pieces = [data[at : at + 1] for at in range(len(data))] if pace else [data]
        self.pace = pace

    def __enter__(self):
        self.left = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.accept, daemon=True).start()
        return self.listener.getsockname()[1]

    def accept(self):
        while not self.left.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            for piece in self.pieces:
                try:
                    connection.sendall(piece)
                except OSError:
                    return  # the program has enough
                self.left.wait(self.pace)
            self.left.wait()

    def __exit__(self, *_):
        self.left.set()
        self.listener.close()
