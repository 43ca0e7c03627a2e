"""Events are written with what they tell of, and reach the endpoint."""

from __future__ import annotations

import threading
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from django_pushjobs import relay, services
from django_pushjobs.callbacks import endpoints, sender
from django_pushjobs.callbacks.claims import EndpointClaim
from django_pushjobs.callbacks.endpoint_cache import EndpointCache, endpoint_cache
from django_pushjobs.callbacks.results import AttemptResult
from django_pushjobs.callbacks.settlements import settle
from django_pushjobs.events.change import Change
from django_pushjobs.lifecycle import announcements
from django_pushjobs.models import (
    CallbackAttempt,
    CallbackEndpoint,
    CallbackEvent,
    CallbackStatus,
    DisabledReason,
    EventType,
)
from django_pushjobs.states import Status
from tests.support.callbacks import (
    a_client,
    an_endpoint,
    ended,
    jobs,
    verified,
)
from tests.support.provider import Provider
from tests.support.samples import a_push_request
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("insecure_destinations"),
]


def test_the_end_of_a_request_is_told_signed_and_thin(receiver: Provider) -> None:
    endpoint, secret = an_endpoint(receiver.url)
    row = ended(endpoint.client, reference="order-17", accepted=1, title="secret", data={"a": 1})
    assert sender.send(endpoint.pk) == 1
    [request] = receiver.requests
    body = verified(request, secret)
    assert request.line == "POST /messages HTTP/1.1"
    assert request.headers["webhook-id"] == str(CallbackEvent.objects.get().pk)
    assert request.headers["content-type"] == "application/json"
    assert set(body) == {"type", "timestamp", "data"}
    assert body["type"] == "push.request.completed"
    assert body["data"] == {
        "id": str(row.pk),
        "reference": "order-17",
        "status": "succeeded",
        "backend": "locmem",
        "counts": {"total": 1, "accepted": 1, "failed": 0, "dropped": 0, "unknown": 0},
        "error_code": None,
    }
    assert len(request.body) < 20_000
    event = CallbackEvent.objects.get()
    assert (event.status, event.attempts) == (CallbackStatus.DELIVERED, 1)
    attempt = CallbackAttempt.objects.get()
    assert (attempt.number, attempt.status_code, attempt.error_code) == (1, 200, "")


@pytest.mark.parametrize(
    ("status", "event_type"),
    [
        (Status.SUCCEEDED, EventType.COMPLETED),
        (Status.PARTIAL, EventType.COMPLETED),
        (Status.FAILED, EventType.COMPLETED),
        (Status.EXPIRED, EventType.EXPIRED),
        (Status.CANCELED, EventType.CANCELED),
    ],
)
def test_every_end_has_its_event(receiver: Provider, status: Status, event_type: str) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    ended(endpoint.client, status)
    assert CallbackEvent.objects.get().type == event_type


def test_an_event_is_written_with_the_end_or_not_at_all(receiver: Provider) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    row = a_push_request(Status.SUCCEEDED, client=endpoint.client)
    with transaction.atomic():
        announcements.record([Change.of(row)], using="default")
        assert jobs() == []
        transaction.set_rollback(True)
    assert not CallbackEvent.objects.exists()
    assert jobs() == []


def test_a_client_without_endpoints_costs_next_to_nothing(
    django_assert_num_queries: Any, receiver: Provider
) -> None:
    an_endpoint(receiver.url, a_client("Somebody else"))
    rows = [a_push_request(client=a_client()), a_push_request()]
    endpoint_cache.by_client("default")
    with django_assert_num_queries(1):
        announcements.record([Change.of(row) for row in rows], using="default")


def test_many_ends_cost_three_statements(
    django_assert_num_queries: Any, receiver: Provider
) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    rows = [a_push_request(client=endpoint.client) for _ in range(30)]
    endpoint_cache.by_client("default")
    with transaction.atomic(), django_assert_num_queries(3):
        announcements.record([Change.of(row) for row in rows], using="default")
    assert CallbackEvent.objects.count() == 30
    assert len(jobs()) == 1


