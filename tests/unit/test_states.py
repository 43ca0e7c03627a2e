from __future__ import annotations

import pytest

from django_pushjobs.states import (
    ACTIVE,
    FINAL,
    RETRYABLE,
    SETTLED,
    TRANSITIONS,
    UNSUCCESSFUL,
    WAITING,
    DeliveryStatus,
    Status,
    sources,
)


def test_every_state_is_in_the_table_and_in_one_group() -> None:
    assert set(TRANSITIONS) == set(Status)
    assert set(Status) == ACTIVE | FINAL
    assert not ACTIVE & FINAL
    assert WAITING < ACTIVE


def test_nobody_leaves_a_final_state_but_for_a_retry() -> None:
    for state in FINAL:
        expected = {Status.QUEUED} if state in RETRYABLE else set()
        assert TRANSITIONS[state] == expected
    assert RETRYABLE < FINAL


def reachable(start: Status) -> set[Status]:
    seen: set[Status] = set()
    frontier = {start}
    while frontier:
        seen |= frontier
        frontier = {target for state in frontier for target in TRANSITIONS[state]} - seen
    return seen


@pytest.mark.parametrize("state", Status)
def test_every_state_can_be_reached_and_leads_to_an_end(state: Status) -> None:
    assert state in reachable(Status.PENDING)
    assert reachable(state) & FINAL


def test_only_a_claim_runs_and_only_a_run_succeeds() -> None:
    assert sources(Status.RUNNING) == [Status.QUEUED]
    for outcome in (Status.SUCCEEDED, Status.PARTIAL):
        assert sources(outcome) == [Status.RUNNING]
    # What has waited for a paused backend for too long fails as well.
    assert sources(Status.FAILED) == [Status.PENDING, Status.RUNNING]


@pytest.mark.parametrize("target", Status)
def test_sources_is_the_table_read_backwards(target: Status) -> None:
    assert set(sources(target)) == {s for s in Status if target in TRANSITIONS[s]}


def test_only_what_is_to_be_tried_again_is_not_settled() -> None:
    assert set(DeliveryStatus) - SETTLED == {DeliveryStatus.RETRYING}
    assert UNSUCCESSFUL < SETTLED


def test_values_fit_their_columns() -> None:
    assert max(map(len, [*Status.values, *DeliveryStatus.values])) <= 16
