"""What a response means, and when to call again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from django_pushjobs.callbacks import schedule
from django_pushjobs.callbacks.results import AttemptResult, Verdict
from django_pushjobs.models import CallbackEvent

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def waits(attempts: int, retry_after: float | None = None) -> float:
    at = schedule.next_attempt(NOW, attempts, retry_after)
    assert at is not None
    return (at - NOW).total_seconds()


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        *[(code, Verdict.DELIVERED) for code in (200, 201, 202, 204, 299)],
        *[(code, Verdict.REJECTED) for code in (301, 302, 307, 308, 400, 401, 404, 500, 503)],
        *[(code, Verdict.THROTTLED) for code in (429, 502, 504)],
        (410, Verdict.GONE),
        (None, Verdict.NO_RESPONSE),
    ],
)
def test_every_response_has_a_verdict(status: int | None, verdict: Verdict) -> None:
    result = AttemptResult(event=CallbackEvent(), status_code=status, started_at=NOW, latency=1)
    assert result.verdict is verdict


def test_the_waits_are_those_of_the_schedule_and_a_little_more() -> None:
    minute, hour = 60, 3_600
    expected = [5, 5 * minute, 30 * minute]
    expected += [hours * hour for hours in (2, 5, 10, 14, 20, 24)]
    for attempts, least in enumerate(expected, start=1):
        assert least <= waits(attempts) <= least * 1.1
    assert schedule.next_attempt(NOW, len(expected) + 1, None) is None


def test_what_the_endpoint_asks_for_is_honoured_within_a_day() -> None:
    assert waits(1, retry_after=120) == 120
    assert waits(2, retry_after=1) >= 300
    assert waits(1, retry_after=10**9) == 86_400


def test_an_endpoint_that_costs_timeouts_is_left_alone_the_longer_the_longer_that_lasts() -> None:
    def rests(since: timedelta) -> float:
        until = schedule.resting_until(NOW, Verdict.NO_RESPONSE, None, NOW - since)
        assert until is not None
        return (until - NOW).total_seconds()

    assert rests(timedelta()) == 5
    assert rests(timedelta(minutes=1)) == 60
    assert rests(timedelta(days=1)) == 300
    assert schedule.resting_until(NOW, Verdict.REJECTED, None, NOW) is None
    assert schedule.resting_until(NOW, Verdict.THROTTLED, 7, NOW) == NOW + timedelta(seconds=7)


def test_failures_far_apart_are_not_one_that_lasts() -> None:
    old = NOW - timedelta(days=10)
    assert schedule.failing_since(NOW, None, None) == NOW
    assert schedule.failing_since(NOW, old, NOW - timedelta(hours=25)) == old
    assert schedule.failing_since(NOW, old, NOW - timedelta(days=3)) == NOW
