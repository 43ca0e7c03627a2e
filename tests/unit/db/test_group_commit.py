"""Group commit: who hands over at the same time is committed together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from django.db import OperationalError

from django_pushjobs.db import group_commit
from django_pushjobs.db.group_commit import WEIGHT, Writer
from tests.support.waiting import eventually

#: Seconds until a test gives up on a thread.
PATIENCE = 30.0


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadPoolExecutor]:
    """Threads to hand over from; a writer has one of its own, as in ``rqgeventworker``."""
    monkeypatch.setattr(group_commit, "cooperative", lambda: True)
    with ThreadPoolExecutor(16) as pool:
        yield pool


class Book:
    """Writes numbers: what a :class:`Writer` does for a test."""

    def __init__(self, *, closed: bool = False) -> None:
        self.groups: list[list[int]] = []
        self.errors: list[Exception] = []
        #: Set while it may write.
        self.open = threading.Event()
        #: Set once it has been asked to.
        self.asked = threading.Event()
        if not closed:
            self.open.set()

    def write(self, numbers: list[int]) -> list[str]:
        self.asked.set()
        assert self.open.wait(PATIENCE)
        if self.errors:
            raise self.errors.pop(0)
        if 13 in numbers:
            raise ValueError("13")
        self.groups.append(numbers)
        return [f"no. {number}" for number in numbers]


def hand_over_while_busy(
    pool: ThreadPoolExecutor, book: Book, writer: Writer[int, str], numbers: range
) -> list[Future[str]]:
    """Hand over the first number, and the others while that is written."""
    futures = [pool.submit(writer.hand_over, numbers[0])]
    assert book.asked.wait(PATIENCE)
    for number in numbers[1:]:
        futures.append(pool.submit(writer.hand_over, number))
        # One after the other, so that the order is known.
        eventually(lambda: len(writer._waiting) == len(futures) - 1)
    book.open.set()
    return futures


def test_what_comes_while_a_group_is_written_is_the_next_group(pool: ThreadPoolExecutor) -> None:
    book = Book(closed=True)
    futures = hand_over_while_busy(pool, book, Writer(book.write), range(5))
    assert [future.result(PATIENCE) for future in futures] == [f"no. {n}" for n in range(5)]
    assert book.groups == [[0], [1, 2, 3, 4]]


def test_one_bad_item_does_not_sink_the_others(pool: ThreadPoolExecutor) -> None:
    book = Book(closed=True)
    futures = hand_over_while_busy(pool, book, Writer(book.write), range(11, 16))
    for number, future in zip(range(11, 16), futures, strict=True):
        if number == 13:
            with pytest.raises(ValueError, match="13"):
                future.result(PATIENCE)
        else:
            assert future.result(PATIENCE) == f"no. {number}"
    assert book.groups == [[11], [12], [14], [15]]


def test_a_group_has_no_more_weight_than_is_good_for_a_transaction(
    pool: ThreadPoolExecutor,
) -> None:
    book = Book(closed=True)
    writer = Writer(book.write, weigh=lambda number: WEIGHT // 2)
    futures = hand_over_while_busy(pool, book, writer, range(6))
    assert [future.result(PATIENCE) for future in futures] == [f"no. {n}" for n in range(6)]
    assert book.groups == [[0], [1, 2], [3, 4], [5]]


def test_a_group_gathers_until_a_share_of_the_slots_waits(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "GATHER", PATIENCE)
    monkeypatch.setattr(group_commit, "slots", lambda: 8)
    book = Book(closed=True)
    writer = Writer(book.write)
    futures = hand_over_while_busy(pool, book, writer, range(3))
    assert [future.result(PATIENCE) for future in futures] == ["no. 0", "no. 1", "no. 2"]
    one = pool.submit(writer.hand_over, 3)
    eventually(lambda: len(writer._waiting) == 1)
    another = pool.submit(writer.hand_over, 4)
    assert [one.result(PATIENCE / 2), another.result(PATIENCE / 2)] == ["no. 3", "no. 4"]
    # The first one was alone, so those that came meanwhile had not to wait.
    assert book.groups == [[0], [1, 2], [3, 4]]


def test_a_database_that_is_away_is_waited_for(
    pool: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    book = Book()
    book.errors = [OperationalError("gone"), OperationalError("still gone")]
    assert pool.submit(Writer(book.write).hand_over, 1).result(PATIENCE) == "no. 1"
    assert [record.getMessage() for record in caplog.records] == [
        "the database is not available; retrying in 0.1 s: gone",
        "the database is not available; retrying in 0.2 s: still gone",
    ]


def test_upkeep_is_done_from_the_start_and_while_nothing_comes(pool: ThreadPoolExecutor) -> None:
    pauses = [PATIENCE, 0.01, 0.01]
    writer = Writer(Book().write, upkeep=lambda: pauses.pop() if pauses else PATIENCE)
    writer.start()
    eventually(lambda: not pauses)


def test_a_writer_outlives_upkeep_that_fails(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(group_commit, "AGAIN", 0.01)
    bugs = [ValueError("one"), ValueError("another")]

    def upkeep() -> float:
        if bugs:
            raise bugs.pop()
        return PATIENCE

    writer = Writer(Book().write, upkeep=upkeep)
    writer.start()
    eventually(lambda: len(caplog.records) == 2)
    assert pool.submit(writer.hand_over, 1).result(PATIENCE) == "no. 1"


def test_where_jobs_run_one_at_a_time_the_caller_writes() -> None:
    book = Book()
    threads = threading.active_count()
    writer = Writer(book.write)
    writer.start()
    assert writer.hand_over(1) == "no. 1"
    book.errors = [OperationalError("gone")]
    # Nobody is kept waiting: RQ knows what to do with a job that failed.
    with pytest.raises(OperationalError, match="gone"):
        writer.hand_over(2)
    assert book.groups == [[1]]
    assert threading.active_count() == threads
