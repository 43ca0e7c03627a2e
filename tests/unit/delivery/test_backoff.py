from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import mean

import pytest

from django_pushjobs.conf import conf
from django_pushjobs.delivery.backoff import backoff, next_attempt, retry_until
from django_pushjobs.transport.retry_after import MAX_RETRY_AFTER

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def seed() -> Iterator[None]:
    state = random.getstate()
    random.seed(7)
    yield
    random.setstate(state)


@pytest.mark.parametrize(
    ("attempt", "ceiling"), [(1, 2), (2, 4), (3, 8), (9, 512), (10, 600), (50, 600), (10_000, 600)]
)
def test_the_ceiling_doubles_up_to_the_cap(attempt: int, ceiling: float) -> None:
    waits = [backoff(attempt, base=2, cap=600) for _ in range(2_000)]
    assert 0 <= min(waits) < ceiling * 0.05
    assert ceiling * 0.95 < max(waits) <= ceiling


def test_no_base_is_no_wait() -> None:
    assert backoff(5, base=0, cap=600) == 0


def test_the_provider_is_never_asked_earlier_than_it_said() -> None:
    for attempt in range(1, 20):
        due = next_attempt(NOW, attempt, base=2, cap=600, retry_after=30)
        assert due is not None
        assert due >= NOW + timedelta(seconds=30)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [(1e300, MAX_RETRY_AFTER), (math.inf, MAX_RETRY_AFTER), (-50.0, 0), (math.nan, 0)],
)
def test_a_senseless_wish_does_no_harm(retry_after: float, seconds: float) -> None:
    due = next_attempt(NOW, 1, base=0, cap=0, retry_after=retry_after)
    assert due == NOW + timedelta(seconds=seconds)


def test_the_last_attempt_is_made_at_the_end_or_when_the_provider_allows_it() -> None:
    until = NOW + timedelta(seconds=60)
    for _ in range(100):
        due = next_attempt(NOW, 20, base=2, cap=3_600, until=until)
        assert due is not None
        assert NOW <= due <= until
    late = next_attempt(NOW, 20, base=2, cap=3_600, retry_after=90, until=until)
    assert late == NOW + timedelta(seconds=90)


def test_the_default_series_makes_about_sixty_attempts_in_a_day() -> None:
    made = []
    for _ in range(50):
        attempt, now, until = 1, NOW, retry_until(NOW)
        while now < until:
            due = next_attempt(
                now, attempt, base=conf().RETRY_BASE, cap=conf().RETRY_CAP, until=until
            )
            assert due is not None
            attempt, now = attempt + 1, due
        made.append(attempt)
    assert until == NOW + timedelta(days=1)
    assert 55 <= mean(made) <= 65


def test_nothing_is_tried_again_once_it_has_expired() -> None:
    limits = {"base": 0.0, "cap": 0.0}
    expires_at = NOW + timedelta(seconds=60)
    assert next_attempt(NOW, 1, **limits, retry_after=60, expires_at=expires_at) is None
    assert next_attempt(NOW, 1, **limits, retry_after=59, expires_at=expires_at) is not None
    assert next_attempt(NOW, 1, **limits, expires_at=NOW) is None
