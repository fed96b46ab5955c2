"""What a proxy receives, byte by byte: a CONNECT for the endpoint, the proxy's password, and nothing that is meant for ECS.

The proxy is a socket that records what it reads and sends scripted responses. ECS is always reached through a tunnel, whatever
the scheme of the endpoint.
"""

import base64
import re
import socket
import threading

import pytest

REFUSES = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"


class Proxy:
    """Responds to every request with the same bytes and closes."""

    def __init__(self, answer):
        self.answer, self.received = answer, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.received.append(read_head(connection))
                connection.sendall(self.answer)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def read_head(connection):
    """Everything up to the empty line, and whatever came with it."""
    head = b""
    while b"\r\n\r\n" not in head and (more := connection.recv(65536)):
        head += more
    return head.decode()


@pytest.fixture
def proxy():
    opened = Proxy(REFUSES)
    yield opened
    opened.close()


def asked(program, **settings):
    return program.run(ECS_START_TASK_TIMEOUT="1s", verbosity=None, **settings)


@pytest.mark.parametrize(
    ("endpoint", "target"),
    [
        (None, "ecs.us-east-1.amazonaws.com:443"),
        ("https://vpce.test", "vpce.test:443"),
        ("https://vpce.test:8443/ecs", "vpce.test:8443"),
        ("https://[fd00::1]:8443", "[fd00::1]:8443"),
        ("http://ecs.test", "ecs.test:80"),
        ("http://ecs.test:4566", "ecs.test:4566"),
    ],
)
def test_the_proxy_is_asked_for_a_tunnel_and_told_nothing_else(endpoint, target, proxy, program):
    outcome = asked(program, AWS_ENDPOINT_URL_ECS=endpoint, HTTPS_PROXY=proxy.address, HTTP_PROXY=proxy.address)
    assert outcome.status == 69 and proxy.received
    for head in proxy.received:
        line, *headers, empty, body = head.split("\r\n")
        assert (line, empty, body) == (f"CONNECT {target} HTTP/1.1", "", "")
        names = {header.partition(":")[0].lower() for header in headers}
        assert "host" in names and names <= {"host", "user-agent", "proxy-connection"}
        assert f"host: {target}" in {header.lower() for header in headers}
    assert not [request for request in program.host.asked() if request.service == "ecs"]


@pytest.mark.parametrize(
    ("user", "sent"),
    [("operator:open-sesame", "operator:open-sesame"), ("domain%5Coperator:open%40sesame%3A", "domain\\operator:open@sesame:")],
)
def test_the_proxy_gets_its_password_as_it_was_meant(user, sent, proxy, program):
    outcome = asked(program, AWS_ENDPOINT_URL_ECS=None, HTTPS_PROXY=f"http://{user}@{proxy.address}")
    expected = base64.b64encode(sent.encode()).decode()
    assert re.search(rf"(?im)^proxy-authorization: Basic {re.escape(expected)}\r$", proxy.received[0])
    assert "sesame" not in outcome.said and expected not in outcome.said


def test_a_refusal_for_a_plain_http_endpoint_says_that_a_tunnel_was_asked_for(proxy, program):
    outcome = asked(program, AWS_ENDPOINT_URL_ECS="http://ecs.test", HTTP_PROXY=proxy.address)
    assert "CONNECT failed: proxy server responded 403" in outcome.stderr
    assert re.search(r"allow CONNECT to ecs\.test:80|https endpoint", outcome.stderr)


@pytest.mark.parametrize("value", ["HTTP://{}", "Http://{}/", "http://{}"])
def test_a_scheme_may_be_in_capitals(value, proxy, program):
    asked(program, AWS_ENDPOINT_URL_ECS=None, HTTPS_PROXY=value.format(proxy.address))
    assert proxy.received