def test_other_processes_hear_of_an_endpoint_before_its_caller_does(receiver: Provider) -> None:
    """What a process keeps in mind is never older than the answer to whoever changed it."""
    client = a_client()
    elsewhere = EndpointCache()
    assert not elsewhere.by_client("default")
    endpoint, _ = an_endpoint(receiver.url, client)
    assert list(elsewhere.by_client("default")) == [client.pk]
    changes = [
        lambda: endpoints.change(endpoint, event_types=[EventType.EXPIRED]),
        lambda: endpoints.disable(endpoint, DisabledReason.GONE, using="default"),
        lambda: endpoints.resume(endpoint),
    ]
    for change in changes:
        change()
        [known] = elsewhere.by_client("default")[client.pk]
        assert (known.event_types, known.state) == (endpoint.event_types, endpoint.state)
    client.delete()
    assert not elsewhere.by_client("default")


def test_services_and_relay_tell_of_cancel_and_expiry(receiver: Provider) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    services.cancel(services.submit(recipients=["token"], client=endpoint.client).pk)
    a_push_request(
        Status.QUEUED, client=endpoint.client, expires_at=timezone.now() - timedelta(seconds=1)
    )
    relay.sweep()
    types = CallbackEvent.objects.order_by("id").values_list("type", flat=True)
    assert list(types) == [EventType.CANCELED, EventType.EXPIRED]


def test_an_endpoint_hears_of_what_it_has_chosen(receiver: Provider) -> None:
    endpoint, _ = an_endpoint(receiver.url, None, EventType.EXPIRED)
    ended(endpoint.client, Status.SUCCEEDED)
    ended(endpoint.client, Status.EXPIRED)
    assert CallbackEvent.objects.get().type == EventType.EXPIRED


def test_an_endpoint_that_was_just_deleted_does_not_fail_the_commit(receiver: Provider) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    endpoint_cache.by_client("default")
    CallbackEndpoint.objects.all().delete()
    ended(endpoint.client)
    assert sender.send(endpoint.pk) == 0


@pytest.mark.many_writers
def test_an_endpoint_is_deleted_while_what_came_of_its_attempts_is_written(
    receiver: Provider,
) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    ended(endpoint.client)
    claim = EndpointClaim.take(endpoint.pk)
    assert claim is not None
    event = CallbackEvent.objects.get()
    result = AttemptResult(event=event, started_at=timezone.now(), latency=1, status_code=500)
    is_writing, failed = threading.Event(), list[BaseException]()

    def write() -> None:
        try:
            with transaction.atomic():
                assert settle(claim, [result])
                is_writing.set()
                eventually(_somebody_waits, what="the deletion waits")
        except BaseException as error:
            failed.append(error)
        finally:
            is_writing.set()
            connections.close_all()

    writer = threading.Thread(target=write)
    writer.start()
    assert is_writing.wait(60)
    endpoints.delete(endpoint)
    writer.join()
    assert not failed
    assert not CallbackEvent.objects.exists()
    assert not CallbackAttempt.objects.exists()


def _somebody_waits() -> bool:
    waits = "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
    if connection.vendor == "postgresql":
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with connection.cursor() as cursor:
        cursor.execute(waits)
        (waiting,) = cursor.fetchone()
    return bool(waiting)


def test_what_is_done_to_an_endpoint_that_was_just_deleted(receiver: Provider) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    CallbackEndpoint.objects.all().delete()
    for act in (
        partial(endpoints.change, endpoint, event_types=[EventType.EXPIRED]),
        partial(endpoints.rotate, endpoint),
        partial(endpoints.resume, endpoint),
    ):
        with pytest.raises(CallbackEndpoint.DoesNotExist):
            act()
    endpoints.pause(endpoint)
    endpoints.delete(endpoint)
    assert not CallbackEndpoint.objects.exists()


def test_a_request_may_name_its_own_url_at_the_origin_of_an_endpoint(receiver: Provider) -> None:
    endpoint, secret = an_endpoint(receiver.url)
    own = receiver.url.replace("/messages", "/orders/17?x=1")
    ended(endpoint.client, callback_url=own)
    ended(endpoint.client, callback_url="https://elsewhere.example/")
    assert sender.send(endpoint.pk) == 1
    [request] = receiver.requests
    assert request.line == "POST /orders/17?x=1 HTTP/1.1"
    verified(request, secret)
