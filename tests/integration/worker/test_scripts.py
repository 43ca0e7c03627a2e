"""What the scripts of the worker take, when, and what they leave, on a real server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis
from rq import Queue, Worker, suspension
from rq.job import JobStatus
from rq.registry import StartedJobRegistry

from django_pushjobs.worker.dequeuing import Dequeuer
from django_pushjobs.worker.scripts import CALENDAR
from django_pushjobs.worker.taken import Started
from tests.support import jobs


@pytest.fixture
def queue(redis: Redis) -> Queue:
    queue = Queue("default", connection=redis)
    for number in range(5):
        queue.enqueue(jobs.add, number, 0, job_id=f"job-{number}")
    return queue


@pytest.fixture
def dequeuer(queue: Queue) -> Dequeuer:
    """That of a worker that runs two jobs at once: RQ's, since ours needs gevent to patch."""
    worker: Any = Worker([queue], connection=queue.connection)
    worker.concurrency, worker.running = 2, {}
    worker.register_birth()
    return Dequeuer(worker)


def pop(dequeuer: Dequeuer, limit: int = 9, *, when_idle: bool = False) -> list[str]:
    call = dequeuer.prepare(dequeuer.worker.queues, limit, when_idle=when_idle)
    batch = dequeuer.pop(call)
    assert batch is not None
    return [taken.job.id for taken in batch if isinstance(taken, Started)]


def test_redis_has_a_calendar(redis: Redis) -> None:
    iso8601 = redis.register_script(
        CALENDAR + "return iso8601(tonumber(ARGV[1]), tonumber(ARGV[2]))"
    )
    first = datetime(1970, 1, 1, tzinfo=UTC)
    # Every 37 days and a bit, and both sides of days that not every year has.
    times = [first + timedelta(days=37, seconds=12_345) * n for n in range(1_300)]
    for year in (1999, 2000, 2023, 2024, 2096, 2100):
        midnight = datetime(year, 3, 1, tzinfo=UTC)
        times += [midnight, midnight - timedelta(microseconds=1)]
        times.append(datetime(year, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
    for time in times:
        found = iso8601(args=[int(time.timestamp()), time.microsecond])
        assert found.decode() == time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_no_more_jobs_are_taken_than_may_run_at_once(dequeuer: Dequeuer, queue: Queue) -> None:
    assert pop(dequeuer) == ["job-0", "job-1"]
    assert pop(dequeuer) == []
    assert queue.job_ids == ["job-2", "job-3", "job-4"]
    assert set(StartedJobRegistry(queue=queue).get_job_ids()) == {
        "job-0",
        "job-1",
    }
    job = queue.fetch_job("job-0")
    assert job is not None
    assert job.get_status() == JobStatus.STARTED
    assert job.started_at is not None
    assert abs((datetime.now(UTC) - job.started_at).total_seconds()) < 60


def test_what_waits_ahead_takes_nothing_for_a_worker_that_runs_something(
    dequeuer: Dequeuer, queue: Queue
) -> None:
    assert pop(dequeuer, 1, when_idle=True) == ["job-0"]
    assert pop(dequeuer, 1, when_idle=True) == []
    assert pop(dequeuer, 1) == ["job-1"]


def test_what_waits_ahead_takes_nothing_for_a_worker_that_is_gone(
    dequeuer: Dequeuer, queue: Queue
) -> None:
    dequeuer.worker.register_death()
    queue.connection.delete(dequeuer.worker.key)
    assert pop(dequeuer, when_idle=True) == []
    assert len(queue) == 5


def test_nothing_is_taken_once_the_workers_are_suspended(dequeuer: Dequeuer, queue: Queue) -> None:
    suspension.suspend(queue.connection)
    for when_idle in (False, True):
        call = dequeuer.prepare(dequeuer.worker.queues, 9, when_idle=when_idle)
        assert dequeuer.pop(call) is None
    assert len(queue) == 5
    suspension.resume(queue.connection)
    assert pop(dequeuer, 1) == ["job-0"]


def test_a_job_is_a_stray_once_no_call_waits_for_the_answer(dequeuer: Dequeuer) -> None:
    call = dequeuer.prepare(dequeuer.worker.queues, 1)
    with call:
        answer = dequeuer.worker.connection.execute_command(*call.command)
        assert len(answer) == 1
        assert dequeuer.strays() == []
    [stray] = dequeuer.strays()
    assert isinstance(stray, Started)
    assert stray.job.id == "job-0"
