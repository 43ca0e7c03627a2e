"""The audit of the chaos harness finds what is wrong, and nothing else."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.chaos.audit import Row, Verdict, audit

KEY = uuid4()
LOST, REFUSED = frozenset({"worker_lost"}), frozenset({"http_500"})


def verdict(taken: int = 1, *, repeats: bool = True, **row: Any) -> Verdict:
    row = {"status": "succeeded", "attempts": 1, "unknown": 0} | row
    return audit({KEY}, {KEY: Row(**row)}, {KEY: taken}, repeats=repeats)


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"taken": 0, "status": "failed", "error_code": "http_400"},
        {"taken": 2, "attempts": 2},
        {"taken": 2, "attempts": 2, "journal": (LOST,)},
        {"taken": 1, "attempts": 3, "journal": (REFUSED, REFUSED), "repeats": False},
        # The gateway may have it, and the row says so.
        {"taken": 1, "status": "failed", "unknown": 1, "error_code": "worker_lost"},
        {"taken": 1, "status": "failed", "attempts": 2, "journal": (frozenset({"timeout"}),)},
    ],
)
def test_what_adds_up(row: dict[str, Any]) -> None:
    assert list(verdict(**row).problems()) == []


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"status": "running"}, "never ended"),
        ({"taken": 0}, "contradict the gateway"),
        ({"status": "failed", "error_code": "http_400"}, "contradict the gateway"),
        ({"taken": 2}, "more often than can be explained"),
        ({"taken": 2, "attempts": 2, "repeats": False}, "more often than can be explained"),
        ({"taken": 3, "attempts": 2}, "more often than can be explained"),
        ({"taken": 2, "attempts": 2, "journal": (REFUSED,)}, "more often than can be explained"),
    ],
)
def test_what_does_not_add_up(row: dict[str, Any], problem: str) -> None:
    (found,) = verdict(**row).problems()
    assert problem in found
    assert str(KEY) in found


def test_a_row_that_is_gone_is_lost() -> None:
    assert audit({KEY}, {}, {}, repeats=True).lost.keys() == {KEY}


def test_a_row_of_which_the_third_party_was_not_told_counts_as_well() -> None:
    row = Row(status="queued", attempts=0, unknown=0)
    assert audit(set(), {KEY: row}, {}, repeats=True).lost.keys() == {KEY}


def test_a_message_of_nobody_is_a_problem() -> None:
    (problem,) = audit(set(), {}, {}, strangers=1, repeats=True).problems()
    assert "belong to no push request" in problem
