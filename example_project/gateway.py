"""A gateway to push to: ``python -m example_project.gateway --latency-ms 50``.

It stands in for a provider and is the independent witness of what was sent. It prints its URL as
one line once it listens, and speaks HTTP/1.1 with keep-alive:

==================  =======================================================================
``POST /messages``  takes a JSON object with an ``id``; answers ``{"id": "<gateway id>"}``
                    after the latency, or fails as ``--errors`` says. A message that is sent
                    ``to`` an address such as ``simulate:410`` fails in exactly that way.
``GET /stats``      the counters as JSON, explained at :class:`.Witness`
``GET /ids``        every id it received -> how often it took a message with that id
``GET /requests``   every ``request_id`` it received -> the number of distinct ids with it
``POST /control``   changes ``latency_ms``, ``jitter_ms``, ``errors``, ``retry_after``
``POST /reset``     forgets all ids and counters
==================  =======================================================================

One process with one thread: an asyncio protocol class parses by hand the little HTTP it needs,
and its clock is finer than asyncio's, because the simulator must never be the bottleneck of a
measurement.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import select
import selectors
import signal
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from .faults import HANG, LOST, OK, RESET, FaultMix, is_fault
from .witness import Journal, Witness

MAX_HEAD = 65_536
MAX_BODY = 1_048_576
#: A message to this prefix followed by a fault fails in that way.
SIMULATE = "simulate:"


@dataclass(slots=True)
class Behaviour:
    """How it answers: latency and jitter in milliseconds, ``retry_after`` in seconds."""

    latency_ms: float = 50.0
    jitter_ms: float = 0.0
    retry_after: int = 1
    faults: FaultMix = field(default_factory=lambda: FaultMix({}))

    def delay(self) -> float:
        """Return the seconds until the next answer."""
        return (self.latency_ms + self.jitter_ms * random.random()) / 1_000

    def fate(self, to: str) -> str:
        """Return how a message to the address ``to`` ends: ``ok`` or a fault."""
        if to.startswith(SIMULATE) and is_fault(fault := to[len(SIMULATE) :]):
            return fault
        return self.faults.choose()

    def change(self, values: Any) -> None:
        """Apply new values, all or none.

        :raises ValueError: one of them is unknown or invalid; the message says which.
        """
        if not isinstance(values, dict):
            raise ValueError("the body must be a JSON object")
        changes: dict[str, Any] = {}
        for name, value in values.items():
            if name == "errors":
                changes["faults"] = (
                    FaultMix.parse(value) if isinstance(value, str) else FaultMix(value)
                )
            elif name not in ("latency_ms", "jitter_ms", "retry_after"):
                raise ValueError(f"there is no setting called {name!r}")
            elif isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"{name} must be a number")
            elif not 0 <= value < math.inf:
                raise ValueError(f"{name} must be 0 or more")
            else:
                changes[name] = value
        for name, value in changes.items():
            setattr(self, name, value)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings by the names of ``POST /control``."""
        return {
            "latency_ms": self.latency_ms,
            "jitter_ms": self.jitter_ms,
            "retry_after": self.retry_after,
            "errors": self.faults.shares,
        }


class Gateway:
    """The state of the simulator, shared by its connections."""

    def __init__(self, behaviour: Behaviour, journal: Journal | None = None) -> None:
        self.behaviour = behaviour
        self.journal = journal
        self.witness = Witness(journal)
        #: Connections that sent a message: open now, and opened since the last reset.
        self.connections = 0
        self.connections_opened = 0

    def stats(self) -> dict[str, Any]:
        """Return what ``GET /stats`` shows."""
        return self.witness.stats() | {
            "connections": self.connections,
            "connections_opened": self.connections_opened,
        }

    def reset(self) -> None:
        """Forget everything, even the messages in flight: their end is not counted."""
        if self.journal:
            self.journal.clear()
        self.witness = Witness(self.journal)
        self.connections_opened = 0


