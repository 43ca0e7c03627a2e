"""Every backend that talks to a provider, through a forward proxy."""

from __future__ import annotations

import base64
import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks

from django_pushjobs.backends import BasePushBackend, Message, Outcome, OutcomeClass, Target, vapid
from django_pushjobs.backends.apns import APNsBackend
from django_pushjobs.backends.fcm import FCMBackend
from django_pushjobs.backends.http import HTTPBackend
from django_pushjobs.backends.webpush import WebPushBackend
from django_pushjobs.checks import TAG
from tests.support.apns import apns
from tests.support.fcm import fcm, tls
from tests.support.provider import provider, raw
from tests.support.proxy import ForwardProxy, forward_proxy
from tests.support.push_service import Browser, push_service

CANARY = "canary-7f3a"
LOGIN = ("anna", CANARY)

#: Makes a backend with the given options, and an address to push to.
Make = Callable[..., tuple[BasePushBackend, str]]


@pytest.fixture
def proxy() -> Iterator[ForwardProxy]:
    with forward_proxy(LOGIN) as running:
        yield running


@pytest.fixture(params=["http", "fcm", "webpush", "apns"])
def make(request: pytest.FixtureRequest, tmp_path: Path, settings: Any) -> Iterator[Make]:
    settings.PUSHJOBS = settings.PUSHJOBS | {"INSECURE_DESTINATIONS": True}
    context, ca_file = tls(tmp_path)
    backend: type[BasePushBackend]
    with ExitStack() as stack:
        own: dict[str, Any]
        if request.param == "http":
            gateway = stack.enter_context(provider(tls=context))
            backend, own, address = HTTPBackend, {"url": gateway.url, "ca_file": ca_file}, "a"
        elif request.param == "fcm":
            google = stack.enter_context(fcm(context))
            own = {"credentials": google.credentials(), "url": google.url, "ca_file": ca_file}
            backend, address = FCMBackend, "device-token:APA91b"
        elif request.param == "webpush":
            service = stack.enter_context(push_service(context))
            own = {"private_key": vapid.private_text(vapid.new_key()), "ca_file": ca_file}
            own |= {"subject": "mailto:push@example.org"}
            backend, address = WebPushBackend, service.subscribe()
        else:
            peer = stack.enter_context(apns())
            backend, own, address = APNsBackend, peer.options, "ab" * 32

        def made(**options: Any) -> tuple[BasePushBackend, str]:
            instance = backend(alias="default", **own | options)
            stack.callback(instance.close)
            return instance, address

        yield made


def push(backend: BasePushBackend, address: str) -> Outcome:
    message = Message(request_id=uuid.uuid4(), title="Hello")
    return backend.push(message, Target(delivery_id=uuid.uuid4(), address=address))


def test_a_push_through_the_proxy(make: Make, proxy: ForwardProxy) -> None:
    backend, address = make(proxy=proxy.url_for(f"anna:{CANARY}"))
    assert [push(backend, address).kind for _ in range(3)] == [OutcomeClass.OK] * 3
    expected = 2 if isinstance(backend, FCMBackend) else 1  # the access token as well
    assert len(proxy.requests) == expected


def test_no_proxy_unless_there_is_an_option(
    make: Make, proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, proxy.url_for(f"anna:{CANARY}"))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert push(*make()).kind is OutcomeClass.OK
    assert proxy.requests == []
    assert push(*make(proxy="environment")).kind is OutcomeClass.OK
    asked = len(proxy.requests)
    assert asked >= 1
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    assert push(*make(proxy="environment")).kind is OutcomeClass.OK
    assert len(proxy.requests) == asked


def test_credentials_that_the_proxy_refuses_are_our_fault(
    make: Make, proxy: ForwardProxy, caplog: pytest.LogCaptureFixture
) -> None:
    """Also for Web Push: it is not the endpoint that says so."""
    caplog.set_level(logging.DEBUG)
    backend, address = make(proxy=proxy.url_for(f"anna:{CANARY}-wrong"))
    outcome = push(backend, address)
    assert (outcome.kind, outcome.code) == (OutcomeClass.CONFIG, "proxy_refused")
    assert not outcome.unknown
    wrong = base64.b64encode(f"anna:{CANARY}-wrong".encode()).decode()
    for text in (repr(outcome), repr(backend), str(vars(backend)), caplog.text):
        assert CANARY not in text
        assert wrong not in text


@pytest.mark.parametrize(("status", "code"), [(403, "proxy_denied"), (502, "proxy_failed")])
def test_what_the_proxy_says_stays_there(
    make: Make, proxy: ForwardProxy, status: int, code: str
) -> None:
    said = f"HTTP/1.1 {status} {CANARY}\r\nX: {CANARY}\r\nContent-Length: 12\r\n\r\n{CANARY}"
    backend, address = make(proxy=proxy.url_for(f"anna:{CANARY}"))
    if isinstance(backend, FCMBackend):
        assert push(backend, address).kind is OutcomeClass.OK  # the access token is there
        backend._api._pool().empty()
    proxy.answers.append(raw(said.encode()))
    proxy.answers.append(raw(said.encode()))
    outcome = push(backend, address)
    assert (outcome.kind, outcome.code) == (OutcomeClass.RECONNECT, code)
    assert CANARY not in repr(outcome)
    assert not outcome.unknown


@pytest.mark.parametrize(
    "wrong",
    [
        f"https://anna:{CANARY}@proxy.example",
        f"http://anna:{CANARY}/@proxy.example:3128",
        f"anna:{CANARY}@proxy.example:3128",
    ],
)
def test_a_wrong_proxy_is_found_by_the_system_check(make: Make, settings: Any, wrong: str) -> None:
    with pytest.raises(ValueError, match=r"^proxy must ") as caught:
        make(proxy=wrong)
    assert CANARY not in str(caught.value)
    entry = {
        "BACKEND": "django_pushjobs.backends.http.HTTPBackend",
        "OPTIONS": {"url": "https://gateway.example/", "proxy": wrong},
    }
    settings.PUSHJOBS = settings.PUSHJOBS | {"BACKENDS": {"default": entry}}
    (found,) = [one for one in run_checks(tags=[TAG]) if one.id == "django_pushjobs.E007"]
    assert found.msg.startswith("Push backend 'default': proxy must ")
    assert CANARY not in str(found)


def test_an_endpoint_inside_is_not_asked_for(proxy: ForwardProxy) -> None:
    backend = WebPushBackend(
        alias="web",
        private_key=vapid.private_text(vapid.new_key()),
        subject="mailto:push@example.org",
        proxy=proxy.url_for(f"anna:{CANARY}"),
    )
    for host in ("127.0.0.1", "10.0.0.1", "[::1]", "localhost"):
        outcome = push(backend, Browser("/push/1").subscription(f"https://{host}"))
        assert (outcome.kind, outcome.code) == (OutcomeClass.FAIL, "forbidden_endpoint")
    assert proxy.requests == []
    backend.close()
