"""A thousand greenlets and one token."""

from __future__ import annotations

import time

import gevent
import pytest
from gevent.event import Event

from django_pushjobs.backends import Outcome, OutcomeClass
from django_pushjobs.backends.shared_token import SharedToken, Token, TokenUnavailable

DOWN = Outcome(kind=OutcomeClass.RETRY, code="no_token", detail="nobody answers")


class Server:
    """An authorization server. ``failing``: it issues no token; ``held``: it answers later."""

    def __init__(self, lifetime: float = 3_600) -> None:
        self.lifetime, self.calls, self.failing = lifetime, 0, False
        self.held: Event | None = None

    def fetch(self) -> Token:
        self.calls += 1
        if self.held is None:
            gevent.sleep(0.05)
        else:
            assert self.held.wait(20)
        if self.failing:
            raise TokenUnavailable(DOWN)
        return Token(f"token-{self.calls}", time.monotonic() + self.lifetime)


def start(token: SharedToken, count: int) -> list[gevent.Greenlet]:
    def one() -> str:
        try:
            return token.get()
        except TokenUnavailable as failure:
            return failure.outcome.code

    return [gevent.spawn(one) for _ in range(count)]


def ask(token: SharedToken, count: int) -> list[str]:
    return [greenlet.get() for greenlet in start(token, count)]


def test_a_thousand_greenlets_fetch_one_token() -> None:
    server = Server()
    token = SharedToken(server.fetch)
    assert set(ask(token, 1_000)) == {"token-1"}
    assert server.calls == 1


def test_a_thousand_greenlets_at_expiry_cause_one_refresh() -> None:
    server = Server(lifetime=0.0)
    token = SharedToken(server.fetch)
    assert token.get() == "token-1"
    server.lifetime = 3_600
    assert set(ask(token, 1_000)) == {"token-2"}
    assert server.calls == 2


def test_ahead_of_its_end_one_renews_it_and_nobody_else_waits() -> None:
    server = Server(lifetime=200)
    token = SharedToken(server.fetch, ahead=300)
    assert token.get() == "token-1"
    server.lifetime, server.held = 3_600, Event()
    greenlets = start(token, 1_000)
    done = gevent.joinall(greenlets, timeout=20, count=999)
    assert [greenlet.value for greenlet in done] == ["token-1"] * 999
    server.held.set()
    assert sorted(greenlet.get() for greenlet in greenlets) == ["token-1"] * 999 + ["token-2"]
    server.held = None
    assert set(ask(token, 10)) == {"token-2"}
    assert server.calls == 2


def test_a_failure_is_shared_and_it_resumes_by_itself() -> None:
    server = Server()
    server.failing = True
    token = SharedToken(server.fetch, rest=0.2)
    assert set(ask(token, 1_000)) == {"no_token"}
    assert server.calls == 1
    server.failing = False
    gevent.sleep(0.25)
    assert set(ask(token, 1_000)) == {"token-2"}
    assert server.calls == 2


def test_a_failure_ahead_of_the_end_leaves_the_old_token() -> None:
    server = Server(lifetime=200)
    token = SharedToken(server.fetch, ahead=300, rest=60)
    token.get()
    server.failing = True
    assert set(ask(token, 100)) == {"token-1"}
    assert server.calls == 2


def test_a_refused_token_is_renewed_once() -> None:
    server = Server()
    token = SharedToken(server.fetch, rest=0.0, refused_rest=60)
    assert token.get() == "token-1"
    assert [token.refuse("token-1") for _ in range(3)] == [True] * 3
    assert set(ask(token, 100)) == {"token-2"}
    assert not token.refuse("token-2")
    assert token.get() == "token-2"
    assert server.calls == 2


@pytest.mark.parametrize("interrupt", [gevent.GreenletExit(), gevent.Timeout()])
def test_the_one_that_fetches_may_be_interrupted(interrupt: BaseException) -> None:
    server = Server()
    server.held = Event()
    token = SharedToken(server.fetch)
    first = gevent.spawn(token.get)
    while not server.calls:
        gevent.sleep(0)
    waiting = gevent.spawn(token.get)
    gevent.sleep(0)
    first.kill(interrupt, block=False)
    server.held = None
    assert waiting.get(timeout=10) == "token-2"
