"""Limits on the real server: exact, whoever asks, and never for longer than they say."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis
from redis.exceptions import RedisError

from django_pushjobs.broker import queues
from django_pushjobs.limits.rates import Grant, RateLimit, Take, take
from django_pushjobs.limits.slots import ConcurrencyLimit, acquire, release
from tests.support.waiting import eventually

#: So slow that nothing comes back while a test runs.
SLOW = RateLimit("slow", 10, 86_400)


def taken(limit: RateLimit, tokens: int = 1) -> Grant:
    [grant] = take(Take(limit, tokens))
    return grant


def test_a_limit_grants_what_it_has_and_no_more() -> None:
    grants = [taken(SLOW) for _ in range(12)]
    assert [grant.allowed for grant in grants] == [True] * 10 + [False] * 2
    assert [grant.remaining for grant in grants] == [*range(9, -1, -1), 0, 0]
    assert grants[0].retry_after == 0
    assert grants[0].reset_after == pytest.approx(8_640, abs=1)
    assert grants[-1].retry_after == pytest.approx(8_640, abs=60)
    assert grants[-1].reset_after == pytest.approx(86_400, abs=60)


def test_a_refusal_takes_nothing() -> None:
    assert taken(SLOW, 8).allowed
    assert not taken(SLOW, 3).allowed
    assert taken(SLOW, 2).allowed


def test_more_than_there_ever_are() -> None:
    grant = taken(SLOW, 11)
    assert not grant.allowed
    assert math.isinf(grant.retry_after)
    assert taken(SLOW, 10).allowed


def test_tokens_come_back_when_it_said() -> None:
    fast = RateLimit("fast", 100, 10, burst=2)
    assert taken(fast, 2).allowed
    refused = taken(fast)
    assert 0 < refused.retry_after <= 0.1
    time.sleep(refused.retry_after)
    assert taken(fast).allowed


def test_a_burst_is_what_can_be_saved_up(redis: Redis) -> None:
    steady = RateLimit("steady", 1_000_000, 1_000_000, burst=3)
    assert [taken(steady).allowed for _ in range(4)] == [True, True, True, False]
    redis.hincrby(steady.key, "at", -1_000_000_000)  # a thousand seconds ago
    assert taken(steady).remaining == 2


def test_fractions_are_not_lost(redis: Redis) -> None:
    thirds = RateLimit("thirds", 3, 86_400)
    assert taken(thirds, 3).allowed
    redis.hincrby(thirds.key, "at", -28_800_000_000)
    assert taken(thirds).allowed
    assert not taken(thirds).allowed


def test_a_clock_that_was_set_back_gives_nothing_back(redis: Redis) -> None:
    assert taken(SLOW, 10).allowed
    redis.hincrby(SLOW.key, "at", 3_600_000_000)
    assert not taken(SLOW).allowed


def test_a_fixed_window_ends_as_a_whole(redis: Redis) -> None:
    day = RateLimit("day", 10, 86_400, fixed=True)
    seconds, _ = redis.time()
    rest = 86_400 - seconds % 86_400
    assert taken(day, 10).reset_after == pytest.approx(rest, abs=30)
    refused = taken(day)
    assert not refused.allowed
    assert refused.retry_after == pytest.approx(rest, abs=30)
    redis.hincrby(day.key, "at", -1)  # it was yesterday
    assert taken(day).remaining == 9


def test_wishes_are_granted_each_for_itself() -> None:
    other = RateLimit("other", 1, 86_400)
    grants = take(Take(SLOW, 6), Take(other, 2), Take(SLOW, 5), Take(SLOW, 4))
    assert [grant.allowed for grant in grants] == [True, False, False, True]
    assert [grant.remaining for grant in grants] == [0, 1, 0, 0]


def test_nothing_stays_behind(redis: Redis) -> None:
    assert taken(RateLimit("brief", 5, 0.001)).allowed
    day = RateLimit("day", 5, 86_400, fixed=True)
    assert taken(day).allowed
    assert 0 < redis.pttl(day.key) <= 86_402_000
    eventually(lambda: redis.keys("*:brief") == [], what="the limit is forgotten")


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0, "window": 1},
        {"limit": 1, "window": 0},
        {"limit": 1, "window": 1, "burst": 0},
        {"limit": 1, "window": 1, "burst": 1, "fixed": True},
    ],
)
def test_a_limit_that_makes_no_sense(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="wrong"):
        RateLimit("wrong", **wrong)


DESK = ConcurrencyLimit("desk", 2)


def seated(*holders: str, lease: float = 60) -> tuple[str, ...]:
    [slots] = acquire([(DESK, holders)], lease=lease)
    return slots.held


def test_slots_go_to_the_first(redis: Redis) -> None:
    assert seated("a", "b", "c") == ("a", "b")
    [slots] = acquire([(DESK, ["d"])], lease=60)
    assert (slots.held, slots.in_use) == ((), 2)
    assert 59 < slots.retry_after <= 60
    [slots] = release([(DESK, ["a", "nobody"])])
    assert (slots.held, slots.in_use) == ((), 1)
    assert seated("d") == ("d",)


def test_to_acquire_again_takes_no_second_slot() -> None:
    assert seated("a") == seated("a") == ("a",)
    assert seated("b", "c") == ("b",)


def test_a_slot_is_free_when_its_lease_ends(redis: Redis) -> None:
    assert seated("dead", "alive", lease=0.05) == ("dead", "alive")
    [slots] = acquire([(DESK, ["alive"])], lease=60)
    assert slots.held == ("alive",)
    eventually(lambda: seated("next") == ("next",), what="the lease of the dead ends")
    [slots] = acquire([(DESK, ["dead", "alive"])], lease=60)
    assert slots.held == ("alive",)
    release([(DESK, ["alive", "next"])])
    assert redis.keys("*desk*") == []


def test_a_lease_is_never_shortened(redis: Redis) -> None:
    seated("a", lease=60)
    seated("a", lease=1)
    assert redis.pttl(DESK.key) > 59_000
    assert acquire([(DESK, ())], lease=1)[0].retry_after > 59


def test_many_limits_in_one_call() -> None:
    shop = ConcurrencyLimit("shop", 0)
    slots = acquire([(DESK, ["a"]), (shop, ["a"]), (DESK, ["b", "c"])], lease=60)
    assert [s.held for s in slots] == [("a",), (), ("b",)]
    assert [s.in_use for s in slots] == [1, 0, 2]


@pytest.mark.usefixtures("no_redis")
def test_without_redis_the_caller_hears_of_it() -> None:
    for ask in (lambda: taken(SLOW), lambda: seated("a"), lambda: release([(DESK, ["a"])])):
        with pytest.raises(RedisError):
            ask()


def test_redis_may_forget_the_script(redis: Redis) -> None:
    assert taken(SLOW).allowed
    redis.script_flush()
    assert taken(SLOW).allowed


RUSH = """
import sys, django
django.setup()
from concurrent.futures import ThreadPoolExecutor
from django_pushjobs.limits.rates import RateLimit, Take, take
from django_pushjobs.limits.slots import ConcurrencyLimit, acquire

limit, day = RateLimit("rush", 100, 86_400), RateLimit("day", 100, 86_400, fixed=True)
seats = ConcurrencyLimit("rush", 100)

def ask(number):
    rate, fixed = take(Take(limit), Take(day))
    [slots] = acquire([(seats, [f"{sys.argv[1]}-{number}"])], lease=60)
    return rate.allowed, fixed.allowed, bool(slots.held)

sys.stdin.read(1)
with ThreadPoolExecutor(8) as threads:
    print(*[sum(column) for column in zip(*threads.map(ask, range(150)))])
"""


def test_processes_share_a_limit_to_the_token() -> None:
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", RUSH, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
        )
        for number in range(2)
    ]
    with ThreadPoolExecutor(2) as threads:
        outputs = list(threads.map(lambda p: p.communicate("!", timeout=60)[0], programs))
    counts = [[int(count) for count in output.split()] for output in outputs]
    assert [sum(column) for column in zip(*counts, strict=True)] == [100, 100, 100]


def test_the_connection_is_that_of_the_queue() -> None:
    assert queues.connection() is queues.queue("normal").connection
