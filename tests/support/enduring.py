"""Asks :mod:`.evil` for its answers, and measures what becomes of the process meanwhile.

``python -m tests.support.enduring HTTP_PORT TLS_PORT HTTP2_PORT CA_FILE`` reads lines of a protocol
(``http``, ``https``, ``http2``; ``handshake`` for none), the name of an answer, and how many are
asked for at the same time; prints a line of JSON for each.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import gevent

from django_pushjobs.transport.connections import Connections
from django_pushjobs.transport.exchanges import exchange
from django_pushjobs.transport.http2_errors import HTTP2Error
from django_pushjobs.transport.multiplexing import Multiplexer
from django_pushjobs.transport.requests import http_request

#: Seconds for one answer. No limit of ours takes as long.
TIMEOUT = 30
#: Seconds between two looks at the clock.
_EVERY = 0.005
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Found:
    """What evil answers came to.

    :param answers: each a status, or why there is none.
    :param took: seconds.
    :param stood: seconds of CPU time, the most that this thread used while the hub stood.
    :param delay: seconds, the largest delay of a greenlet that sleeps; a busy machine adds to it.
    :param grown: bytes that the process grew by, at most.
    :param others: good answers meanwhile.
    """

    answers: list[int | str] = field(default_factory=list)
    took: float = 0.0
    stood: float = 0.0
    delay: float = 0.0
    grown: int = 0
    others: int = 0


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


@contextmanager
def watched(found: Found, good: Connections) -> Iterator[None]:
    began = _resident()

    def look() -> None:
        while True:
            at, used = time.monotonic(), time.thread_time()
            gevent.sleep(_EVERY)
            found.stood = max(found.stood, time.thread_time() - used)
            found.delay = max(found.delay, time.monotonic() - at - _EVERY)
            found.grown = max(found.grown, _resident() - began)

    def ask() -> None:
        request = http_request("/good", good.authority, {}, b"")
        while True:
            reply = exchange(good, request, timeout=TIMEOUT, max_response=100)
            assert (reply.answer, reply.body) == (200, b"ok"), reply
            found.others += 1
            gevent.sleep(_EVERY)

    greenlets = [gevent.spawn(look), gevent.spawn(ask)]
    gevent.sleep(2 * _EVERY)
    found.others, began_at = 0, time.monotonic()
    try:
        yield
    finally:
        found.took = time.monotonic() - began_at
        while not found.others:
            gevent.sleep(_EVERY)
        gevent.sleep(10 * _EVERY)
        gevent.killall(greenlets)


def ask_http1(url: str, name: str, ca_file: str | None) -> int | str:
    connections = Connections(url, size=1, connect_timeout=10, ca_file=ca_file)
    request = http_request(f"/{name}", connections.authority, {}, b"{}")
    return exchange(connections, request, timeout=TIMEOUT, max_response=4_096).answer


def ask_http2(port: int, name: str, ca_file: str) -> int | str:
    origin = Multiplexer(
        "127.0.0.1",
        port,
        connections=1,
        connect_timeout=10,
        max_response=4_096,
        ca_file=ca_file,
    )
    try:
        body = b"name=" + name.encode() + b";"
        return origin.post("/", body, headers=[], own=[], timeout=TIMEOUT).status
    except HTTP2Error as error:
        return error.word
    finally:
        origin.close()


def main(http: int, https: int, http2: int, ca_file: str) -> None:
    good = Connections(f"https://127.0.0.1:{https}", size=1, connect_timeout=10, ca_file=ca_file)

    def ask(protocol: str, name: str) -> int | str:
        match protocol:
            case "http":
                return ask_http1(f"http://127.0.0.1:{http}", name, None)
            case "https":
                return ask_http1(f"https://127.0.0.1:{https}", name, ca_file)
            case "handshake":
                return ask_http1(f"https://127.0.0.1:{http}", name, ca_file)
        return ask_http2(http2, name, ca_file)

    for line in sys.stdin:
        protocol, name, count = line.split()
        found = Found()
        with watched(found, good):
            asking = [gevent.spawn(ask, protocol, name) for _ in range(int(count))]
            found.answers = [one.get() for one in asking]
        print(json.dumps(asdict(found)), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), sys.argv[4])
