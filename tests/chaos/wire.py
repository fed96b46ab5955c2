"""HTTP for many hosts in one event loop: the stand-in's services, each on its own port, without a thread for each.

The bytes are sent exactly as the Answer says, as in `standin.wire`.
"""

import asyncio
import io
import socket
from http.client import parse_headers

from standin.wire import Request

BACKLOG = 128


class Port:
    """One service for one run, so that the judge knows which run sent a request."""

    def __init__(self, service, exchange):
        self.service, self.exchange = service, exchange
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self.url = "http://127.0.0.1:{}".format(self.socket.getsockname()[1])
        self.connections = set()

    async def open(self):
        self.server = await asyncio.start_server(self.serve, sock=self.socket)
        return self

    async def serve(self, reader, writer):
        self.connections.add(asyncio.current_task())
        try:
            while await self.one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # a client that goes away is part of the play
        finally:
            self.connections.discard(asyncio.current_task())
            writer.close()

    async def one(self, reader, writer):
        """Whether the connection can be used once more."""
        head = io.BytesIO(await reader.readuntil(b"\r\n\r\n"))
        method, path, _ = head.readline().decode().split(" ", 2)
        headers = parse_headers(head)
        body = await reader.readexactly(int(headers.get("Content-Length") or 0))
        answer = await self.exchange(Request(self.service, method, path, headers, body))
        await asyncio.sleep(answer.delay)
        writer.write(answer.raw if answer.raw is not None else whole(answer))
        await writer.drain()
        return answer.raw is None and answer.cut is None

    def close(self):
        self.server.close()
        for connection in list(self.connections):
            connection.cancel()


def whole(answer):
    headers = {"Content-Type": "application/json", "Content-Length": str(len(answer.body))} | answer.headers
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {answer.status} -\r\n{lines}\r\n".encode() + answer.body[: answer.cut]
