"""RATE and CONCURRENCY of a backend hold for all who push."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest
from pytest_django import Settings

from django_pushjobs import services
from django_pushjobs.delivery.attempts import deliver
from django_pushjobs.limits import throttle
from django_pushjobs.models import PushRequest
from django_pushjobs.states import Status

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def limited(settings: Settings) -> None:
    backend = {"BACKEND": "django_pushjobs.backends.dummy.DummyBackend"}
    settings.PUSHJOBS = settings.PUSHJOBS | {
        "BACKENDS": {
            "few": backend | {"CONCURRENCY": 2},
            "slow": backend | {"RATE": 20},
            "any": backend,
        },
        "DEFAULT_BACKEND": "any",
    }


def test_there_are_so_many_places_and_no_more() -> None:
    first, second, third = uuid4(), uuid4(), uuid4()
    assert throttle.enter("few", first)
    assert throttle.enter("few", second)
    assert not throttle.enter("few", third)
    # Who is in already stays in, say after an answer of Redis that was lost.
    assert throttle.enter("few", first)
    throttle.leave("few", first)
    assert throttle.enter("few", third)
    assert all(throttle.enter("any", uuid4()) for _ in range(10))


def test_who_finds_no_place_comes_again_and_loses_no_attempt() -> None:
    holders = [uuid4(), uuid4()]
    assert all(throttle.enter("few", holder) for holder in holders)
    row = services.submit(recipients=["a"], backend="few")
    assert deliver(row.pk) is Status.PENDING
    row.refresh_from_db()
    assert (row.status, row.attempts, row.journal.count()) == (Status.PENDING, 0, 0)
    throttle.leave("few", holders[0])
    PushRequest.objects.transition(Status.QUEUED)
    assert deliver(row.pk) is Status.SUCCEEDED
    # Its own place is free again.
    assert throttle.enter("few", uuid4())


def test_pushes_keep_the_rate() -> None:
    row = services.submit(recipients=[f"a{i}" for i in range(6)], backend="slow")
    began = time.monotonic()
    assert deliver(row.pk) is Status.SUCCEEDED
    # Two may go at once, the others one by one: fewer would be a rate that is not kept.
    assert time.monotonic() - began >= 4 / 20 - 0.01


def test_without_patience_the_turn_is_left_to_others() -> None:
    assert throttle.wait_turn("slow", 0.0)
    assert throttle.wait_turn("slow", 0.0)
    assert not throttle.wait_turn("slow", 0.0)
    assert throttle.wait_turn("any", 0.0)


@pytest.mark.usefixtures("no_redis")
def test_without_redis_nobody_is_kept_waiting() -> None:
    assert throttle.enter("few", uuid4())
    assert throttle.wait_turn("slow", 0.0)
    throttle.leave("few", uuid4())
