"""HTTP/1.1 connections that are dead and do not say so, and hosts some of whose addresses are."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from weakref import WeakSet

import gevent
import gevent.pool
import pytest
from gevent import Timeout

from django_pushjobs.transport.connections import Connections
from django_pushjobs.transport.exchanges import Reply, exchange
from django_pushjobs.transport.requests import http_request
from tests.support.provider import (
    Hangup,
    Provider,
    close,
    http,
    lose_packets,
    provider,
    raw,
    reset,
    silence,
)


@pytest.fixture
def gateway() -> Iterator[Provider]:
    with provider() as running:
        yield running


@pytest.fixture
def connections(gateway: Provider) -> Iterator[Connections]:
    made = Connections(gateway.url, size=50, connect_timeout=5)
    yield made
    made.close()


def post(connections: Connections, key: object = 0, **options: Any) -> Reply:
    settings: dict[str, Any] = {"timeout": 15, "max_response": 100, "idempotent": True}
    request = http_request("/", connections.authority, {"Idempotency-Key": f'"{key}"'}, b"{}")
    return exchange(connections, request, **settings | options)


def burst(gateway: Provider, connections: Connections, count: int = 40) -> None:
    """Fill the pool with ``count`` connections."""
    together = threading.Barrier(count)

    def answer(connection: socket.socket) -> None:
        together.wait(20)
        http()(connection)

    gateway.script(*[answer] * count)
    pool = gevent.pool.Pool(count)
    assert {reply.answer for reply in pool.map(lambda _: post(connections), range(count))} == {200}
    assert gateway.connections == count


def test_one_push_after_a_nat_has_forgotten_a_burst(
    gateway: Provider, connections: Connections
) -> None:
    burst(gateway, connections)
    forgotten = set(gateway.sockets)
    gateway.otherwise = lambda conn: reset(conn) if conn in forgotten else http()(conn)
    began = len(gateway.requests)
    assert [post(connections).answer for _ in range(3)] == [200] * 3
    assert len(gateway.requests) - began == 4, "one connection was lost, and no other was tried"
    assert gateway.connections == 41


def test_one_push_after_the_packets_of_a_burst_vanish(
    gateway: Provider, connections: Connections
) -> None:
    burst(gateway, connections)
    for sock in gateway.sockets:
        lose_packets(sock)
    began = time.monotonic()
    assert post(connections).answer == 200
    assert time.monotonic() - began < 5
    assert gateway.connections == 41
    assert gateway.requests[-1].connection == 41


def test_a_loss_is_no_failure_to_connect(gateway: Provider, connections: Connections) -> None:
    """ETIMEDOUT after the request was sent: the peer may have it."""
    post(connections)
    for sock in gateway.sockets:
        lose_packets(sock)
    assert post(connections, idempotent=False).answer == "connection_lost"


def test_a_server_that_closes_at_the_worst_moment(
    gateway: Provider, connections: Connections
) -> None:
    chance = random.Random(1)
    used: WeakSet[socket.socket] = WeakSet()

    def answer(conn: socket.socket) -> None:
        if conn in used and chance.random() < 0.2:
            (close if chance.random() < 0.5 else reset)(conn)
        used.add(conn)
        http()(conn)
        if chance.random() < 0.3:
            time.sleep(chance.random() * 0.003)
            raise Hangup  # with a request in the buffer, perhaps: that is a RST

    gateway.otherwise = answer
    pool = gevent.pool.Pool(8)

    def one(number: int) -> tuple[int | str, float]:
        began = time.monotonic()
        gevent.sleep(chance.random() * 0.004)
        return post(connections, number).answer, time.monotonic() - began

    results = list(pool.imap_unordered(one, range(1_000)))
    assert Counter(answer for answer, _ in results) == {200: 1_000}
    assert max(seconds for _, seconds in results) < 5


@pytest.mark.parametrize("end", [close, reset])
def test_what_the_peer_cannot_recognize_is_not_sent_again(
    gateway: Provider, connections: Connections, end: Any
) -> None:
    gateway.script(http(), end)
    post(connections)
    assert post(connections, idempotent=False).answer == "connection_lost"
    assert len(gateway.requests) == 2


def test_an_answer_that_has_begun_is_not_asked_for_again(
    gateway: Provider, connections: Connections
) -> None:
    gateway.script(http(), raw(b"HTTP/1.1 20", then=reset))
    post(connections)
    assert post(connections).answer == "connection_lost"
    assert len(gateway.requests) == 2


def test_a_peer_that_says_it_waited_too_long_for_a_request(
    gateway: Provider, connections: Connections
) -> None:
    gateway.script(http(), http(408), http(), http(408), http(408))
    assert [post(connections).answer for _ in range(3)] == [200, 200, 408]


def test_idle_connections_have_an_age(gateway: Provider) -> None:
    connections = Connections(gateway.url, size=5, connect_timeout=5, keep_alive=0.1)
    post(connections)
    post(connections)
    assert gateway.connections == 1
    gevent.sleep(0.15)
    post(connections)
    assert gateway.connections == 2
    connections.close()


@pytest.mark.parametrize(
    ("announced", "pause", "count"),
    [("timeout=1", 0, 2), ("timeout=2, max=9", 1.1, 2), ("timeout=9", 1.1, 1), ("max=9", 0, 1)],
)
def test_the_peer_may_announce_a_shorter_one(
    gateway: Provider, connections: Connections, announced: str, pause: float, count: int
) -> None:
    gateway.script(http(Keep_Alive=announced))
    post(connections)
    gevent.sleep(pause)
    post(connections)
    assert gateway.connections == count


def test_sockets_notice_that_the_other_side_is_gone(
    gateway: Provider, connections: Connections
) -> None:
    post(connections)
    (_, sock), *_ = connections._pool()._idle
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 3_000


# Connecting.


def at(*hosts: str) -> Callable[[str, int], list[Any]]:
    """Look-ups give these addresses."""

    def resolve(_: str, port: int) -> list[Any]:
        families = [socket.AF_INET6 if ":" in host else socket.AF_INET for host in hosts]
        return [
            (family, socket.SOCK_STREAM, 6, "", (host, port))
            for family, host in zip(families, hosts, strict=True)
        ]

    return resolve


@pytest.fixture
def black_hole(gateway: Provider) -> Iterator[str]:
    """An address that drops SYNs to the port of the gateway."""
    with socket.create_server(("127.0.0.2", _port(gateway))) as listener:
        lose_packets(listener)
        yield "127.0.0.2"


@pytest.fixture
def black_hole_too(gateway: Provider) -> Iterator[str]:
    with socket.create_server(("127.0.0.6", _port(gateway))) as listener:
        lose_packets(listener)
        yield "127.0.0.6"


@pytest.fixture
def mute(gateway: Provider) -> Iterator[str]:
    """An address that takes connections and says nothing."""
    with socket.create_server(("127.0.0.3", _port(gateway))):
        yield "127.0.0.3"


def _port(gateway: Provider) -> int:
    return int(gateway.url.rsplit(":", 1)[1].split("/")[0])


def test_the_next_address_does_not_wait_for_the_first(
    gateway: Provider, black_hole: str, black_hole_too: str
) -> None:
    resolve = at(black_hole, "127.0.0.4", black_hole_too, "127.0.0.1")
    connections = Connections(gateway.url, size=50, connect_timeout=5, resolve=resolve)
    pool = gevent.pool.Pool(20)
    began = time.monotonic()
    replies = pool.map(lambda _: post(connections, timeout=4), range(20))
    assert {reply.answer for reply in replies} == {200}
    assert time.monotonic() - began < 3
    began = time.monotonic()
    connections._pool().empty()
    assert post(connections).answer == 200
    assert time.monotonic() - began < 0.2, "those that failed are the last to be tried"
    connections.close()


def test_every_address_is_tried_with_its_own_limit(
    gateway: Provider, black_hole: str, black_hole_too: str
) -> None:
    resolve = at(black_hole, black_hole_too)
    connections = Connections(gateway.url, size=1, connect_timeout=0.3, resolve=resolve)
    assert post(connections).answer == "connect_timeout"
    resolve = at("127.0.0.5", black_hole)
    connections = Connections(gateway.url, size=1, connect_timeout=0.3, resolve=resolve)
    assert post(connections).answer == "unreachable"


@pytest.mark.parametrize("kind", [Timeout, OSError, TimeoutError])
def test_a_timer_is_not_taken_for_an_address_that_fails(
    gateway: Provider, black_hole: str, black_hole_too: str, kind: Any
) -> None:
    for hosts in [(black_hole,), (black_hole, black_hole_too)]:
        connections = Connections(gateway.url, size=1, connect_timeout=5, resolve=at(*hosts))
        limit = Timeout(0.5) if kind is Timeout else Timeout(0.5, kind("mine"))
        began = time.monotonic()
        with suppress(Timeout, OSError), limit:
            post(connections)
        assert time.monotonic() - began < 2
        connections.close()


def test_a_handshake_has_a_limit(gateway: Provider, mute: str) -> None:
    url = gateway.url.replace("http:", "https:")
    connections = Connections(url, size=1, connect_timeout=0.3, resolve=at(mute))
    assert post(connections).answer == "connect_timeout"
    connections.close()


def test_silence_is_not_an_answer(gateway: Provider, connections: Connections) -> None:
    gateway.script(http(), silence)
    post(connections)
    assert post(connections, timeout=0.3).answer == "timeout"
    assert len(gateway.requests) == 2
