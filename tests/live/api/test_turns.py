"""The largest calls that are permitted, on a web server with greenlets: the others have their turn.

A call is worked off in slices. How long one takes depends on the machine, but not what share of the
call it is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.request import urlopen

import pytest

from django_pushjobs.api.parsers import MAX_VALUES
from tests.support.stack import Stack
from tests.support.waiting import eventually
from tests.support.web import Answer, Web

#: The most of a call's CPU time that may pass at a stretch, and seconds that always may: one
#: collection of garbage, or to parse as many values as are permitted.
SHARE, AT_A_STRETCH = 1 / 3, 0.1
#: Values of each of the 1,000 items of a batch.
EACH = MAX_VALUES // 1_000 - 10


@dataclass(frozen=True)
class Stood:
    """What the other greenlets felt of a call: see :mod:`tests.support.standing`."""

    stood: float
    used: float
    turns: int


class Called:
    def __init__(self, stack: Stack) -> None:
        self.web = Web(stack, application="tests.support.standing")
        self.watch()

    def watch(self) -> Stood:
        with urlopen(f"{self.web.url}/-/stood", timeout=60) as response:
            return Stood(**json.load(response))

    def call(self, status: int, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Make a call, and check its answer and what the others felt."""
        self.watch()
        answer = self.web.call(method, path, body, **headers)
        found = self.watch()
        print(f"{method} {path} {len(answer.body):,} bytes: {found}")
        assert answer.status == status, answer.body[:500]
        assert found.stood < max(AT_A_STRETCH, SHARE * found.used)
        # A slice is short, so a long call has many.
        assert found.turns > found.used / AT_A_STRETCH
        return answer


@pytest.fixture
def called(stack: Stack) -> Called:
    stack.gateway(latency_ms=0)
    return Called(stack)


def batch(*items: Any) -> Any:
    return {"items": [*items, *items[-1:] * (1_000 - len(items))]}


def test_batches(called: Called) -> None:
    good = {"recipients": ["token"], "title": "Hello"}
    called.call(202, "POST", "/batch", batch(good))
    wide = good | {"recipients": [f"token-{i}" for i in range(EACH)]}
    for key in "aa":
        called.call(202, "POST", "/batch", batch(wide), Idempotency_Key=key)
    called.call(202, "POST", "/batch", batch(good | {"data": {f"a{i}": i for i in range(EACH)}}))
    for bad in ({"recipients": [""] * EACH}, {f"a{i}": i for i in range(EACH)}):
        answer = called.call(202, "POST", "/batch", batch(good, bad))
        assert len(answer.body) < 2_000_000
        called.call(400, "POST", "/batch", batch(bad))
        called.call(200, "POST", "/batch", batch(good, bad) | {"validate_only": True})


def test_one_with_everything_that_a_body_may_hold(called: Called) -> None:
    for data in (
        dict.fromkeys(map(str, range(MAX_VALUES - 10)), 1),
        {"a": [1.5] * (MAX_VALUES - 10)},
        {"a": [{}] * (MAX_VALUES // 2 - 10)},
    ):
        called.call(400, "POST", "", {"recipients": ["token"], "data": data})
    called.call(400, "POST", "", dict.fromkeys(map(str, range(MAX_VALUES - 10)), 1))
    called.call(202, "POST", "", {"recipients": [f"{i:1900}".strip() for i in range(1_000)]})


def test_what_is_read(called: Called, stack: Stack) -> None:
    items = [{"recipients": [f"{i}-{n}-{'x' * 150}" for n in range(10)]} for i in range(1_000)]
    accepted = called.call(202, "POST", "/batch", {"items": items}).json["items"]
    ids = [ticket["push_request"]["id"] for ticket in accepted]
    many = {"recipients": [f"{n}-{'x' * 1_900}" for n in range(1_000)]}
    one = called.call(202, "POST", "", many).json["id"]
    worker = stack.worker("--processes", "1", "--burst")
    assert worker.wait(120) == 0
    eventually(lambda: stack.statuses() == {"succeeded": 1_001}, what=f"{stack.statuses()}")
    receipts = called.call(200, "POST", "/receipts", {"ids": ids}).json["items"]
    assert {len(receipt["deliveries"]) for receipt in receipts} == {10}
    page = called.call(200, "GET", f"/{one}/deliveries?page_size=1000").json
    assert len(page["results"]) == 1_000
    assert len(called.call(200, "GET", "?page_size=200").json["results"]) == 200
