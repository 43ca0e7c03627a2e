"""Rate limits, times to live, and when a worker ends: max-jobs, max-idle-time, burst."""

from __future__ import annotations

import re

import pytest
from rq import Callback, Repeat, Retry
from rq.exceptions import DuplicateJobError
from rq.job import JobStatus
from rq.rate_limit import RateLimit, RateLimitRegistry
from rq.registry import FinishedJobRegistry, StartedJobRegistry

from tests.support import citizens, jobs
from tests.support.bursts import burst, queue_of
from tests.support.stack import Stack
from tests.support.waiting import eventually


def test_never_more_at_once_than_a_rate_limit_allows(stack: Stack) -> None:
    queue = queue_of(stack)
    for key, concurrency in (("one", 1), ("three", 3)):
        for number in range(9):
            queue.enqueue(
                citizens.crowd, key, 0.1, ("well", "badly")[number % 2],
                rate_limit=RateLimit(key, concurrency), job_id=f"{key}-{number}",
                retry=Retry(max=1) if number == 1 else None,
                repeat=Repeat(times=1) if number == 2 else None,
                on_success=Callback(citizens.on_success),
            )  # fmt: skip
    for _ in range(9):
        queue.enqueue(citizens.crowd, "no limit", 0.1)
    # Expires before a worker takes it.
    gone = queue.enqueue(jobs.nothing, ttl=1)
    eventually(lambda: not stack.redis.exists(gone.key))
    unique = queue.enqueue(citizens.note, "once", job_id="unique", unique=True)
    with pytest.raises(DuplicateJobError):
        queue.enqueue(citizens.note, "twice", job_id="unique", unique=True)
    burst(stack)
    crowds = {key.decode(): int(most) for key, most in stack.redis.zscan_iter("crowds")}
    assert crowds == {"one": 1, "three": 3, "no limit": 9}
    assert unique.get_status() == JobStatus.FINISHED
    assert not stack.redis.exists(gone.key)
    assert len(queue) == 0
    for key in ("one", "three"):
        registry = RateLimitRegistry(key, connection=stack.redis)
        assert registry.get_allowed_job_count() == registry.get_rate_limited_job_count() == 0
    assert StartedJobRegistry(queue=queue).count == 0


def test_a_process_is_replaced_after_its_jobs_and_leaves_when_idle(stack: Stack) -> None:
    queue = queue_of(stack)
    jobs_ = [queue.enqueue(citizens.worker_name) for _ in range(25)]
    worker = stack.manage(
        "rqgeventworker", "default", "--processes=1", "--no-relay",
        "--max-jobs=10", "--max-idle-time=1", "--concurrency=4",
    )  # fmt: skip
    assert worker.wait() == 0, worker.output
    assert FinishedJobRegistry(queue=queue).count == 25
    by_worker: dict[str, int] = {}
    for job in jobs_:
        name = str(job.return_value())
        by_worker[name] = by_worker.get(name, 0) + 1
    assert sorted(by_worker.values()) == [5, 10, 10]


def test_the_process_with_the_relay_is_the_last_to_leave(stack: Stack) -> None:
    queue = queue_of(stack)
    gate = stack.folder / "gate"
    queue.enqueue(jobs.sleep_until, str(gate))
    worker = stack.manage("rqgeventworker", "default", "--processes=3", "--max-idle-time=1")
    worker.says("idle for 1 s, quitting")
    gate.touch()
    assert worker.wait() == 0, worker.output
    left = re.findall(r"Worker \S+\.(\d)\.\d+: idle for 1 s", worker.output)
    assert len(left) == 3
    assert left[-1] == "0"
