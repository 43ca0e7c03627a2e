"""The provider token of APNs: made once, kept between 20 and 60 minutes, never a stampede."""

from __future__ import annotations

import gevent
import gevent.pool
import jwt
import pytest

from django_pushjobs.backends.apns_token import (
    LIFETIME,
    MIN_LIFETIME,
    ProviderToken,
    provider_token,
)
from tests.support.apns import KEY_ID, TEAM_ID, make_key

KEY = make_key()


class Clock:
    """Both clocks: the one on the wall, which is ``set``, and the one that nobody sets."""

    now, steady = 1_700_000_000.0, 1_000.0

    def __call__(self) -> float:
        return self.now

    def let_pass(self, seconds: float) -> None:
        self.now += seconds
        self.steady += seconds

    def set(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def token(clock: Clock) -> ProviderToken:
    return ProviderToken(
        key=KEY, key_id=KEY_ID, team_id=TEAM_ID, clock=clock, steady=lambda: clock.steady
    )


def test_it_is_what_apple_wants(token: ProviderToken, clock: Clock) -> None:
    value = token.current()
    assert jwt.get_unverified_header(value) == {"alg": "ES256", "kid": KEY_ID}
    claims = jwt.decode(value, options={"verify_signature": False})
    assert claims == {"iss": TEAM_ID, "iat": int(clock.now)}


def test_it_lasts_between_20_and_60_minutes(token: ProviderToken, clock: Clock) -> None:
    assert 20 * 60 <= LIFETIME <= 60 * 60
    first = token.current()
    clock.let_pass(LIFETIME - 1)
    assert token.current() == first
    clock.let_pass(1)
    assert token.current() != first
    assert token.minted == 2


def test_a_thousand_greenlets_at_expiry_make_one(token: ProviderToken, clock: Clock) -> None:
    token.current()
    clock.let_pass(LIFETIME)

    def ask() -> str:
        gevent.sleep(0)
        return token.current()

    asking = [gevent.spawn(ask) for _ in range(1_000)]
    gevent.joinall(asking, raise_error=True)
    assert len({greenlet.value for greenlet in asking}) == 1
    assert token.minted == 2


def test_a_refused_one_is_made_anew_once(token: ProviderToken, clock: Clock) -> None:
    first = token.current()
    clock.let_pass(60)
    assert token.renew(first)
    second = token.current()
    assert second != first
    assert token.renew(first), "somebody else has made it already"
    assert not token.renew(second), "APNs bears no other within 20 minutes"
    assert token.current() == second
    assert token.minted == 2
    clock.let_pass(MIN_LIFETIME)
    assert token.renew(second)


def test_a_clock_that_was_set_back_makes_a_new_one(token: ProviderToken, clock: Clock) -> None:
    first = token.current()
    clock.set(-3_600)
    assert token.current() != first


@pytest.mark.parametrize("days", [3, 0.1, -3, -0.1])
def test_a_token_by_a_clock_that_was_wrong_does_not_live_on(
    token: ProviderToken, clock: Clock, days: float
) -> None:
    right = clock.now
    clock.set(days * 86_400)
    wrong = token.current()
    clock.let_pass(60)
    assert token.current() == wrong
    clock.now = right + 60
    value = token.current()
    assert value != wrong
    assert jwt.decode(value, options={"verify_signature": False})["iat"] == int(right + 60)
    assert token.current() == value


def test_a_clock_that_is_set_back_again_and_again_makes_no_token_eternal(
    token: ProviderToken, clock: Clock
) -> None:
    first = token.current()
    for _ in range(LIFETIME // 60):
        clock.let_pass(60)
        clock.set(-60)
    assert token.current() != first


def test_a_clock_that_is_adjusted_by_a_moment_makes_no_new_token(
    token: ProviderToken, clock: Clock
) -> None:
    first = token.current()
    clock.set(-2)
    assert token.current() == first


def test_a_clock_that_was_set_back_does_not_allow_another_renewal(
    token: ProviderToken, clock: Clock
) -> None:
    assert token.renew(token.current())
    clock.set(-86_400)
    assert not token.renew(token.current())


def test_aliases_with_the_same_key_share_it() -> None:
    shared = provider_token(key=KEY, key_id=KEY_ID, team_id=TEAM_ID)
    assert provider_token(key=KEY, key_id=KEY_ID, team_id=TEAM_ID) is shared
    assert provider_token(key=KEY, key_id="OTHER", team_id=TEAM_ID) is not shared


@pytest.mark.parametrize("key", ["", "nonsense", "-----BEGIN PRIVATE KEY-----\nAA==\n"])
def test_what_is_no_key_is_an_error_that_does_not_show_it(key: str) -> None:
    with pytest.raises(ValueError, match=r"^key must be a private key on P-256 in PEM$"):
        ProviderToken(key=key, key_id=KEY_ID, team_id=TEAM_ID)
