"""The gateway simulator is the witness of other tests, so it has tests of its own."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection, RemoteDisconnected
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import pytest

from example_project.faults import FaultMix
from tests.support.gateway import DEADLINE, GatewayProcess


@pytest.fixture(scope="module")
def running() -> Iterator[GatewayProcess]:
    with GatewayProcess() as gateway:
        yield gateway


@pytest.fixture
def gateway(running: GatewayProcess) -> GatewayProcess:
    running.control(latency_ms=0, jitter_ms=0, errors={}, retry_after=1)
    running.reset()
    return running


def connect(gateway: GatewayProcess) -> HTTPConnection:
    return HTTPConnection(urlsplit(gateway.url).netloc, timeout=DEADLINE)


def send(connection: HTTPConnection, message: object) -> None:
    connection.request("POST", "/messages", json.dumps(message))


def answer(connection: HTTPConnection) -> tuple[int, Any]:
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def until(gateway: GatewayProcess, **expected: int) -> dict[str, Any]:
    deadline = time.monotonic() + DEADLINE
    while (stats := gateway.stats()) | expected != stats:
        assert time.monotonic() < deadline, f"{stats} never became {expected}"
        time.sleep(0.01)
    return stats


def test_a_repeated_id_is_counted_once_and_noticed(gateway: GatewayProcess) -> None:
    connection = connect(gateway)
    for message_id in ("a", "b", "a"):
        send(connection, {"id": message_id, "request_id": "r"})
        assert answer(connection) == (200, {"id": f"gw-{message_id}"})

    stats = gateway.stats()
    assert stats["received"] == stats["accepted"] == 3
    assert stats["distinct_ids"] == 2
    assert stats["duplicates"] == 1
    assert stats["by_status"] == {"200": 3}
    assert stats["connections_opened"] == 1, "the connection is kept alive"
    assert gateway.ids() == {"a": 2, "b": 1}
    assert gateway.requests() == {"r": 2}
    connection.close()


def test_holds_and_counts_as_many_as_come(gateway: GatewayProcess) -> None:
    gateway.control(latency_ms=60_000)
    with ExitStack() as stack:
        for number in range(200):
            connection = connect(gateway)
            stack.callback(connection.close)
            send(connection, {"id": str(number)})
        stats = until(gateway, in_flight=200)
    assert stats["max_in_flight"] == stats["connections"] == 200
    assert stats["accepted"] == 0
    gateway.reset()
    assert until(gateway, connections=0)["in_flight"] == 0


@pytest.mark.parametrize(
    ("fault", "retry_after"), [("500", None), ("410", None), ("429", "7"), ("503", "7")]
)
def test_fails_with_a_status(gateway: GatewayProcess, fault: str, retry_after: str | None) -> None:
    gateway.control(errors={fault: 1}, retry_after=7)
    connection = connect(gateway)
    send(connection, {"id": "a"})
    response = connection.getresponse()
    response.read()
    assert response.status == int(fault)
    assert response.headers["Retry-After"] == retry_after
    assert gateway.ids() == {"a": 0}
    assert gateway.stats()["by_status"] == {fault: 1}
    connection.close()


@pytest.mark.parametrize(("fault", "taken"), [("reset", 0), ("lost", 1)])
def test_cuts_the_connection(gateway: GatewayProcess, fault: str, taken: int) -> None:
    gateway.control(errors=f"{fault}:1")
    connection = connect(gateway)
    send(connection, {"id": "a"})
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        connection.getresponse()
    assert gateway.ids() == {"a": taken}
    connection.close()


def test_never_answers(gateway: GatewayProcess) -> None:
    connection = connect(gateway)
    send(connection, {"id": "a", "to": "simulate:hang"})
    until(gateway, in_flight=1)
    connection.close()
    assert until(gateway, in_flight=0)["by_status"] == {"hang": 1}


def test_goes_on_when_the_client_disconnects(gateway: GatewayProcess) -> None:
    gateway.control(latency_ms=100)
    connection = connect(gateway)
    send(connection, {"id": "a"})
    until(gateway, received=1)
    connection.close()
    until(gateway, accepted=1, in_flight=0, connections=0)


def test_an_address_chooses_its_fault(gateway: GatewayProcess) -> None:
    connection = connect(gateway)
    send(connection, {"id": "a", "to": "simulate:410"})
    assert answer(connection) == (410, {"error": "simulated 410"})
    send(connection, {"id": "b", "to": "simulate:nothing"})
    assert answer(connection)[0] == 200
    connection.close()


def test_answers_in_order_what_comes_in_pieces_and_at_once(gateway: GatewayProcess) -> None:
    bodies = [json.dumps({"id": message_id}).encode() for message_id in ("a", "b")]
    stream = b"".join(
        b"POST /messages HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        for body in bodies
    )
    address = urlsplit(gateway.url)
    with socket.create_connection((address.hostname, address.port), DEADLINE) as client:
        client.sendall(stream[:20])
        client.sendall(stream[20:])
        received = b""
        while received.count(b"gw-") < 2:
            data = client.recv(65_536)
            assert data, received
            received += data
    assert received.index(b"gw-a") < received.index(b"gw-b")


@pytest.mark.parametrize("message", [{}, {"id": 1}, {"id": "a", "to": 1}, ["a"], "a", None])
def test_refuses_what_is_not_a_message(gateway: GatewayProcess, message: object) -> None:
    connection = connect(gateway)
    send(connection, message)
    assert answer(connection)[0] == 400
    assert gateway.stats()["received"] == 0
    connection.close()


@pytest.mark.parametrize(
    "values",
    [
        {"latency": 1},
        {"latency_ms": -1},
        {"latency_ms": "1"},
        {"jitter_ms": True},
        {"errors": {"200": 0.1}},
        {"errors": {"500": 0.7, "410": 0.7}},
        {"errors": "500"},
        {"errors": 1},
    ],
)
def test_control_refuses_what_it_does_not_know(
    gateway: GatewayProcess, values: dict[str, Any]
) -> None:
    before = gateway.control()
    with pytest.raises(HTTPError) as raised:
        gateway.control(retry_after=99, **values)
    with raised.value as response:
        assert response.status == 400
        assert json.load(response)["error"]
    assert gateway.control() == before


def test_mix_keeps_its_shares() -> None:
    mix = FaultMix.parse("500:0.25, reset:0.25")
    chosen = {mix.choose() for _ in range(500)}
    assert chosen == {"ok", "500", "reset"}
    assert FaultMix.parse("").choose() == "ok"
    assert {FaultMix.parse("hang:1").choose() for _ in range(50)} == {"hang"}
