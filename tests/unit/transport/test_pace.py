"""A greenlet that reads without end, and the others."""

from __future__ import annotations

from itertools import pairwise

import gevent
import pytest
from gevent import Timeout

from django_pushjobs.transport import pace
from django_pushjobs.transport.intake import Intake, TooLong
from django_pushjobs.transport.pace import Pace


class Flood:
    """A socket that always has something to read."""

    def __init__(self) -> None:
        self.given = 0

    def recv(self, size: int) -> bytes:
        self.given += size
        return bytes(size)

    def close(self) -> None:
        pass


def read_for_ever(flood: Flood, size: int = 4_096) -> None:
    own = Pace()
    while True:
        own.read(flood.recv, size)


def test_others_run_after_so_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "STRETCH_SECONDS", 1_000.0)
    monkeypatch.setattr(pace, "_WAITED", 1_000.0)
    flood, seen = Flood(), [0]
    reading = gevent.spawn(read_for_ever, flood)
    for _ in range(50):
        gevent.sleep(1e-6)
        seen.append(flood.given)
    reading.kill()
    steps = [later - earlier for earlier, later in pairwise(seen)]
    assert max(steps) <= pace.STRETCH_BYTES
    assert sum(steps) > pace.STRETCH_BYTES


def test_many_that_read_without_end_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "STRETCH_SECONDS", 1_000.0)
    monkeypatch.setattr(pace, "_WAITED", 1_000.0)
    flood = Flood()
    reading = [gevent.spawn(read_for_ever, flood) for _ in range(20)]
    gevent.sleep(0.01)  # each has had its first stretch
    seen = []
    for _ in range(50):
        gevent.sleep(1e-6)
        seen.append(flood.given)
    gevent.killall(reading)
    steps = [later - earlier for earlier, later in pairwise(seen)]
    assert max(steps) <= 2 * pace.STRETCH_BYTES


def test_a_deadline_is_a_deadline() -> None:
    for size in (1, 65_536):
        with pytest.raises(Timeout), Timeout(0.05):
            read_for_ever(Flood(), size)


def test_a_read_that_waited_is_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[Pace] = []
    monkeypatch.setattr(Pace, "_give_way", turns.append)

    def slow(size: int) -> bytes:
        gevent.sleep(0.006)
        return b"x"

    own = Pace()
    for _ in range(5):
        own.read(slow, 1)
    assert not turns


def test_an_answer_has_so_much_room() -> None:
    flood = Flood()
    intake = Intake(flood, 10_000)
    assert [len(intake.recv(4_096)) for _ in range(3)] == [4_096, 4_096, 1_808]
    with pytest.raises(TooLong):
        intake.recv(1)
    assert flood.given == 10_000
