"""What is kept no longer is deleted with all that depends on it, and nothing else waits for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.db.models.signals import post_delete
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from django_pushjobs import relay
from django_pushjobs.models import (
    Attempt,
    AttemptEnd,
    CallbackAttempt,
    CallbackEndpoint,
    CallbackEvent,
    CallbackStatus,
    Delivery,
    EndpointState,
    PushRequest,
)
from django_pushjobs.models.identifiers import first_uuid
from django_pushjobs.relay import pruning
from django_pushjobs.relay.loop import Relay
from django_pushjobs.states import Status
from tests.support.callbacks import a_client
from tests.support.samples import a_push_request, some_deliveries

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _retention(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"RETENTION": 86_400.0, "CALLBACK_RETENTION": 86_400}
    monkeypatch.setattr(pruning, "BATCH", 2)


def old(number: int = 1, **fields: Any) -> PushRequest:
    """Store a request that ended long ago."""
    at = timezone.now() - timedelta(days=9) + timedelta(seconds=number)
    return a_push_request(Status.SUCCEEDED, **({"id": first_uuid(at)} | fields))


def an_endpoint() -> CallbackEndpoint:
    return CallbackEndpoint.objects.create(
        client=a_client(), url="https://example.com/", encrypted_secret="x",
        state=EndpointState.PAUSED, verified_at=timezone.now(),
    )  # fmt: skip


def an_event(request: PushRequest, endpoint: CallbackEndpoint) -> None:
    now = timezone.now()
    event = CallbackEvent.objects.create(
        endpoint=endpoint, request=request, type="push.request.completed", data={},
        status=CallbackStatus.DELIVERED, finished_at=now,
    )  # fmt: skip
    CallbackAttempt.objects.create(event=event, number=1, started_at=now, latency=1)


def left() -> dict[str, int]:
    models = (PushRequest, Delivery, Attempt, CallbackEvent, CallbackAttempt)
    return {model.__name__: model.objects.count() for model in models}


def with_all(request: PushRequest, endpoint: CallbackEndpoint) -> None:
    now = timezone.now()
    some_deliveries(request, 2)
    part = old(1_000 + request.pk.int % 1_000, parent=request)
    for row in (request, part):
        Attempt.objects.create(
            request=row, number=1, owner="x", end=AttemptEnd.SETTLED, finished_at=now
        )
    an_event(request, endpoint)


def test_everything_that_depends_on_it_goes_and_nothing_else() -> None:
    endpoint = an_endpoint()
    rows = [old(number, title="a secret") for number in range(3)]
    fresh = a_push_request(Status.SUCCEEDED)
    for row in (*rows, fresh):
        with_all(row, endpoint)
    with CaptureQueriesContext(connection) as captured:
        assert relay.sweep().pruned == 3
    assert left() == {
        "PushRequest": 2, "Delivery": 2, "Attempt": 2, "CallbackEvent": 1, "CallbackAttempt": 1
    }  # fmt: skip
    # None of them is read for it.
    selects = [q["sql"] for q in captured if q["sql"].startswith("SELECT")]
    assert not any('"recipients"' in sql or '"data"' in sql for sql in selects)


def test_it_goes_on_within_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "SHARE", 0.0)
    for number in range(5):
        old(number)
    a_push_request(Status.PENDING, next_attempt_at=timezone.now())
    process = Relay()
    assert process.turn()
    # A batch, and what was due did not wait for the others.
    assert PushRequest.objects.filter(status=Status.SUCCEEDED).count() == 3
    assert PushRequest.objects.filter(status=Status.QUEUED).exists()
    while process.turn():
        pass
    assert PushRequest.objects.filter(status=Status.SUCCEEDED).count() == 0


def test_while_much_is_due_it_waits_for_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "SHARE", 0.0)
    monkeypatch.setattr(import_module("django_pushjobs.relay.sweep"), "LIMIT", 2)
    for number in range(9):
        old(number)
        a_push_request(Status.PENDING, next_attempt_at=timezone.now())
    process = Relay()
    for _ in range(4):
        assert process.turn()
    assert PushRequest.objects.filter(status=Status.QUEUED).count() == 8
    assert PushRequest.objects.filter(status=Status.SUCCEEDED).count() >= 5


def test_large_requests_are_deleted_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "SHARE", 0.0)
    monkeypatch.setattr(pruning, "ADDRESSES", 1_000)
    for number in range(3):
        old(number, total=900)
    assert [relay.sweep().pruned for _ in range(4)] == [1, 1, 1, 0]


def test_old_callbacks_and_requests_take_turns() -> None:
    endpoint = an_endpoint()
    for number in range(5):
        request = old(number)
        an_event(request, endpoint)
        at = timezone.now() - timedelta(days=2) + timedelta(seconds=number)
        CallbackEvent.objects.create(
            id=first_uuid(at), endpoint=endpoint, request=a_push_request(), data={},
            type="push.request.completed", status=CallbackStatus.FAILED, finished_at=at,
        )  # fmt: skip
    assert relay.sweep().pruned == 10
    assert left() | {"PushRequest": 5} == dict.fromkeys(left(), 0) | {"PushRequest": 5}


def test_whoever_listens_to_deletions_hears_of_them() -> None:
    heard = []

    def hear(instance: Delivery, **facts: object) -> None:
        heard.append(instance.pk)

    deliveries = some_deliveries(old(), 2)
    post_delete.connect(hear, sender=Delivery)
    try:
        assert relay.sweep().pruned == 1
    finally:
        post_delete.disconnect(hear, sender=Delivery)
    assert set(heard) == {delivery.pk for delivery in deliveries}


@contextmanager
def somebody_who_holds(row: PushRequest) -> Iterator[None]:
    """Hold the lock of ``row`` in a transaction of another connection."""
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                PushRequest.objects.select_for_update().get(pk=row.pk)
                holding.set()
                done.wait(60)
        finally:
            connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert holding.wait(60)
        yield
    finally:
        done.set()
        holder.join()


@pytest.mark.many_writers
def test_a_row_that_somebody_moves_holds_up_no_other() -> None:
    rows = [old(number) for number in range(3)]
    with somebody_who_holds(rows[0]):
        assert relay.sweep().pruned == 2
        assert PushRequest.objects.get() == rows[0]
    assert relay.sweep().pruned == 1
