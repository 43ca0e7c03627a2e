"""The header of VAPID: kept for hours, but by no clock for longer than it may be."""

from __future__ import annotations

import jwt
import pytest

from django_pushjobs.backends import vapid
from django_pushjobs.backends.vapid import KEPT, MIN_LIFETIME, RENEW_AFTER, Vapid

PRIVATE_KEY = vapid.private_text(vapid.new_key())
ORIGIN = "https://push.example.org"


class Clock:
    wall, steady = 1_700_000_000.0, 1_000.0

    def time(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.steady

    def let_pass(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(vapid, "time", clock)
    return clock


@pytest.fixture
def keys(clock: Clock) -> Vapid:
    return Vapid(PRIVATE_KEY, "mailto:push@example.org")


def expiry(header: str) -> int:
    token = header.removeprefix("vapid t=").split(",")[0]
    exp: int = jwt.decode(token, options={"verify_signature": False})["exp"]
    return exp


def test_it_is_kept_for_hours_and_ends_within_a_day(keys: Vapid, clock: Clock) -> None:
    first = keys.authorization(ORIGIN)
    assert clock.wall < expiry(first) <= clock.wall + 86_400
    clock.let_pass(RENEW_AFTER - 1)
    assert keys.authorization(ORIGIN) == first
    clock.let_pass(1)
    assert keys.authorization(ORIGIN) != first


@pytest.mark.parametrize("days", [3, 0.1, -3, -0.3])
def test_a_clock_that_was_wrong(keys: Vapid, clock: Clock, days: float) -> None:
    clock.wall += days * 86_400
    wrong = keys.authorization(ORIGIN)
    assert keys.authorization(ORIGIN) == wrong
    clock.wall -= days * 86_400
    right = keys.authorization(ORIGIN)
    assert right != wrong
    assert clock.wall < expiry(right) <= clock.wall + 86_400
    assert keys.authorization(ORIGIN) == right


def test_a_clock_that_is_set_back_again_and_again(keys: Vapid, clock: Clock) -> None:
    first = keys.authorization(ORIGIN)
    for _ in range(RENEW_AFTER // 600):
        clock.let_pass(600)
        clock.wall -= 600
    assert keys.authorization(ORIGIN) != first


def test_a_refused_one_is_made_anew_once_an_hour(keys: Vapid, clock: Clock) -> None:
    first = keys.authorization(ORIGIN)
    assert keys.renew(ORIGIN, first)
    second = keys.authorization(ORIGIN)
    assert second != first
    assert keys.renew(ORIGIN, first), "another greenlet has had it made"
    assert not keys.renew(ORIGIN, second)
    clock.wall -= 86_400
    assert not keys.renew(ORIGIN, keys.authorization(ORIGIN))
    clock.let_pass(MIN_LIFETIME)
    assert keys.renew(ORIGIN, keys.authorization(ORIGIN))


def test_another_origin_is_not_concerned(keys: Vapid) -> None:
    other = keys.authorization("https://other.example")
    assert keys.renew(ORIGIN, keys.authorization(ORIGIN))
    assert keys.authorization("https://other.example") == other
    assert keys.renew("https://other.example", other)


def test_refusals_are_bounded(keys: Vapid) -> None:
    for n in range(KEPT + 10):
        keys.renew(f"https://push-{n}.example", "")
    assert len(keys._refused) <= KEPT
