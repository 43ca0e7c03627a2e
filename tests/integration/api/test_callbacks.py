"""Callback endpoints over HTTP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from django_pushjobs.callbacks import endpoints, sender
from django_pushjobs.models import (
    ApiKey,
    CallbackAttempt,
    CallbackEndpoint,
    CallbackEvent,
    Scope,
)
from django_pushjobs.transport import destinations
from django_pushjobs.transport.lookups import Lookups
from tests.support.callbacks import INSECURE, verified
from tests.support.provider import Provider, http, provider
from tests.support.third_party import MOUNT, ThirdParty, faults, problem

pytestmark = pytest.mark.django_db(transaction=True)

ENDPOINTS = "/callback-endpoints"
CALLBACKS = "/callbacks"


@pytest.fixture(autouse=True)
def _insecure(settings: Settings) -> None:
    settings.PUSHJOBS = INSECURE


@pytest.fixture
def receiver() -> Iterator[Provider]:
    with provider() as running:
        yield running


@pytest.fixture
def acme() -> ThirdParty:
    return ThirdParty()


def register(party: ThirdParty, url: str, *, vouch: bool = True, **body: Any) -> Any:
    response = party.call("post", ENDPOINTS, {"url": url, **body})
    assert response.status_code == 201, response.content
    if vouch:
        endpoints.vouch(CallbackEndpoint.objects.get(pk=response.json()["id"]))
    return response.json()


def test_register_shows_the_secret_once(acme: ThirdParty, receiver: Provider) -> None:
    response = acme.call("post", ENDPOINTS, {"url": receiver.url})
    assert response.status_code == 201
    assert response.headers["Cache-Control"] == "no-store"
    made = response.json()
    assert made["secret"].startswith("whsec_")
    assert (made["state"], made["reason"], made["event_types"]) == ("unverified", "", [])
    shown = acme.call("get", response.headers["Location"].partition(MOUNT)[2])
    assert shown.json() == {key: value for key, value in made.items() if key != "secret"}
    listed = acme.call("get", ENDPOINTS).json()["results"]
    assert listed == [shown.json()]


def test_a_host_whose_name_server_is_silent_holds_no_call_up(
    acme: ThirdParty, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answer = threading.Event(), threading.Event()

    def getaddrinfo(*args: Any, **options: Any) -> list[Any]:
        asked.set()
        answer.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    look_up = Lookups(deadline=0.1)
    monkeypatch.setattr(destinations, "lookups", lambda: look_up)
    response = acme.call("post", ENDPOINTS, {"url": "https://silent.example/"})
    assert asked.is_set()
    assert not answer.is_set()
    assert faults(response) == {("/url", "unresolvable")}
    answer.set()


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ([], {("", "invalid_type")}),
        ({}, {("/url", "required")}),
        ({"url": 1, "x": 1}, {("/url", "invalid_type"), ("/x", "unknown_field")}),
        ({"url": "https://10.0.0.1/"}, {("/url", "forbidden_address")}),
        ({"url": "https://169.254.169.254/"}, {("/url", "forbidden_address")}),
        ({"url": "https://[::ffff:10.0.0.1]/"}, {("/url", "forbidden_address")}),
        ({"url": "https://0x7f.1/"}, {("/url", "numeric_host")}),
        ({"url": "https://user:pass@93.184.215.14/"}, {("/url", "credentials")}),
        ({"url": "ftp://93.184.215.14/"}, {("/url", "invalid_url")}),
        (
            {"url": "https://93.184.215.14/", "event_types": ["push.request.completed", "x", 1]},
            {("/event_types/1", "invalid_choice"), ("/event_types/2", "invalid_choice")},
        ),
    ],
)
def test_what_cannot_be_registered(acme: ThirdParty, body: Any, errors: set[Any]) -> None:
    assert faults(acme.call("post", ENDPOINTS, body)) == errors
    assert not CallbackEndpoint.objects.exists()


def test_https_only_unless_the_settings_say_otherwise(acme: ThirdParty, settings: Settings) -> None:
    settings.PUSHJOBS = INSECURE | {"INSECURE_DESTINATIONS": False}
    refused = acme.call("post", ENDPOINTS, {"url": "http://93.184.215.14/"})
    assert faults(refused) == {("/url", "https_required")}
    register(acme, "https://93.184.215.14/")


def test_a_client_has_so_many_endpoints_at_most(
    acme: ThirdParty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "MAX_ENDPOINTS", 1)
    register(acme, "http://127.0.0.1/")
    refused = problem(acme.call("post", ENDPOINTS, {"url": "http://127.0.0.1/"}))
    assert (refused["status"], refused["errors"][0]["code"]) == (409, "too_many")


def test_calls_at_the_same_time_register_no_more(
    acme: ThirdParty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "MAX_ENDPOINTS", 5)
    together = threading.Barrier(12)

    def call(number: int) -> int:
        try:
            together.wait()
            body = {"url": f"http://127.0.0.1/{number}"}
            status: int = acme.call("post", ENDPOINTS, body).status_code
            return status
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as pool:
        statuses = list(pool.map(call, range(12)))
    assert statuses.count(201) == CallbackEndpoint.objects.count() == 5
    assert statuses.count(409) == 7


def test_change_and_delete(acme: ThirdParty, receiver: Provider) -> None:
    made = register(acme, receiver.url)
    url = f"{ENDPOINTS}/{made['id']}"
    changed = acme.call("patch", url, {"event_types": ["push.request.expired"]}).json()
    assert (changed["url"], changed["event_types"]) == (receiver.url, ["push.request.expired"])
    assert faults(acme.call("patch", url, {"url": "http://10.0.0.1/"})) == {
        ("/url", "forbidden_address")
    }
    gone = acme.call("delete", url)
    assert (gone.status_code, gone.content) == (204, b"")
    assert problem(acme.call("get", url))["detail"] == "There is no such callback endpoint."


def test_rotate_test_and_read_the_attempts(acme: ThirdParty, receiver: Provider) -> None:
    made = register(acme, receiver.url)
    url = f"{ENDPOINTS}/{made['id']}"
    rotated = acme.call("post", f"{url}/rotate").json()
    assert rotated["secret"] != made["secret"]
    assert rotated["previous_secret_expires_at"]
    receiver.script(http(200, b"thanks"))
    event = acme.call("post", f"{url}/test")
    assert (event.status_code, event.json()["type"]) == (202, "push.endpoint.test")
    assert sender.send(CallbackEndpoint.objects.get().pk) == 1
    for secret in (made["secret"], rotated["secret"]):
        verified(receiver.requests[0], secret)
    [listed, challenge] = acme.call("get", f"{url}/events").json()["results"]
    assert challenge["type"] == "push.endpoint.verification"
    shown = acme.call("get", f"{CALLBACKS}/{event.json()['id']}").json()
    assert listed == shown
    assert (shown["status"], shown["attempts"]) == ("delivered", 1)
    [attempt] = acme.call("get", f"{CALLBACKS}/{shown['id']}/attempts").json()
    assert (attempt["status_code"], attempt["response"]) == (200, "thanks")


def test_the_last_attempts_of_many(acme: ThirdParty, receiver: Provider) -> None:
    made = register(acme, receiver.url)
    event = acme.call("post", f"{ENDPOINTS}/{made['id']}/test").json()
    CallbackAttempt.objects.bulk_create(
        CallbackAttempt(event_id=event["id"], number=n, started_at=timezone.now(), latency=1)
        for n in range(150)
    )
    shown = acme.call("get", f"{CALLBACKS}/{event['id']}/attempts").json()
    assert [attempt["number"] for attempt in shown] == list(range(50, 150))


def test_pause_resume_and_replay(acme: ThirdParty, receiver: Provider) -> None:
    made = register(acme, receiver.url)
    url = f"{ENDPOINTS}/{made['id']}"
    assert acme.call("post", f"{url}/pause").json()["state"] == "paused"
    assert acme.call("post", f"{url}/resume").json()["state"] == "active"
    event = acme.call("post", f"{url}/test").json()
    pk = CallbackEndpoint.objects.get().pk
    sender.send(pk)
    assert acme.call("post", f"{CALLBACKS}/{event['id']}/replay").json()["status"] == "pending"
    sender.send(pk)
    since = {"since": "2020-01-01T00:00:00Z"}
    assert acme.call("post", f"{url}/replay", since | {"failed_only": True}).json() == {
        "replayed": 0
    }
    assert acme.call("post", f"{url}/replay", since).json() == {"replayed": 1}
    sender.send(pk)
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert len(receiver.requests) == 3
    assert faults(acme.call("post", f"{url}/replay", {"since": "2020-01-01T00:00:00"})) == {
        ("/since", "naive")
    }


def test_a_disabled_endpoint_is_resumed_first(acme: ThirdParty, receiver: Provider) -> None:
    made = register(acme, receiver.url)
    url = f"{ENDPOINTS}/{made['id']}"
    receiver.script(http(410))
    event = acme.call("post", f"{url}/test").json()
    sender.send(CallbackEndpoint.objects.get().pk)
    shown = acme.call("get", url).json()
    assert (shown["state"], shown["reason"]) == ("disabled", "gone")
    assert shown["disabled_at"]
    for path in (f"{url}/test", f"{CALLBACKS}/{event['id']}/replay"):
        assert problem(acme.call("post", path))["status"] == 409
    assert acme.call("post", f"{url}/resume").json()["reason"] == ""
    assert acme.call("post", f"{CALLBACKS}/{event['id']}/replay").status_code == 202


def test_those_of_others_do_not_exist(acme: ThirdParty, receiver: Provider) -> None:
    made = register(acme, receiver.url)
    event = acme.call("post", f"{ENDPOINTS}/{made['id']}/test").json()
    other = ThirdParty("other")
    assert other.call("get", ENDPOINTS).json()["results"] == []
    routes = [("get", ""), ("patch", ""), ("delete", ""), ("get", "/events")]
    routes += [("post", f"/{name}") for name in ("rotate", "pause", "resume", "test")]
    for method, path in routes:
        body = {} if method == "patch" else None
        response = other.call(method, f"{ENDPOINTS}/{made['id']}{path}", body)
        assert problem(response)["status"] == 404, (method, path)
    replay = {"since": "2020-01-01T00:00:00Z"}
    assert other.call("post", f"{ENDPOINTS}/{made['id']}/replay", replay).status_code == 404
    for method, path in [("get", ""), ("get", "/attempts"), ("post", "/replay")]:
        assert other.call(method, f"{CALLBACKS}/{event['id']}{path}").status_code == 404
    assert other.call("get", f"{CALLBACKS}/{uuid4()}").status_code == 404
    assert CallbackEvent.objects.get(pk=event["id"]).attempts == 0


def test_a_key_needs_the_scope(acme: ThirdParty) -> None:
    acme.key, acme.secret = ApiKey.objects.issue(
        acme.client, "reader", scopes=[Scope.READ.value, Scope.SUBMIT.value]
    )
    assert problem(acme.call("get", ENDPOINTS))["scope"] == "callbacks"
    assert acme.call("post", ENDPOINTS, {"url": "http://127.0.0.1/"}).status_code == 403


def test_a_push_request_may_name_a_url_where_the_client_may(
    acme: ThirdParty, receiver: Provider
) -> None:
    own = receiver.url.replace("/messages", "/orders/17")
    body = {"recipients": ["token"], "callback_url": own}
    assert faults(acme.post(body=body)) == {("/callback_url", "not_allowed")}
    acme.client.may_set_callback_url = True
    acme.client.save()
    assert faults(acme.post(body=body)) == {("/callback_url", "unknown_origin")}
    made = register(acme, receiver.url)
    assert faults(acme.post(body=body | {"callback_url": "https://10.0.0.1/"})) == {
        ("/callback_url", "forbidden_address")
    }
    tickets = acme.post("batch", {"items": [body, body | {"callback_url": "x"}]}).json()["items"]
    assert [ticket["status"] for ticket in tickets] == [202, 400]
    acme.post(f"{tickets[0]['push_request']['id']}/cancel")
    assert sender.send(CallbackEndpoint.objects.get().pk) == 1
    [request] = receiver.requests
    assert request.line == "POST /orders/17 HTTP/1.1"
    assert verified(request, made["secret"])["type"] == "push.request.canceled"
