"""Jobs that are coroutines, and jobs that ask which job they are."""

from __future__ import annotations

import time

from rq.job import JobStatus

from tests.support import citizens
from tests.support.bursts import burst, notes, queue_of
from tests.support.stack import Stack


def test_coroutines_run_beside_each_other_and_beside_other_jobs(stack: Stack) -> None:
    queue = queue_of(stack)
    started_at = time.monotonic()
    many = [queue.enqueue(citizens.coroutine, number) for number in range(50)]
    loops = [queue.enqueue(citizens.runs_a_loop, number) for number in range(10)]
    bystander = queue.enqueue(citizens.is_in_a_loop)
    bad = queue.enqueue(citizens.coroutine_that_fails)
    leaver = queue.enqueue(citizens.coroutine_that_leaves)
    slow = queue.enqueue(citizens.endless_coroutine, "slow", job_timeout=1)
    plain = queue.enqueue(citizens.note, "plain")
    burst(stack)
    assert [job.return_value() for job in many] == [(n, job.id) for n, job in enumerate(many)]
    assert time.monotonic() - started_at < 50 * 0.3, "one after the other"
    assert {job.get_status() for job in (bad, leaver, slow)} == {JobStatus.FAILED}
    reasons = [str(job.latest_result().exc_string) for job in (bad, leaver, slow)]  # type: ignore[union-attr]
    assert "ValueError: in a coroutine" in reasons[0]
    assert "coroutine_that_fails" in reasons[0], "the traceback leads into the coroutine"
    assert "SystemExit: 3" in reasons[1]
    assert "exceeded maximum timeout value (1 seconds)" in reasons[2]
    assert [job.return_value() for job in loops] == list(range(10))
    assert [job.get_meta()["number"] for job in loops] == list(range(10))
    assert bystander.return_value() is False, "Django's ORM would refuse to work there"
    assert plain.get_status() == JobStatus.FINISHED
    assert "slow cleaned up" in notes(stack)


def test_each_job_knows_which_it_is(stack: Stack) -> None:
    queue = queue_of(stack)
    jobs = [queue.enqueue(citizens.who_am_i, 20) for _ in range(50)]
    others = [queue.enqueue(citizens.remember, f"value {number}") for number in range(50)]
    burst(stack)
    assert [job.return_value() for job in jobs] == [[job.id] for job in jobs]
    assert [job.get_meta()["value"] for job in others] == [f"value {n}" for n in range(50)]
