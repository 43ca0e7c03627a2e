"""What becomes of an attempt that gets no answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from django_pushjobs.callbacks import courier
from django_pushjobs.callbacks.courier import Courier
from django_pushjobs.callbacks.results import AttemptResult
from django_pushjobs.models import CallbackEvent, EventType
from tests.support.callbacks import insecure
from tests.support.fcm import tls
from tests.support.provider import Provider, close, http, provider, raw, reset, silence
from tests.support.sloppy import SLOPPY

SECRET = "whsec_" + "A" * 32


@pytest.fixture(autouse=True)
def _insecure() -> Iterator[None]:
    with insecure():
        yield


@pytest.fixture
def receiver() -> Iterator[Provider]:
    with provider() as running:
        yield running


def post(url: str, **options: Any) -> AttemptResult:
    sender = Courier([SECRET], size=1, **options)
    event = CallbackEvent(type=EventType.COMPLETED, data={}, created_at=timezone.now())
    try:
        return sender.post(event, url)
    finally:
        sender.close()


@pytest.mark.parametrize(
    ("answer", "error_code"),
    [
        (close, "connection_lost"),
        (reset, "connection_lost"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-", then=close), "bad_answer"),
        (raw(b"SSH-2.0-OpenSSH_9.6\r\n", then=close), "bad_answer"),
    ],
)
def test_an_answer_that_is_none(receiver: Provider, answer: Any, error_code: str) -> None:
    receiver.script(answer)
    got = post(receiver.url)
    assert (got.status_code, got.error_code) == (None, error_code)


@pytest.mark.parametrize("answer", SLOPPY)
def test_a_status_stands_whatever_follows_it(receiver: Provider, answer: bytes) -> None:
    receiver.script(raw(b"HTTP/1.1 " + answer, then=silence))
    got = post(receiver.url)
    assert (got.status_code, got.error_code) == (int(answer[:3]), "")


def test_a_port_that_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert post(f"http://127.0.0.1:{port}/").error_code == "unreachable"


def test_a_connection_that_is_not_made_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "CONNECT_TIMEOUT", 0.2)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        assert post(f"http://127.0.0.1:{port}/").error_code == "timeout"
        for filler in fillers:
            filler.close()


def test_the_certificate_is_verified(tmp_path: Path) -> None:
    context, ca_file = tls(tmp_path)
    with provider(tls=context) as secure:
        secure.script(http(204, Retry_After="7"))
        got = post(secure.url, ca_file=ca_file)
        assert (got.status_code, got.retry_after, got.error_code) == (204, 7, "")
        assert post(secure.url).error_code == "bad_certificate"


def test_a_server_that_does_not_speak_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.recv(65_536)

        thread = threading.Thread(target=answer)
        thread.start()
        assert post(url).error_code == "tls_failed"
        thread.join(10)
