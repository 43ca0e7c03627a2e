"""What endpoints may do to us."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from django_pushjobs.callbacks import courier, endpoints, sender, sweeping
from django_pushjobs.models import (
    CallbackAttempt,
    CallbackEvent,
)
from tests.support.callbacks import (
    a_client,
    an_endpoint,
    an_event,
    jobs,
    verified,
)
from tests.support.provider import Provider, http, provider, raw, silence

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("insecure_destinations"),
]


def test_a_redirect_is_a_failure_and_not_followed(receiver: Provider) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    with provider() as inside:
        receiver.script(http(302, Location=inside.url), http(307, Location=inside.url))
        an_event(endpoint)
        an_event(endpoint)
        assert sender.send(endpoint.pk) == 2
        assert inside.connections == 0
    codes = CallbackAttempt.objects.values_list("status_code", flat=True)
    assert set(codes) == {302, 307}
    assert CallbackEvent.objects.pending().count() == 2


def test_a_name_that_leads_inside_at_the_second_look_is_not_called(receiver: Provider) -> None:
    """DNS rebinding: what was fine at registration is looked at again at every send."""
    port = receiver.url.rpartition(":")[2].partition("/")[0]
    answers = [[("93.184.215.14", 443)], [("10.0.0.1", 443)], [("169.254.169.254", 443)]]

    def lookup(host: str, port: int, **kwargs: Any) -> list[Any]:
        address = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address[0][0], port))]

    endpoint, _ = endpoints.register(
        a_client(), f"https://rebinding.example:{port}/", lookup=lookup
    )
    an_event(endpoint)
    assert sender.send(endpoint.pk, lookup=lookup) == 1
    assert receiver.connections == 0
    assert CallbackAttempt.objects.get().error_code == "forbidden_address"


def test_the_connection_goes_to_the_address_that_was_checked(receiver: Provider) -> None:
    port = int(receiver.url.rpartition(":")[2].partition("/")[0])
    asked = []

    def lookup(host: str, port: int, **kwargs: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    url = f"http://hooks.example:{port}/hook"
    endpoint, secret = endpoints.register(a_client(), url, lookup=lookup)
    an_event(endpoint)
    assert sender.send(endpoint.pk, lookup=lookup) == 1
    [request] = receiver.requests
    assert request.headers["host"] == f"hooks.example:{port}"
    assert asked == ["hooks.example"] * 2
    verified(request, secret)


def slow(connection: socket.socket) -> None:
    """A header now and then, for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-Patience: more\r\n")
        time.sleep(0.05)


def endless_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-Header: " + b"x" * 4_000 + b"\r\n")


def endless_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
    while True:
        connection.sendall(b"y" * 65_536)


@pytest.mark.parametrize(
    ("answer", "status_code", "error_code"),
    [
        (slow, None, "timeout"),
        (silence, None, "timeout"),
        (endless_headers, None, "bad_answer"),
        (endless_body, 200, ""),
        (raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), None, "bad_answer"),
        (http(200, b"\x00\xff" + "ü".encode() * 5_000), 200, ""),
    ],
)
def test_what_does_not_end_is_cut(
    receiver: Provider,
    monkeypatch: pytest.MonkeyPatch,
    answer: Any,
    status_code: int | None,
    error_code: str,
) -> None:
    monkeypatch.setattr(courier, "TIMEOUT", 1.0)
    endpoint, _ = an_endpoint(receiver.url)
    receiver.script(answer)
    an_event(endpoint)
    began = time.monotonic()
    assert sender.send(endpoint.pk) == 1
    assert time.monotonic() - began < 10
    attempt = CallbackAttempt.objects.get()
    assert (attempt.status_code, attempt.error_code) == (status_code, error_code)
    assert len(attempt.response) <= 1_024


def test_an_endpoint_that_does_not_answer_rests_and_keeps_nobody(
    receiver: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "TIMEOUT", 0.3)
    endpoint, _ = an_endpoint(receiver.url)
    receiver.script(*[silence] * 50)
    for _ in range(50):
        an_event(endpoint)
    assert sender.send(endpoint.pk) == 1
    endpoint.refresh_from_db()
    assert endpoint.resting_until is not None
    assert sweeping.sweep() == 0


def test_a_time_slice_ends_however_much_waits(
    receiver: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "TIME_SLICE", 0.2)
    endpoint, _ = an_endpoint(receiver.url)

    def dawdle(connection: socket.socket) -> None:
        time.sleep(0.3)
        http()(connection)

    receiver.script(dawdle)
    for _ in range(3):
        an_event(endpoint)
    assert sender.send(endpoint.pk) == 1
    assert len(jobs()) == 2  # the next one has been enqueued
    assert sender.send(endpoint.pk) == 2
