"""A provider whose answers a test scripts one by one, over TCP or TLS.

It runs in a native thread on blocking sockets and speaks HTTP/1.1 by hand, so that a test can
say exactly which bytes come back, and what becomes of the connection after them.
"""

from __future__ import annotations

import ctypes
import json
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """One request; ``connection`` counts from 1."""

    connection: int
    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Hangup(Exception):
    """Raised by an answer to end its connection."""


#: What answers one request: it may write to the connection, and raise Hangup.
Answer = Callable[[socket.socket], None]


def http(status: int = 200, body: bytes = b"", **headers: str) -> Answer:
    """An ordinary answer; underscores in header names stand for hyphens."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def raw(data: bytes, *, then: Answer | None = None) -> Answer:
    """Send these bytes, and then do ``then``."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(data)
        if then is not None:
            then(connection)

    return answer


def close(connection: socket.socket) -> None:
    """Close the connection."""
    raise Hangup


def reset(connection: socket.socket) -> None:
    """Reset the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Hangup


def silence(connection: socket.socket) -> None:
    """Send nothing until the other side closes the connection."""
    with suppress(OSError):
        while connection.recv(4096):
            pass
    raise Hangup


def lose_packets(sock: socket.socket) -> None:
    """Drop, unseen, whatever arrives for a socket from now on: a classic BPF program that accepts
    0 bytes. On a listener, SYNs are dropped."""
    program = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0))
    filters = struct.pack("@HP", 1, ctypes.addressof(program))
    sock.setsockopt(socket.SOL_SOCKET, 26, filters)  # SO_ATTACH_FILTER


@dataclass
class Provider:
    """A listening server: :attr:`answers` are used one by one, then :attr:`otherwise`: 200."""

    url: str
    answers: deque[Answer] = field(default_factory=deque)
    otherwise: Answer = field(default_factory=lambda: http())
    #: The connections that are open.
    sockets: set[socket.socket] = field(default_factory=set)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    closed: int = 0
    #: Notified when a request has been read, and when a connection has been closed.
    noticed: threading.Condition = field(default_factory=threading.Condition)

    def script(self, *answers: Answer) -> None:
        self.answers.extend(answers)

    def wait_for_close(self, count: int) -> None:
        """Return once we have closed ``count`` connections."""
        with self.noticed:
            assert self.noticed.wait_for(lambda: self.closed >= count, timeout=10)

    def serve(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError, Hangup), connection, connection.makefile("rb") as stream:
            while request := _read(stream, number):
                with self.noticed:
                    answer = self.answers.popleft() if self.answers else self.otherwise
                    self.requests.append(request)
                    self.noticed.notify_all()
                answer(connection)
        with self.noticed:
            self.closed += 1
            self.noticed.notify_all()


def _read(stream: Any, number: int) -> Request | None:
    line = stream.readline().decode("latin-1").rstrip()
    if not line:
        return None
    headers = {}
    while field_line := stream.readline().decode("latin-1").rstrip():
        name, _, value = field_line.partition(": ")
        headers[name.lower()] = value
    body = stream.read(int(headers.get("content-length", 0)))
    return Request(number, line, headers, body)


@contextmanager
def provider(*, tls: ssl.SSLContext | None = None) -> Iterator[Provider]:
    """Run a provider on a free port of the loopback interface."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    scheme = "https" if tls else "http"
    server = Provider(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/messages")
    open_connections = server.sockets

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                server.connections += 1
                threading.Thread(
                    target=run, args=(connection, server.connections), daemon=True
                ).start()

    def run(connection: socket.socket, number: int) -> None:
        with suppress(OSError):
            if tls:
                connection = tls.wrap_socket(connection, server_side=True)
            open_connections.add(connection)
            server.serve(connection, number)
            open_connections.discard(connection)

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield server
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(10)
        for connection in list(open_connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
