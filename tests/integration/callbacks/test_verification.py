"""A URL is called about nothing before it has answered a challenge."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from django_pushjobs.callbacks import endpoints, sender, sweeping
from django_pushjobs.callbacks.verification import HEAD_START, WITHIN
from django_pushjobs.limits import admission
from django_pushjobs.models import (
    CallbackEndpoint,
    CallbackEvent,
    CallbackStatus,
    DisabledReason,
    EndpointState,
    EventType,
)
from tests.support.callbacks import Clock, a_client, ended, verified
from tests.support.provider import Provider, Request, http, provider
from tests.support.third_party import ThirdParty, problem

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("insecure_destinations"),
]

UNVERIFIED, ACTIVE = EndpointState.UNVERIFIED, EndpointState.ACTIVE


class Owner:
    """Whoever runs a URL, and returns the challenge in one of many ways."""

    def __init__(self, running: Provider) -> None:
        self.running = running
        self.url = running.url
        self.way: Any = lambda request: request.json["data"]["challenge"].encode()
        running.otherwise = self._answer

    def _answer(self, answered: socket.socket) -> None:
        request = self.running.requests[-1]
        is_challenge = request.json["type"] == EventType.ENDPOINT_VERIFICATION
        http(200, self.way(request) if is_challenge else b"")(answered)

    @property
    def received(self) -> list[str]:
        return [request.json["type"] for request in self.running.requests]


@pytest.fixture
def owner() -> Iterator[Owner]:
    with provider() as running:
        yield Owner(running)


def a_stranger(url: str) -> CallbackEndpoint:
    return endpoints.register(a_client(), url, trusted=False)[0]


def test_what_happens_meanwhile_waits_for_the_answer(owner: Owner, clock: Clock) -> None:
    endpoint, secret = endpoints.register(a_client(), owner.url, trusted=False)
    ended(endpoint.client)
    # Its owner may need a moment to keep the secret.
    assert sender.send(endpoint.pk) == 0
    assert sweeping.sweep() == 0
    clock.advance(seconds=HEAD_START.total_seconds())
    assert sweeping.sweep() == 1
    assert sender.send(endpoint.pk) == 2
    assert owner.received == [EventType.ENDPOINT_VERIFICATION, EventType.COMPLETED]
    for request in owner.running.requests:
        verified(request, secret)
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.verified_at) == (ACTIVE, clock.now)
    assert not CallbackEvent.objects.pending().exists()


def as_json(request: Request) -> bytes:
    return json.dumps({"ok": True, "challenge": request.json["data"]["challenge"]}).encode()


def in_a_line(request: Request) -> bytes:
    return b" " + request.json["data"]["challenge"].encode() + b"\r\n"


@pytest.mark.parametrize("way", [as_json, in_a_line])
def test_ways_to_return_it(owner: Owner, clock: Clock, way: Any) -> None:
    owner.way = way
    endpoint = a_stranger(owner.url)
    clock.advance(seconds=1)
    sender.send(endpoint.pk)
    endpoint.refresh_from_db()
    assert endpoint.state == ACTIVE


@pytest.mark.parametrize(
    "way",
    [
        lambda request: b"",
        lambda request: b"ok",
        lambda request: b"true",
        lambda request: b"[" * 4_000,
        lambda request: b'{"challenge": "x"}',
        # Services that send back what they get, whoever asks for it.
        lambda request: request.body,
        lambda request: json.dumps({"json": request.json}).encode(),
    ],
)
def test_a_url_that_does_not_know_what_it_is_asked_gets_nothing_else(
    owner: Owner, clock: Clock, way: Any
) -> None:
    owner.way = way
    endpoint = a_stranger(owner.url)
    ended(endpoint.client)
    clock.advance(seconds=1)
    assert sender.send(endpoint.pk) == 1
    # Nothing is due, so there is nothing to do.
    assert sweeping.sweep() == 0
    assert sender.send(endpoint.pk) == 0
    end = clock.now + WITHIN
    while clock.now < end + timedelta(hours=1):
        clock.advance(minutes=10)
        sender.send(endpoint.pk)
    assert set(owner.received) == {EventType.ENDPOINT_VERIFICATION}
    assert len(owner.received) < 10
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.reason) == (EndpointState.DISABLED, DisabledReason.UNVERIFIED)
    assert set(CallbackEvent.objects.values_list("status", flat=True)) == {CallbackStatus.FAILED}
    journal = CallbackEvent.objects.filter(type=EventType.ENDPOINT_VERIFICATION).get().journal
    assert {entry.error_code for entry in journal.all()} == {"challenge_not_returned"}


def test_one_that_was_given_up_is_challenged_when_it_is_resumed(owner: Owner, clock: Clock) -> None:
    owner.running.script(http(410))
    endpoint = a_stranger(owner.url)
    clock.advance(seconds=1)
    sender.send(endpoint.pk)
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.reason) == (EndpointState.DISABLED, DisabledReason.GONE)
    endpoints.resume(endpoint)
    assert endpoint.state == UNVERIFIED
    assert sender.send(endpoint.pk) == 1
    endpoint.refresh_from_db()
    assert endpoint.state == ACTIVE


def test_another_url_is_another_question(owner: Owner, clock: Clock) -> None:
    """Also where the answer to the first question comes after the change."""
    endpoint = a_stranger(owner.url)
    clock.advance(seconds=1)
    elsewhere = owner.url.replace("/messages", "/elsewhere")

    def change_first(answered: socket.socket) -> None:
        endpoints.change(CallbackEndpoint.objects.get(), url="http://127.0.0.1:9/", trusted=False)
        connection.close()
        owner._answer(answered)

    owner.running.script(change_first)
    sender.send(endpoint.pk)
    endpoint.refresh_from_db()
    assert endpoint.state == UNVERIFIED
    endpoints.change(endpoint, url=elsewhere, trusted=False)
    clock.advance(minutes=10)
    sender.send(endpoint.pk)
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.url) == (ACTIVE, elsewhere)
    endpoints.change(endpoint, url=elsewhere, trusted=False)
    assert endpoint.state == ACTIVE
    endpoints.pause(endpoint)
    endpoints.change(endpoint, url=owner.url, trusted=False)
    assert endpoint.state == UNVERIFIED


def test_an_operator_may_vouch_for_it(owner: Owner, clock: Clock) -> None:
    endpoint = a_stranger(owner.url)
    ended(endpoint.client)
    endpoints.vouch(endpoint)
    clock.advance(seconds=1)
    assert sender.send(endpoint.pk) == 1
    assert owner.received == [EventType.COMPLETED]
    # A challenge is not about anything that has happened.
    assert not endpoints.resume(endpoint)
    endpoint.refresh_from_db()
    assert endpoint.state == ACTIVE


def test_over_the_api(owner: Owner, clock: Clock) -> None:
    acme = ThirdParty()
    made = acme.call("post", "/callback-endpoints", {"url": owner.url}).json()
    path = f"/callback-endpoints/{made['id']}"
    assert (made["state"], made["verified_at"]) == ("unverified", None)
    assert acme.call("post", f"{path}/pause").json()["state"] == "unverified"
    owner.way = lambda request: b"not yet"
    clock.advance(seconds=1)
    sender.send(UUID(made["id"]))
    owner.way = lambda request: request.json["data"]["challenge"].encode()
    again = acme.call("post", f"{path}/test")
    assert (again.status_code, again.json()["type"]) == (202, "push.endpoint.verification")
    sender.send(UUID(made["id"]))
    shown = acme.call("get", path).json()
    assert shown["state"] == "active"
    assert shown["verified_at"]
    moved = acme.call("patch", path, {"url": owner.url + "/new"}).json()
    assert (moved["state"], moved["verified_at"]) == ("unverified", None)
    since = {"since": "2020-01-01T00:00:00Z"}
    assert acme.call("post", f"{path}/replay", since).json() == {"replayed": 0}


def test_calls_to_wherever_a_client_wants_are_few(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "TESTS", admission.ClientLimit("tests", 5, 60))
    acme = ThirdParty()
    made = acme.call("post", "/callback-endpoints", {"url": owner.url}).json()
    path = f"/callback-endpoints/{made['id']}"
    ways = [
        ("patch", path, {"url": owner.url + "/new"}),
        ("post", f"{path}/resume", None),
        ("post", f"{path}/test", None),
        ("post", "/callback-endpoints", {"url": owner.url}),
    ]
    for way in ways:
        assert acme.call(*way).status_code < 400, way
    for way in ways:
        assert problem(acme.call(*way))["status"] == 429, way
    # That of one client is that of nobody else.
    assert ThirdParty("other").call(*ways[-1]).status_code == 201
