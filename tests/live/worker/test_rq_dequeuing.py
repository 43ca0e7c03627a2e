"""The order in which jobs are taken from several queues, in batches or one by one."""

from __future__ import annotations

import pytest
from rq import Queue
from rq.job import Job

from tests.support import citizens
from tests.support.bursts import burst, queue_of
from tests.support.stack import Stack

FIRST, SECOND = ([f"{name}-{number}" for number in range(6)] for name in ("first", "second"))
IN_TURN = [name for pair in zip(FIRST, SECOND, strict=True) for name in pair]


def order(stack: Stack, *options: str) -> list[str]:
    """Return the order in which a worker started the jobs of two queues."""
    queues: dict[str, Queue] = {name: queue_of(stack, name) for name in ("first", "second")}
    for number in range(6):
        # Ids of jobs that are gone do not count as a turn.
        queues["first"].push_job_id(f"gone-{number}")
    jobs: list[Job] = [
        queues[name.split("-")[0]].enqueue(citizens.turn, job_id=name) for name in SECOND + FIRST
    ]
    burst(stack, "first", "second", *options, DJANGO_SETTINGS_MODULE="tests.live.settings_queues")
    turns = {job.id: job.return_value() for job in jobs}
    assert sorted(turns.values()) == list(range(12))
    return sorted(turns, key=turns.__getitem__)


def test_default_empties_the_first_queue_first(stack: Stack) -> None:
    assert order(stack, "--concurrency=4") == FIRST + SECOND


@pytest.mark.parametrize("concurrency", [1, 5])
def test_round_robin_takes_one_of_each_in_turn(stack: Stack, concurrency: int) -> None:
    options = "--dequeue-strategy=round_robin", f"--concurrency={concurrency}"
    assert order(stack, *options) == IN_TURN


def test_random_takes_each_queue_in_its_own_order(stack: Stack) -> None:
    found = order(stack, "--dequeue-strategy=random", "--concurrency=5")
    assert [name for name in found if name in FIRST] == FIRST
    assert [name for name in found if name in SECOND] == SECOND
