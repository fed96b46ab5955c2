"""proxy.py, a real forward proxy, as the host's only route to the outside.

Each request is recorded as "METHOD host:port" and forwarded to the stand-in's ECS port, whatever its name, so that the client can
use the real endpoint of its Region.
"""

import os
import subprocess
import sys
import time

from proxy.http.proxy import HttpProxyBasePlugin

RECORD, UPSTREAM = "WAY_OUT_RECORD", "WAY_OUT_UPSTREAM"
MOST_SECONDS = 30


class Passage(HttpProxyBasePlugin):
    """Runs inside proxy.py."""

    def before_upstream_connection(self, request):
        with open(os.environ[RECORD], "a") as record:
            record.write(f"{request.method.decode()} {request.host.decode()}:{request.port}\n")
        request.host, request.port = b"127.0.0.1", int(os.environ[UPSTREAM])
        return request


class WayOut:
    """The running proxy; `options` are proxy.py's own, `tls` is the authority whose certificate it has."""

    def __init__(self, directory, upstream, *options, tls=None):
        self.record = directory / "way-out"
        self.record.touch()
        port_file = directory / "way-out.port"
        environment = {
            "PATH": os.defpath,
            "HOME": str(directory),
            RECORD: str(self.record),
            UPSTREAM: str(upstream.port),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        command = [
            sys.executable,
            "-m",
            "proxy",
            "--hostname",
            "127.0.0.1",
            "--port",
            "0",
            "--port-file",
            str(port_file),
            "--num-acceptors",
            "1",
            "--num-workers",
            "1",
            "--log-level",
            "e",
            "--plugins",
            f"{__name__}.Passage",
            *options,
            *(self.with_tls(tls, directory) if tls else ()),
        ]
        self.process = subprocess.Popen(command, env=environment, cwd=directory)
        self.address = f"127.0.0.1:{self.wait_for(port_file)}"

    def with_tls(self, authority, directory):
        certificate, key = directory / "way-out.pem", directory / "way-out-key.pem"
        authority.issued.cert_chain_pems[0].write_to_path(certificate)
        authority.issued.private_key_pem.write_to_path(key)
        return "--cert-file", str(certificate), "--key-file", str(key)

    def wait_for(self, port_file):
        deadline = time.monotonic() + MOST_SECONDS
        while not (port_file.exists() and port_file.read_text().strip()):
            assert self.process.poll() is None and time.monotonic() < deadline, "proxy.py did not start"
            time.sleep(0.02)
        return port_file.read_text().strip()

    def passed(self):
        return self.record.read_text().splitlines()

    def close(self):
        self.process.terminate()
        self.process.wait(MOST_SECONDS)
