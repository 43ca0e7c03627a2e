"""Who sends the events of an endpoint, and when."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from django.utils import timezone
from redis import Redis

from django_pushjobs.callbacks import endpoints, replays, sender, sweeping
from django_pushjobs.callbacks.attempts import attempt
from django_pushjobs.callbacks.batches import next_batch
from django_pushjobs.callbacks.claims import EndpointClaim
from django_pushjobs.callbacks.endpoint_cache import endpoint_cache
from django_pushjobs.callbacks.settlements import settle
from django_pushjobs.models import (
    CallbackAttempt,
    CallbackEndpoint,
    CallbackEvent,
    CallbackStatus,
    EndpointState,
)
from tests.support.callbacks import (
    Clock,
    a_client,
    an_endpoint,
    an_event,
    ended,
    jobs,
    verified,
)
from tests.support.provider import Provider, http

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("insecure_destinations"),
]


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
