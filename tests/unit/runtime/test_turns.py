"""Long work is done in slices where threads are greenlets."""

from __future__ import annotations

from itertools import pairwise

import gevent
import pytest

from django_pushjobs.runtime import turns
from django_pushjobs.runtime.turns import in_turns


@pytest.fixture(autouse=True)
def _greenlets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "cooperative", lambda: True)
    # However fast this machine is, each item takes a whole stretch.
    monkeypatch.setattr(turns, "STRETCH", 0.0)


def steps_of(workers: int, items: int) -> list[int]:
    """Let greenlets work through ``items`` each; return how many were done when a turn began."""
    done, seen = 0, list[int]()

    def work() -> None:
        nonlocal done
        for _ in in_turns(range(items)):
            done += 1

    working = [gevent.spawn(work) for _ in range(workers)]
    while not all(greenlet.ready() for greenlet in working):
        seen.append(done)
        gevent.sleep(1e-6)
    assert done == workers * items
    return [later - earlier for earlier, later in pairwise(seen)]


def test_others_run_between_slices() -> None:
    assert len(steps_of(1, 50)) >= 25


def test_slices_of_many_do_not_add_up() -> None:
    # Each has its first slice; from then on one of them has one in each turn of the loop.
    assert max(steps_of(20, 20)[2:]) <= 2


def test_without_greenlets_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "cooperative", lambda: False)
    monkeypatch.setattr(turns, "give_way", lambda: pytest.fail("gave way"))
    assert list(in_turns("abc")) == ["a", "b", "c"]
