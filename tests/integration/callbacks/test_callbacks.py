"""From the transaction that ends a push request to the endpoint of the third party."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import django_rq
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.utils import timezone
from pytest_django import Settings
from redis import Redis
from rq.serializers import JSONSerializer

from django_pushjobs import relay, services
from django_pushjobs.callbacks import courier, endpoints, replays, sender, sweeping
from django_pushjobs.callbacks.attempts import attempt
from django_pushjobs.callbacks.batches import next_batch
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
    EndpointState,
    EventType,
    PushRequest,
)
from django_pushjobs.states import Status
from tests.support.callbacks import INSECURE, Clock, a_client, an_endpoint, verified
from tests.support.provider import Provider, http, provider, raw, silence
from tests.support.samples import a_push_request
from tests.support.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _insecure(settings: Settings) -> None:
    settings.PUSHJOBS = INSECURE


@pytest.fixture
def receiver() -> Iterator[Provider]:
    with provider() as running:
        yield running


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def ended(client: Any, status: Status = Status.SUCCEEDED, **fields: Any) -> PushRequest:
    """Store a request that ends in ``status``, as the writer does."""
    row = a_push_request(status, client=client, **fields)
    with transaction.atomic():
        announcements.record([Change.of(row)], using="default")
    return row


def jobs() -> list[Any]:
    return django_rq.get_queue("pushjobs", serializer=JSONSerializer).jobs


def an_event(endpoint: CallbackEndpoint) -> CallbackEvent:
    return endpoints.send_test(endpoint)


# The outbox.


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


# Jobs and claims.


def test_one_job_is_enqueued_however_much_happens(receiver: Provider) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    for _ in range(3):
        ended(endpoint.client)
    [job] = jobs()
    assert job.func_name == "django_pushjobs.jobs.call_endpoint"
    assert (list(job.args), job.kwargs) == ([str(endpoint.pk)], {})
    assert sender.send(endpoint.pk) == 3
    ended(endpoint.client)
    assert len(jobs()) == 2


def test_the_relay_enqueues_again_when_the_job_was_lost(receiver: Provider, redis: Redis) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    ended(endpoint.client)
    redis.flushdb()
    assert sweeping.sweep() == 1
    assert len(jobs()) == 1


@pytest.mark.usefixtures("no_redis")
def test_without_redis_the_event_waits(receiver: Provider) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    ended(endpoint.client)
    assert CallbackEvent.objects.due(timezone.now()).count() == 1


def test_one_sender_at_a_time_and_a_dead_one_is_relieved(receiver: Provider, clock: Clock) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    ended(endpoint.client)
    claims = CallbackEndpoint.objects.filter(pk=endpoint.pk)
    claims.update(owner="elsewhere:1:x", lease_expires_at=clock.now + timedelta(seconds=60))
    assert sender.send(endpoint.pk) == 0
    assert sweeping.sweep() == 0
    clock.advance(seconds=61)
    assert sweeping.sweep() == 1
    assert sender.send(endpoint.pk) == 1
    assert not CallbackEndpoint.objects.exclude(owner="").exists()


def test_a_claim_that_was_lost_writes_nothing(receiver: Provider) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    event = an_event(endpoint)

    claim = EndpointClaim.take(endpoint.pk)
    assert claim is not None
    results = attempt(claim.endpoint, next_batch(claim), lookup=None, ends_at=math.inf)
    CallbackEndpoint.objects.update(owner="somebody else")
    assert not settle(claim, results)
    assert not CallbackAttempt.objects.exists()
    event.refresh_from_db()
    assert event.attempts == 0


# The schedule.


def test_an_endpoint_that_answers_500_for_an_hour_gets_the_schedule(
    receiver: Provider, clock: Clock
) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    receiver.script(*[http(500, b"out of order")] * 4)
    event = an_event(endpoint)
    began = clock.now
    calls: list[float] = []
    while event.status == CallbackStatus.PENDING:
        assert event.next_attempt_at is not None
        clock.now = event.next_attempt_at - timedelta(milliseconds=1)
        assert sweeping.sweep() == 0
        clock.now = event.next_attempt_at
        assert sweeping.sweep() == 1
        assert sender.send(endpoint.pk) == 1
        calls.append((clock.now - began).total_seconds())
        event.refresh_from_db()
    least = [0, 5, 305, 2_105, 9_305]  # at once, after 5 s, 5 m, 30 m, 2 h
    assert len(calls) == len(least)
    assert all(due <= made <= due * 1.1 for made, due in zip(calls, least, strict=True))
    ids = {request.headers["webhook-id"] for request in receiver.requests}
    assert ids == {str(event.pk)}
    stamps = [int(request.headers["webhook-timestamp"]) for request in receiver.requests]
    assert stamps == sorted(set(stamps))
    journal = CallbackAttempt.objects.values_list("number", "status_code", "response")
    assert list(journal[:2]) == [(1, 500, "out of order"), (2, 500, "out of order")]
    assert journal.last() == (5, 200, "")
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.failing_since) == (EndpointState.ACTIVE, None)


def test_after_the_last_attempt_the_event_has_failed(receiver: Provider, clock: Clock) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    receiver.script(*[http(500)] * 10)
    event = an_event(endpoint)
    for _ in range(10):
        assert event.next_attempt_at is not None
        clock.now = event.next_attempt_at
        assert sender.send(endpoint.pk) == 1
        event.refresh_from_db()
    assert sender.send(endpoint.pk) == 0
    assert (event.status, event.attempts) == (CallbackStatus.FAILED, 10)


def test_retry_after_is_honoured_and_throttles_the_endpoint(
    receiver: Provider, clock: Clock
) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    receiver.script(http(429, Retry_After="120"))
    an_event(endpoint)
    assert sender.send(endpoint.pk) == 1
    an_event(endpoint)
    clock.advance(seconds=119)
    assert sender.send(endpoint.pk) == 0
    assert sweeping.sweep() == 0
    clock.advance(seconds=1)
    assert sweeping.sweep() == 1
    assert sender.send(endpoint.pk) == 2


def test_410_disables_the_endpoint_and_others_hear_of_it(receiver: Provider) -> None:
    client = a_client()
    endpoint, _ = an_endpoint(receiver.url, client)
    other, secret = an_endpoint(receiver.url, client)
    receiver.script(http(410))
    waiting = an_event(endpoint)
    assert sender.send(endpoint.pk) == 1
    endpoint.refresh_from_db()
    waiting.refresh_from_db()
    assert (endpoint.state, endpoint.reason) == (EndpointState.DISABLED, "gone")
    assert endpoint.disabled_at is not None
    assert waiting.status == CallbackStatus.FAILED
    assert sender.send(other.pk) == 1
    body = verified(receiver.requests[-1], secret)
    assert body["type"] == "push.endpoint.disabled"
    assert body["data"]["endpoint_id"] == str(endpoint.pk)
    assert body["data"]["reason"] == "gone"


def test_five_days_of_failure_disable_the_endpoint(receiver: Provider, clock: Clock) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    receiver.script(*[http(503)] * 100)
    for _ in range(5):
        an_event(endpoint)
        sender.send(endpoint.pk)
        clock.advance(days=1)
        endpoint.refresh_from_db()
        assert endpoint.state == EndpointState.ACTIVE
    sender.send(endpoint.pk)
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.reason) == (EndpointState.DISABLED, "failing")
    # What happens from here on is set aside, and can be replayed once it is resumed.
    endpoint_cache.clear()
    ended(endpoint.client)
    assert not CallbackEvent.objects.pending().exists()
    endpoints.resume(endpoint)
    receiver.answers.clear()
    since = clock.now - timedelta(days=6)
    assert replays.replay_since(since, endpoints=[endpoint], failed_only=True) == 6
    assert sender.send(endpoint.pk) == 6


# What endpoints may do to us.


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


# Order, pause, replay, retention.


def test_what_waits_behind_another_is_not_due(receiver: Provider, clock: Clock) -> None:
    """Else the job of the endpoint would be enqueued again and again until then."""
    endpoint, _ = an_endpoint(receiver.url)
    row = a_push_request(Status.FAILED, client=endpoint.client)
    events = []
    for status in (Status.FAILED, Status.SUCCEEDED):
        PushRequest.objects.filter(pk=row.pk).update(status=status, updated_at=clock.now)
        row.refresh_from_db()
        with transaction.atomic():
            announcements.record([Change.of(row)], using="default")
        if not events:
            receiver.script(http(500))
            assert sender.send(endpoint.pk) == 1
        events = list(CallbackEvent.objects.order_by("created_at"))
        clock.advance(seconds=1)
    django_rq.get_queue("pushjobs", serializer=JSONSerializer).empty()
    assert sender.send(endpoint.pk) == 0
    assert jobs() == []
    assert sweeping.sweep() == 0
    # Once the first one has been delivered, the second one follows at once.
    clock.advance(seconds=10)
    assert sweeping.sweep() == 1
    assert sender.send(endpoint.pk) == 2
    told = [request.json["data"]["status"] for request in receiver.requests]
    assert told == ["failed", "failed", "succeeded"]


def test_what_waits_behind_a_long_wait_follows_a_replay(receiver: Provider, clock: Clock) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    row = a_push_request(Status.FAILED, client=endpoint.client)
    for status in (Status.FAILED, Status.SUCCEEDED):
        PushRequest.objects.filter(pk=row.pk).update(status=status, updated_at=clock.now)
        row.refresh_from_db()
        with transaction.atomic():
            announcements.record([Change.of(row)], using="default")
        clock.advance(seconds=1)
    first = CallbackEvent.objects.order_by("created_at").first()
    assert first is not None
    CallbackEvent.objects.filter(pk=first.pk).update(
        attempts=3, next_attempt_at=clock.now + timedelta(hours=2)
    )
    assert sender.send(endpoint.pk) == 0
    CallbackEvent.objects.filter(pk=first.pk).update(next_attempt_at=clock.now)
    assert sender.send(endpoint.pk) == 2


def test_the_events_of_one_request_keep_their_order(receiver: Provider, clock: Clock) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    row = a_push_request(Status.FAILED, client=endpoint.client)
    for status in (Status.FAILED, Status.SUCCEEDED):
        PushRequest.objects.filter(pk=row.pk).update(status=status, updated_at=clock.now)
        row.refresh_from_db()
        with transaction.atomic():
            announcements.record([Change.of(row)], using="default")
        clock.advance(seconds=1)
    other = ended(endpoint.client)
    receiver.script(http(500))
    assert sender.send(endpoint.pk) == 2  # the first of this one, and the other's
    clock.advance(seconds=10)
    assert sender.send(endpoint.pk) == 2
    told = [(r.json["data"]["id"], r.json["data"]["status"]) for r in receiver.requests]
    assert [status for pk, status in told if pk == str(row.pk)] == ["failed", "failed", "succeeded"]
    assert (str(other.pk), "succeeded") in told


def test_a_paused_endpoint_is_told_later(receiver: Provider) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    endpoints.pause(endpoint)
    ended(endpoint.client)
    assert sweeping.sweep() == 0
    assert sender.send(endpoint.pk) == 0
    endpoints.resume(endpoint)
    assert len(jobs()) >= 1
    assert sender.send(endpoint.pk) == 1


def test_a_rotation_signs_with_both_secrets_for_a_while(receiver: Provider, clock: Clock) -> None:
    endpoint, old = an_endpoint(receiver.url)
    new = endpoints.rotate(endpoint)
    an_event(endpoint)
    sender.send(endpoint.pk)
    verified(receiver.requests[0], old)
    verified(receiver.requests[0], new)
    endpoint.refresh_from_db()
    assert endpoint.secrets(clock.advance(days=1, seconds=1)) == [new]


def test_a_secret_is_stored_encrypted_and_survives_a_new_secret_key(
    receiver: Provider, settings: Settings
) -> None:
    endpoint, secret = an_endpoint(receiver.url)
    assert secret.removeprefix("whsec_") not in endpoint.encrypted_secret
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "a new one"
    assert endpoint.secrets(timezone.now()) == [secret]
    settings.SECRET_KEY_FALLBACKS = []
    an_event(endpoint)
    assert sender.send(endpoint.pk) == 1
    assert CallbackAttempt.objects.get().error_code == "secret_unreadable"
    # Rotating mends it at once, although the previous secret is lost.
    new = endpoints.rotate(endpoint)
    assert endpoint.secrets(timezone.now()) == [new]


def test_a_replay_has_the_same_id_and_body(receiver: Provider) -> None:
    endpoint, secret = an_endpoint(receiver.url)
    ended(endpoint.client)
    event = CallbackEvent.objects.get()
    assert not replays.replay(event)  # it waits anyway
    sender.send(endpoint.pk)
    assert replays.replay(event)
    sender.send(endpoint.pk)
    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    verified(second, secret)


def test_replay_since_leaves_out_what_is_older(receiver: Provider, clock: Clock) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    old = an_event(endpoint)
    sender.send(endpoint.pk)
    CallbackEvent.objects.filter(pk=old.pk).update(created_at=clock.now - timedelta(days=1))
    an_event(endpoint)
    sender.send(endpoint.pk)
    since = clock.now - timedelta(hours=1)
    assert replays.replay_since(since, endpoints=[endpoint], failed_only=True) == 0
    assert replays.replay_since(since, endpoints=[endpoint]) == 1


def test_old_callbacks_are_pruned_with_their_attempts(receiver: Provider, clock: Clock) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    an_event(endpoint)
    sender.send(endpoint.pk)
    assert relay.sweep().pruned == 0
    clock.advance(days=8)
    assert relay.sweep().pruned == 1
    assert not CallbackAttempt.objects.exists()


def test_a_slow_endpoint_delays_nobody_else(receiver: Provider) -> None:
    slow_one, _ = an_endpoint(receiver.url, a_client("Slow"))
    reached, go_on = threading.Event(), threading.Event()

    def wait(connection: socket.socket) -> None:
        reached.set()
        go_on.wait(10)
        http()(connection)

    receiver.script(wait)
    an_event(slow_one)
    thread = threading.Thread(target=_in_thread, args=(slow_one.pk,))
    thread.start()
    assert reached.wait(10)
    try:
        with provider() as other_receiver:
            other, _ = an_endpoint(other_receiver.url, a_client("Other"))
            an_event(other)
            assert sender.send(other.pk) == 1
            assert sender.send(slow_one.pk) == 0  # its one job runs already
    finally:
        go_on.set()
        thread.join(10)


def _in_thread(endpoint_id: Any) -> None:
    from django.db import connection

    try:
        sender.send(endpoint_id)
    finally:
        connection.close()


def test_the_command_replays(receiver: Provider, capsys: pytest.CaptureFixture[str]) -> None:
    endpoint, _ = an_endpoint(receiver.url)
    an_event(endpoint)
    sender.send(endpoint.pk)
    call_command("pushjobs_callbacks", "replay", "--since", "2020-01-01T00:00:00Z", "--failed")
    call_command("pushjobs_callbacks", "replay", "--since", "2020-01-01", "--client", "Shop")
    assert capsys.readouterr().out == "replayed 0\nreplayed 1\n"
    assert sender.send(endpoint.pk) == 1
    with pytest.raises(CommandError, match="no such endpoint"):
        call_command("pushjobs_callbacks", "replay", "--since", "2020-01-01", "--client", "Nobody")
    with pytest.raises(CommandError, match="not a time"):
        call_command("pushjobs_callbacks", "replay", "--since", "yesterday")
