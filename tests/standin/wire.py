"""The HTTP of the stand-in: a listener per service, and responses that may be late, truncated, or not HTTP at all.

A listener owns its port from the start and listens only once opened; until then connections are refused, as on a host
whose service is not up yet. The rule: bytes are sent exactly as the Answer says; nothing is corrected.
"""

import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Answer:
    """A response: a status with a body, unless `raw` replaces all of it."""

    status: int = 200
    body: bytes = b""
    headers: dict = field(default_factory=dict)
    cut: int | None = None  # close after so many bytes of the body that Content-Length promised
    delay: float = 0  # seconds before the first byte
    pace: float = 0  # seconds after each piece of raw
    raw: bytes | Callable | None = None  # these bytes instead of a response, or the pieces that it yields; then close

    def __str__(self):
        if callable(self.raw):
            return f"{next(iter(self.raw()))[:40]!r} and so on"
        if self.raw is not None:
            return f"{self.raw[:40]!r} and close" + (f" after {self.delay} s" if self.delay else "")
        return f"{self.status} {self.body[:300].decode(errors='replace')}" + ("" if self.cut is None else f" cut at {self.cut}")


@dataclass
class Request:
    """A request as it arrived, its operation, and the response to it."""

    service: str
    method: str
    path: str
    headers: Message
    body: bytes
    connection: tuple | None = None  # address and port of the client
    at: float = field(default_factory=time.monotonic)
    operation: str | None = None
    answer: Answer | None = None

    def __str__(self):
        body = f" {self.body.decode(errors='replace')}" if self.body else ""
        return f"{self.service}: {self.method} {self.path} [{self.operation}]{body} -> {self.answer}"


class Handler(BaseHTTPRequestHandler):
    """Reads a whole request of any method, gets the response from the listener, and sends it."""

    protocol_version = "HTTP/1.1"

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.exchange
        raise AttributeError(name)

    def setup(self):
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()
        super().setup()

    def exchange(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.server.service, self.command, self.path, self.headers, body, self.client_address)
        self.send(self.server.answer(request))

    def send(self, answer):
        self.server.closing.wait(answer.delay)
        self.close_connection = answer.raw is not None or answer.cut is not None
        if answer.raw is not None:
            for piece in answer.raw() if callable(answer.raw) else [answer.raw]:
                self.wfile.write(piece)
                self.server.closing.wait(answer.pace)
            return
        headers = {"Content-Type": "application/json", "Content-Length": str(len(answer.body))} | answer.headers
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body[: answer.cut])

    def date_time_string(self, timestamp=None):
        return formatdate(time.time() + self.server.clock_offset(), usegmt=True)

    def log_message(self, *_):
        """The requests are kept by the host."""


class Listener(ThreadingHTTPServer):
    """One service on one port, over TLS when given a server's context, in a network namespace when given one."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, service, address, answer, tls=None, clock_offset=lambda: 0, network=None):
        super().__init__(address, Handler, bind_and_activate=False)
        if network:
            self.socket.close()
            self.socket = network.tcp(address)
            self.server_address = self.socket.getsockname()
        self.service, self.answer, self.tls, self.clock_offset = service, answer, tls, clock_offset
        self.closing = threading.Event()
        self.opened = False
        self.drops = 0
        if not network:
            self.server_bind()

    def server_bind(self):
        # HTTPServer's own method looks up the name of the host, which may take seconds.
        socketserver.TCPServer.server_bind(self)

    @property
    def port(self):
        return self.server_address[1]

    @property
    def url(self):
        host = self.server_address[0]
        return f"{'https' if self.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def open(self):
        self.server_activate()
        self.opened = True
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def open_after(self, seconds):
        def wait():
            if not self.closing.wait(seconds):
                self.open()

        threading.Thread(target=wait, daemon=True).start()

    def drop(self, connections):
        """Close the next connections before anything is read from them."""
        self.drops += connections

    def get_request(self):
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls and not self.drops:
            connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def verify_request(self, *_):
        dropped = self.drops > 0
        self.drops -= dropped
        return not dropped

    def handle_error(self, *_):
        """It is normal here that a client disconnects or refuses the certificate."""

    def close(self):
        self.closing.set()
        if self.opened:
            self.shutdown()
        self.server_close()
