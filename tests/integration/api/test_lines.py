"""Calls of one caller wait for each other, and for nobody else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from django.db import connection
from django.test import RequestFactory
from pytest_django import Settings

from django_pushjobs.api import lines
from django_pushjobs.api.exceptions import TooManyCalls
from django_pushjobs.models import PushRequest
from tests.support.third_party import ThirdParty, problem

ANN, BEN, EVE, ZOE = 1, 2, 3, 4


@pytest.fixture(autouse=True)
def _short(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"MAX_CLIENT_CALLS": 2}
    monkeypatch.setattr(lines, "MAX_WAITING", 1)
    monkeypatch.setattr(lines, "_known", type(lines._known)())
    lines.recognise(ANN)
    lines.recognise(BEN)


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as exits:
        yield exits


def waits(caller: int) -> tuple[threading.Thread, threading.Event, threading.Event]:
    """Begin a call that goes on until it is told: return what it runs in, the note that it has its
    turn, and what ends it."""
    begun, end = threading.Event(), threading.Event()

    def call() -> None:
        with lines.turn(caller):
            begun.set()
            end.wait(30)

    thread = threading.Thread(target=call)
    thread.start()
    return thread, begun, end


def test_the_line_of_one_caller_stops_nobody_else(held: ExitStack) -> None:
    held.enter_context(lines.turn(ANN))
    held.enter_context(lines.turn(ANN))
    third, begun, end = waits(ANN)
    with lines.turn(BEN):
        assert not begun.is_set()
    held.close()
    assert begun.wait(30)
    end.set()
    third.join()
    assert not lines._lines


def test_a_line_has_an_end(held: ExitStack) -> None:
    calls = [waits(ANN) for _ in range(3)]
    while lines._lines[ANN].calls < 3:
        pass
    with pytest.raises(TooManyCalls), lines.turn(ANN):
        pass
    with lines.turn(BEN):
        pass
    for thread, _, end in calls:
        end.set()
        thread.join()
    with lines.turn(ANN):
        pass


def test_strangers_share_a_line(held: ExitStack) -> None:
    held.enter_context(lines.turn(EVE))
    held.enter_context(lines.turn(ZOE))
    assert list(lines._lines) == [0]
    with lines.turn(ANN):
        pass
    lines.recognise(ZOE)
    with lines.turn(ZOE):
        assert len(lines._lines) == 2


def test_whoever_waits_for_something_else_lets_others_pass(held: ExitStack) -> None:
    held.enter_context(lines.turn(ANN))
    with lines.turn(ANN), lines.aside():
        third, begun, end = waits(ANN)
        assert begun.wait(30)
        end.set()
        third.join()


def test_whoever_stands_aside_makes_no_line_longer(held: ExitStack) -> None:
    """As with bodies that never come: they would keep all strangers out."""
    for _ in range(10):
        held.enter_context(lines.turn(EVE))
        held.enter_context(lines.aside())
    with lines.turn(ZOE):
        pass


def test_what_is_remembered_of_callers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "KEPT", 2)
    for caller in (EVE, ANN, ZOE):
        lines.recognise(caller)
    assert list(lines._known) == [ANN, ZOE]


def test_without_a_limit_there_are_no_lines(settings: Settings, held: ExitStack) -> None:
    settings.PUSHJOBS = settings.PUSHJOBS | {"MAX_CLIENT_CALLS": 0}
    for _ in range(20):
        held.enter_context(lines.turn(ANN))
    with lines.aside():
        assert not lines._lines


@pytest.mark.django_db(transaction=True)
def test_over_the_api(held: ExitStack) -> None:
    acme, other = ThirdParty(), ThirdParty("other")
    for party in (acme, other):
        assert party.post(body={"recipients": ["first"]}).status_code == 202
    request = RequestFactory().get("/", headers=acme._headers({}))
    caller = lines.caller_of(request, has_key=True)
    assert caller in lines._known
    for spelling in (f"bEARER   {acme.secret} ", f"Bearer {acme.secret}"):
        headers = {"Authorization": spelling, "X-API-Key": "x", "Cookie": "a=1"}
        spelled = RequestFactory().get("/", headers=headers)
        assert lines.caller_of(spelled, has_key=True) == caller
    calls = [waits(caller) for _ in range(3)]
    while lines._lines[caller].calls < 3:
        pass
    refused = acme.post(body={"recipients": ["token"]})
    assert problem(refused)["violated-policies"] == ["calls"]
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert other.post(body={"recipients": ["token"]}).status_code == 202
    for thread, _, end in calls[:1]:
        end.set()
        thread.join()
    # There is room in the line again: this one waits for the two, one of which ends.

    def post() -> int:
        try:
            status: int = acme.post(body={"recipients": ["token"]}).status_code
            return status
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post)
        calls[1][2].set()
        assert answer.result(30) == 202
    for thread, _, end in calls:
        end.set()
        thread.join()
    assert PushRequest.objects.count() == 4
    # Whoever has never been heard of shares a line with all of those.
    acme.secret = "nonsense"
    assert acme.get("").status_code == 401
    assert caller in lines._known