class Connection(asyncio.Protocol):
    """One connection: each request is answered before the next one is read."""

    def __init__(self, gateway: Gateway, loop: asyncio.AbstractEventLoop) -> None:
        self.gateway = gateway
        self.loop = loop
        self.buffer = b""
        #: How the message in flight on this connection ends, if there is one.
        self.fate = ""
        #: The witness that counts it; after a reset, the next message has a new one.
        self.witness = gateway.witness
        self.sends_messages = False
        self.keep_alive = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self.fate == HANG:
            self.decide()
        if self.sends_messages:
            self.gateway.connections -= 1

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        while self.buffer and not self.fate and not self.transport.is_closing():
            if not self.read_request():
                return

    def read_request(self) -> bool:
        """Answer one request; return False if it has not arrived completely."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self.buffer) > MAX_HEAD:
                self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the head is too long")
            return False
        head = self.buffer[:end].lower()
        try:
            length = content_length(head)
        except ValueError as error:
            self.refuse(HTTPStatus.BAD_REQUEST, str(error))
            return False
        if length > MAX_BODY:
            self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too long")
            return False
        start, stop = end + 4, end + 4 + length
        if len(self.buffer) < stop:
            if len(self.buffer) == start and b"\r\nexpect: 100-continue" in head:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return False
        body, request_line = self.buffer[start:stop], self.buffer[: self.buffer.find(b"\r\n")]
        self.buffer = self.buffer[stop:]
        self.keep_alive = (
            b"\r\nconnection: close" not in head and b"http/1.0" not in request_line.lower()
        )
        if request_line.startswith(b"POST /messages "):
            self.message(body)
        else:
            self.other(request_line, body)
        return True

    def message(self, body: bytes) -> None:
        if not self.sends_messages:
            self.sends_messages = True
            self.gateway.connections += 1
            self.gateway.connections_opened += 1
        try:
            message = json.loads(body)
            message_id, to = message["id"], message.get("to", "")
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            message_id = to = None
        if not isinstance(message_id, str) or not isinstance(to, str):
            error = 'a message is a JSON object with a string "id" and a string "to"'
            self.answer(HTTPStatus.BAD_REQUEST, {"error": error})
            return
        self.witness = self.gateway.witness
        self.witness.receive(message_id, str(message.get("request_id", "")))
        self.fate = self.gateway.behaviour.fate(to)
        if self.fate != HANG:
            # It goes on even if the client disconnects, as a provider's work would.
            self.loop.call_later(self.gateway.behaviour.delay(), self.settle, message_id)

    def settle(self, message_id: str) -> None:
        """End a message as was decided at its arrival."""
        fate = self.fate
        if fate in (OK, LOST):
            self.witness.take(message_id)
        self.decide()
        if fate == OK:
            self.answer(HTTPStatus.OK, {"id": f"gw-{message_id}"})
        elif fate in (RESET, LOST):
            self.transport.abort()
        else:
            self.answer(int(fate), {"error": f"simulated {fate}"})
        if self.buffer:
            self.data_received(b"")

    def decide(self) -> None:
        self.witness.decide("200" if self.fate == OK else self.fate)
        self.fate = ""

    def other(self, request_line: bytes, body: bytes) -> None:
        gateway = self.gateway
        match request_line.split(b" ")[:2]:
            case [b"GET", b"/stats"]:
                self.answer(HTTPStatus.OK, gateway.stats())
            case [b"GET", b"/ids"]:
                self.answer(HTTPStatus.OK, gateway.witness.ids)
            case [b"GET", b"/requests"]:
                self.answer(HTTPStatus.OK, gateway.witness.requests)
            case [b"POST", b"/reset"]:
                gateway.reset()
                self.answer(HTTPStatus.OK, gateway.stats())
            case [b"POST", b"/control"]:
                try:
                    gateway.behaviour.change(json.loads(body))
                except (ValueError, AttributeError) as error:
                    self.answer(HTTPStatus.BAD_REQUEST, {"error": str(error)})
                else:
                    self.answer(HTTPStatus.OK, gateway.behaviour.as_dict())
            case _:
                self.answer(HTTPStatus.NOT_FOUND, {"error": "not found"})

    def refuse(self, status: HTTPStatus, reason: str) -> None:
        self.keep_alive = False
        self.answer(status, {"error": reason})

    def answer(self, status: int, content: Any) -> None:
        if self.transport.is_closing():
            return
        body = json.dumps(content).encode()
        extra = ""
        if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            extra = f"Retry-After: {self.gateway.behaviour.retry_after}\r\n"
        if not self.keep_alive:
            extra += "Connection: close\r\n"
        head = (
            f"HTTP/1.1 {REASONS.get(status, status)}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n{extra}\r\n"
        )
        self.transport.write(head.encode() + body)
        if not self.keep_alive:
            self.transport.close()


#: Status -> what the status line says.
REASONS = {int(status): f"{status.value} {status.phrase}" for status in HTTPStatus}


def content_length(head: bytes) -> int:
    """Return the length of the body that a head in lower case announces.

    :raises ValueError: the body is chunked, or the length is not a number.
    """
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        if b"\r\ntransfer-encoding:" in head:
            raise ValueError("send a Content-Length instead of chunks")
        return 0
    start = at + len(b"\r\ncontent-length:")
    stop = head.find(b"\r\n", start)
    text = head[start : stop if stop >= 0 else len(head)].strip()
    if not text.isdigit():
        raise ValueError("Content-Length is not a number")
    return int(text)


class FineSelector(selectors.DefaultSelector):
    """Waits with a resolution of microseconds.

    epoll counts in milliseconds, and Python rounds up: if many answers are due one after another,
    each would be half a millisecond late on average.
    """

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0:
            # The descriptor of an epoll or a kqueue is readable as soon as one of those in it is.
            select.select([self.fileno()], (), (), timeout)
            timeout = 0
        return super().select(timeout)


async def serve(
    gateway: Gateway,
    host: str,
    port: int,
    tls: ssl.SSLContext | None,
    ready: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or SIGINT; call ``ready`` with the URL once it listens."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopped.set)
    server = await loop.create_server(
        lambda: Connection(gateway, loop), host, port, ssl=tls, backlog=4_096
    )
    scheme = "https" if tls else "http"
    ready(f"{scheme}://{host}:{server.sockets[0].getsockname()[1]}")
    await stopped.wait()
    server.close()


def fine_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop with that selector."""
    return asyncio.SelectorEventLoop(FineSelector())


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m example_project.gateway", description="A push gateway to test against."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--port",
        type=int,
        default=8081,
        help="port to listen on; 0 for a free one (default: %(default)s)",
    )
    parser.add_argument(
        "--latency-ms",
        type=float,
        default=50.0,
        help="time until each answer (default: %(default)s)",
    )
    parser.add_argument(
        "--jitter-ms", type=float, default=0.0, help="random extra latency, at most"
    )
    parser.add_argument(
        "--retry-after",
        type=int,
        default=1,
        help="seconds in the Retry-After of 429 and 503 (default: %(default)s)",
    )
    parser.add_argument(
        "--errors",
        type=fault_mix,
        default=FaultMix({}),
        metavar="FAULT:SHARE,...",
        help="share of the messages that fail in each way, such as "
        "500:0.05,429:0.01,reset:0.01,lost:0.01,hang:0.001",
    )
    parser.add_argument("--seed", help="make the choice of faults repeatable")
    parser.add_argument(
        "--journal", type=Path, help="file for the ids it takes: if it is killed, it goes on there"
    )
    parser.add_argument("--certfile", help="serve TLS with this certificate chain")
    parser.add_argument("--keyfile", help="the private key, if not in the same file")
    return parser


def fault_mix(text: str) -> FaultMix:
    """Parse ``--errors``; argparse shows the message of this error only."""
    try:
        return FaultMix.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def main() -> None:
    given = options().parse_args()
    if given.seed is not None:
        random.seed(given.seed)
    tls = None
    if given.certfile:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(given.certfile, given.keyfile)
    behaviour = Behaviour(given.latency_ms, given.jitter_ms, given.retry_after, given.errors)
    journal = Journal(given.journal) if given.journal else None
    with asyncio.Runner(loop_factory=fine_loop) as runner:
        runner.run(
            serve(
                *(Gateway(behaviour, journal), given.host, given.port, tls),
                lambda url: print(url, flush=True),
            )
        )


if __name__ == "__main__":
    main()
