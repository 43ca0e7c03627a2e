"""A relay that finds more than one sweep moves goes on at once, and moves nothing twice."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from importlib import import_module
from itertools import count

import pytest
from django.db import connections
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings
from redis import Redis

from django_pushjobs import relay
from django_pushjobs.broker import queues
from django_pushjobs.callbacks import sweeping
from django_pushjobs.limits import ramp
from django_pushjobs.models import (
    ApiClient,
    CallbackEndpoint,
    CallbackEvent,
    EndpointState,
    PushRequest,
)
from django_pushjobs.relay.loop import Relay
from django_pushjobs.states import Status
from tests.support.callbacks import a_client
from tests.support.samples import a_push_request
from tests.support.scripted import ENTRY

pytestmark = pytest.mark.django_db(transaction=True)

#: The package gives the name of the module to its function.
sweeps = import_module("django_pushjobs.relay.sweep")
LIMIT = 3


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "LIMIT", LIMIT)
    monkeypatch.setattr(sweeps, "END_BATCH", 2)


def due(number: int, **fields: object) -> list[PushRequest]:
    now = timezone.now()
    return [a_push_request(Status.PENDING, next_attempt_at=now, **fields) for _ in range(number)]


def an_endpoint(client: ApiClient, state: EndpointState) -> CallbackEndpoint:
    return CallbackEndpoint.objects.create(
        client=client, url="https://example.com/", encrypted_secret="x", state=state,
        verified_at=timezone.now(),
    )  # fmt: skip


def having(status: Status) -> int:
    return PushRequest.objects.filter(status=status).count()


def turns(process: Relay) -> int:
    """Return the sweeps that follow each other at once."""
    for number in count(1):
        if not process.turn():
            return number
    raise AssertionError


def jobs() -> list[str]:
    return queues.queue("normal").job_ids


def test_a_full_sweep_goes_on_at_once() -> None:
    due(3 * LIMIT + 1)
    assert turns(Relay()) == 4
    assert having(Status.QUEUED) == len(jobs()) == 3 * LIMIT + 1


@pytest.mark.usefixtures("no_redis")
def test_without_redis_there_is_nothing_to_go_on_with() -> None:
    due(LIMIT)
    assert turns(Relay()) == 1


def test_what_redis_refuses_is_not_asked_again_at_once(redis: Redis) -> None:
    due(2 * LIMIT)
    redis.config_set("maxmemory", 1)
    try:
        assert turns(Relay()) == 1
    finally:
        redis.config_set("maxmemory", 0)
    assert having(Status.PENDING) == 2 * LIMIT
    assert turns(Relay()) == 3


def test_an_idle_sweep_is_two_queries(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    a_push_request(Status.SUCCEEDED)
    relay.sweep()
    with django_assert_num_queries(2):
        assert not relay.sweep()


def test_what_expires_together_goes_on_at_once_and_each_is_announced() -> None:
    client = a_client()
    an_endpoint(client, EndpointState.PAUSED)
    due(2 * LIMIT + 1, client=client, expires_at=timezone.now() - timedelta(seconds=1))
    assert turns(Relay()) == 3
    assert having(Status.EXPIRED) == CallbackEvent.objects.count() == 2 * LIMIT + 1
    assert PushRequest.objects.filter(error_code="expired").count() == 2 * LIMIT + 1


def test_lost_jobs_are_found_in_one_go(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "LOOKED_AT", 2)
    due(3 * LIMIT)
    process = Relay()
    turns(process)
    redis.flushdb()
    PushRequest.objects.update(queued_at=timezone.now() - timedelta(minutes=1))
    turns(Relay())
    assert len(jobs()) == 3 * LIMIT


def test_an_outage_still_lets_out_bit_by_bit(settings: Settings) -> None:
    """Other requests make the sweeps full; those of the backend that was away wait for a step."""
    backends = settings.PUSHJOBS["BACKENDS"]
    settings.PUSHJOBS = settings.PUSHJOBS | {"BACKENDS": backends | {"away": ENTRY}}
    ramp.begin("away", 100, away_for=20.0)
    due(ramp.FIRST + 5, backend="away")
    due(2 * LIMIT)
    assert turns(Relay()) > 2
    queued = PushRequest.objects.filter(status=Status.QUEUED)
    assert queued.filter(backend="away").count() == ramp.FIRST
    assert queued.count() == ramp.FIRST + 2 * LIMIT
    assert relay.sweep(step=False).enqueued == 0
    assert relay.sweep(step=True).enqueued == LIMIT


def test_all_endpoints_that_wait_are_enqueued(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "LIMIT", 2)
    client = a_client()
    for _ in range(5):
        CallbackEvent.objects.create(
            endpoint=an_endpoint(client, EndpointState.ACTIVE), data={},
            type="push.request.completed", next_attempt_at=timezone.now(),
        )  # fmt: skip
    assert relay.sweep().callbacks == 5


def at_the_same_time(act: Callable[[], int]) -> int:
    """Let two processes act, and return the sum of what they did."""
    start = threading.Barrier(2)

    def run(number: int) -> int:
        start.wait()
        try:
            return sum(act() for _ in range(20))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(run, range(2)))


@pytest.mark.many_writers
def test_two_relays_at_the_same_time_move_nothing_twice() -> None:
    due(10 * LIMIT)
    assert at_the_same_time(lambda: relay.sweep().enqueued) == 10 * LIMIT
    assert Counter(jobs()).most_common(1)[0][1] == 1
    assert len(jobs()) == 10 * LIMIT
    assert set(PushRequest.objects.values_list("enqueues", flat=True)) == {1}


@pytest.mark.many_writers
def test_two_relays_at_the_same_time_end_nothing_twice() -> None:
    due(10 * LIMIT, expires_at=timezone.now() - timedelta(seconds=1))
    assert at_the_same_time(lambda: relay.sweep().expired) == 10 * LIMIT
