"""A caller of the web server, who may be anybody."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

from .ledger import Ledger

MOUNT = "/api/v1"
PUSH_REQUESTS = f"{MOUNT}/push-requests"
#: Seconds for one answer.
TIMEOUT = 60
#: Seconds between two connections that are held.
PAUSE = 0.005


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """Calls over one connection that is kept alive. One thread at a time may use it.

    :param address: host and port of the web server.
    :param headers: sent with every call, such as a key.
    """

    def __init__(self, address: str, headers: dict[str, str], ledger: Ledger) -> None:
        self.address = address
        self.headers = {"Content-Type": "application/json", **headers}
        self.ledger = ledger
        self._connection: HTTPConnection | None = None

    def twin(self) -> Caller:
        """Return the same caller with a connection of its own."""
        return Caller(self.address, self.headers, self.ledger)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Make a call of ours, and note its answer. ``path`` is below ``/api/v1`` unless it starts
        with ``/api``; ``body`` is sent as JSON, or unchanged if it is bytes."""
        path = path if path.startswith("/api") else MOUNT + path
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self._ask(method, path, data, self.headers | named)
        self.ledger.judge(
            f"{method} {path}", answer.status, answer.headers, answer.body, ours=method != "HEAD"
        )
        return answer

    def _ask(self, method: str, path: str, data: Any, headers: dict[str, str]) -> Answer:
        for is_last in (False, True):
            if self._connection is None:
                self._connection = HTTPConnection(self.address, timeout=TIMEOUT)
            try:
                self._connection.request(method, path, data, headers)
                response = self._connection.getresponse()
                found = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status, found, response.read())
            except (OSError, HTTPException):
                # The server may close an idle connection at any time.
                self.close()
                if is_last:
                    raise
        raise AssertionError

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def head(self, method: str, path: str, **headers: str) -> bytes:
        """Return the head of a call as bytes, without the empty line at its end."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{name}: {value}" for name, value in (self.headers | named).items()]
        return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {self.address}", *lines]).encode()

    def dial(self) -> socket.socket:
        """Return a new connection, for calls that are no HTTP any more."""
        host, port = self.address.split(":")
        return socket.create_connection((host, int(port)), timeout=TIMEOUT)

    @contextmanager
    def held(self, data: bytes, count: int) -> Iterator[list[socket.socket]]:
        """Lend ``count`` connections over which ``data`` was sent, and note how each was answered
        meanwhile."""
        lines: list[socket.socket] = []
        try:
            for _ in range(count):
                time.sleep(PAUSE)
                line = self.dial()
                line.sendall(data)
                lines.append(line)
            yield lines
        finally:
            for line in lines:
                self._note(line)
                line.close()

    def _note(self, line: socket.socket) -> None:
        line.settimeout(0.0)
        try:
            data = line.recv(65_536)
        except OSError:
            return
        head, _, body = data.partition(b"\r\n\r\n")
        words = head.split(b" ", 2)
        if len(words) == 3 and words[1].isdigit():
            self.ledger.judge("a held connection", int(words[1]), {}, body)
