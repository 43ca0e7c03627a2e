"""Frames that bring no answer on."""

from __future__ import annotations

import pytest

from django_pushjobs.transport import http2_allowance
from django_pushjobs.transport.http2_allowance import MOST, PER_SECOND, START, Allowance, Flood


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(http2_allowance, "monotonic", clock)
    return clock


def frames(allowance: Allowance, size: int = 0) -> int:
    """Return how many frames there may be."""
    for count in range(2 * MOST):
        try:
            allowance.spend(size)
        except Flood:
            return count
    raise AssertionError("there is no limit")


def test_a_connection_starts_with_some(clock: Clock) -> None:
    assert frames(Allowance()) == START


def test_what_has_to_be_decoded_counts_more(clock: Clock) -> None:
    assert frames(Allowance(), 16_384) == START // 17


def test_requests_and_time_add_to_it_up_to_a_limit(clock: Clock) -> None:
    allowance = Allowance()
    for _ in range(10_000):
        allowance.add_request()
    assert frames(allowance) == MOST
    allowance = Allowance()
    clock.now += 7
    assert frames(allowance) == START + 7 * PER_SECOND


def test_an_honest_peer_never_runs_out(clock: Clock) -> None:
    allowance = Allowance()
    for _ in range(100_000):
        allowance.add_request()
        for _ in range(4):
            allowance.spend(4)
