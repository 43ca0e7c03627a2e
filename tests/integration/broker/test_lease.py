"""What one process of a site holds at a time."""

from __future__ import annotations

import os
import subprocess

from redis import Redis

from django_pushjobs.broker.lease import Lease
from django_pushjobs.runtime.processes import new_token

KEY = "{tests}:lease:test"


def test_one_holds_it_until_it_is_dropped(redis: Redis) -> None:
    one, other = Lease("test", 60), Lease("test", 60)
    assert one.hold()
    assert not other.hold()
    assert one.hold()
    one.drop()
    assert other.hold()
    assert not one.hold()


def test_it_runs_out_where_it_is_not_renewed(redis: Redis) -> None:
    one, other = Lease("test", 60), Lease("test", 60)
    assert one.hold()
    assert 50_000 < redis.pttl(KEY) <= 60_000
    redis.delete(KEY)
    assert other.hold()
    assert not one.hold()


def test_a_process_that_is_dead_holds_nothing(redis: Redis) -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    redis.set(KEY, new_token().replace(f":{os.getpid()}:", f":{gone.pid}:"))
    assert Lease("test", 60).hold()
    assert redis.pttl(KEY) > 50_000


def test_of_a_process_elsewhere_nobody_knows(redis: Redis) -> None:
    redis.set(KEY, "another-host:1:1234")
    assert not Lease("test", 60).hold()
