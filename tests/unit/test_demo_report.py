"""The demo must not report that everything adds up if it does not."""

from __future__ import annotations

from typing import Any

import pytest

from example_project.report import Report
from example_project.thirdparty import Submitted


def resource(status: str = "succeeded") -> dict[str, Any]:
    return {
        "status": status,
        "created_at": "2026-01-01T12:00:00Z",
        "finished_at": "2026-01-01T12:00:00.250Z" if status == "succeeded" else None,
    }


def report(**changes: Any) -> Report:
    values: dict[str, Any] = {
        "asked": 2,
        "submitted": Submitted(accepted={"a": 0.01, "b": 0.03}, seconds=0.5),
        "resources": {"a": resource(), "b": resource()},
        "stats": {"received": 2, "max_in_flight": 1},
        "witnessed": {"a": 1, "b": 1, "of another run": 1},
    }
    return Report(**values | changes)


def test_a_good_run_has_no_problems() -> None:
    good = report()
    assert list(good.problems()) == []
    cells = {what: value for section in good.sections() for what, value, _ in section}
    assert cells["accept latency p50"] == "10 ms"
    assert cells["accept latency p99"] == "30 ms"
    assert cells["queue to done p99"] == "250 ms"
    assert cells["accepted per second"] == "4/s"
    assert cells["pushes per second"] == "8/s"
    assert cells["gateway: distinct ids"] == "2"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"asked": 3}, "3 push requests were submitted, 2 accepted"),
        ({"resources": {"a": resource()}}, "1 accepted push requests are not in the list"),
        ({"resources": {"a": resource(), "b": resource("queued")}}, "1 of 2 push requests succ"),
        ({"witnessed": {"a": 1}}, "the gateway counted 1 distinct messages, not 2"),
        ({"witnessed": {"a": 2, "b": 1}}, "the gateway counted 3 distinct messages, not 2"),
    ],
)
def test_says_what_does_not_add_up(changes: dict[str, Any], problem: str) -> None:
    bad = report(**changes)
    assert any(said.startswith(problem) for said in bad.problems()), list(bad.problems())
    assert bad.table().row_count


def test_a_run_without_any_answer_still_has_a_table() -> None:
    nothing = report(submitted=Submitted(refusals=["POST: refused"]), resources={}, witnessed={})
    assert "POST: refused" in list(nothing.problems())
    assert nothing.table().row_count


def test_callbacks_must_tell_the_truth() -> None:
    good = report(callbacks={"a": "succeeded", "b": "succeeded"})
    assert list(good.problems()) == []
    assert ("confirmed by callback", "2", "signature verified") in good.sections()[0]
    for callbacks in ({"a": "succeeded"}, {"a": "succeeded", "b": "failed"}):
        assert "1 of 2" in " ".join(report(callbacks=callbacks).problems())
