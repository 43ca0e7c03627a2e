"""A receiver of Sentry envelopes on the loopback: what the SDK sends, as it was sent."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import brotli

#: The SDK takes what is installed; Brotli comes with the HTTP client of the package.
DECODERS: dict[str | None, Callable[[bytes], bytes]] = {
    None: bytes,
    "gzip": gzip.decompress,
    "br": brotli.decompress,
}


@dataclass
class Inbox:
    """Everything that was received so far."""

    dsn: str
    #: Bodies after decompression, for looking at every byte.
    bodies: list[bytes] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def items(self, kind: str) -> list[dict[str, Any]]:
        """Return the payloads of all items of one type, in the order they came."""
        return [payload for body in self.bodies for name, payload in parse(body) if name == kind]

    def events(self, count: int, deadline: float = 20.0) -> list[dict[str, Any]]:
        """Wait until at least ``count`` error events are here, and return all that are."""
        with self.arrived:
            if not self.arrived.wait_for(lambda: len(self.items("event")) >= count, deadline):
                raise AssertionError(f"{len(self.items('event'))} of {count} events came")
        return self.items("event")


def parse(body: bytes) -> Iterator[tuple[str, Any]]:
    """Yield type and payload of every JSON item of an envelope.

    The format: https://develop.sentry.dev/sdk/data-model/envelopes/
    """
    rest = body.partition(b"\n")[2]
    while rest.strip():
        line, _, rest = rest.partition(b"\n")
        header = json.loads(line)
        length = header.get("length", rest.find(b"\n"))
        length = len(rest) if length < 0 else length
        yield header["type"], json.loads(rest[:length])
        rest = rest[length:].removeprefix(b"\n")


@contextmanager
def envelope_receiver() -> Iterator[Inbox]:
    """Run a receiver on a free port; its inbox knows the DSN."""
    inbox = Inbox("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            body = DECODERS[self.headers.get("Content-Encoding")](body)
            with inbox.arrived:
                inbox.bodies.append(body)
                inbox.arrived.notify_all()
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    inbox.dsn = f"http://key@127.0.0.1:{server.server_port}/1"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield inbox
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
