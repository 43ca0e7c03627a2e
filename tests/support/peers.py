"""A fast HTTP/1.1 server over TCP or TLS for peers that speak a provider's protocol.

It runs on asyncio in a thread of its own, or in a process of its own for the benchmarks.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import responses
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    """``late`` is a delay in seconds. Instead of answering, ``reset`` resets the connection,
    ``silent`` says nothing, and ``raw`` is written as it is, after which the connection is closed.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    reset: bool = False
    late: float = 0.0
    silent: bool = False
    raw: bytes = b""


def as_json(status: int, told: object, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(told).encode(), {"Content-Type": "application/json", **named})


RESET = Reply(reset=True)
SILENCE = Reply(silent=True)

Service = Callable[[Request], Reply]


class _Connection(asyncio.Protocol):
    def __init__(self, service: Service, latency: float) -> None:
        self.service, self.latency = service, latency
        self.buffer = bytearray()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        line, *fields = self.buffer[:end].decode("latin-1").split("\r\n")
        headers = {}
        for one in fields:
            name, _, value = one.partition(": ")
            headers[name.lower()] = value
        size = int(headers.get("content-length", 0))
        start = end + 4
        if len(self.buffer) < start + size:
            return
        body = bytes(self.buffer[start : start + size])
        del self.buffer[: start + size]
        method, path, _ = line.split(" ")
        reply = self.service(Request(method, path, headers, body))
        if reply.silent:
            return
        wait = self.latency + reply.late
        if wait:
            asyncio.get_running_loop().call_later(wait, self.answer, reply)
        else:
            self.answer(reply)

    def answer(self, reply: Reply) -> None:
        if reply.reset:
            self.transport.abort()
            return
        if reply.raw:
            self.transport.write(reply.raw)
            self.transport.close()
            return
        lines = [f"HTTP/1.1 {reply.status} {responses.get(reply.status, 'Whatever')}"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        lines += [f"Content-Length: {len(reply.body)}", "", ""]
        self.transport.write("\r\n".join(lines).encode("latin-1") + reply.body)


async def serve(
    service: Service, started: Callable[[int], None], *, tls: ssl.SSLContext, latency: float = 0.0
) -> None:
    """Answer on a free port of the loopback interface, until it is canceled."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Connection(service, latency), "127.0.0.1", 0, ssl=tls, backlog=1_024
    )
    started(server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()


@contextmanager
def running(service: Service, *, tls: ssl.SSLContext, latency: float = 0.0) -> Iterator[int]:
    """Serve in a thread; yields the port."""
    ports: list[int] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()

    def started(port: int) -> None:
        ports.append(port)
        ready.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        finally:
            loop.run_until_complete(asyncio.sleep(0.05))
            loop.close()

    task = loop.create_task(serve(service, started, tls=tls, latency=latency))
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(10)
