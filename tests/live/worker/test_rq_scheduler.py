"""RQ's scheduler inside the worker."""

from __future__ import annotations

import signal
from datetime import timedelta

from rq import Repeat, Retry
from rq.job import Job, JobStatus
from rq.registry import ScheduledJobRegistry
from rq.scheduler import RQScheduler

from tests.support import citizens
from tests.support.bursts import burst, notes, queue_of
from tests.support.stack import Stack
from tests.support.waiting import eventually


def test_what_is_due_is_run_whoever_else_is_there(stack: Stack) -> None:
    queue = queue_of(stack)
    lock = RQScheduler.get_locking_key("default")
    # A burst runs what is due when it starts, and no more.
    due = queue.enqueue_in(timedelta(seconds=-1), citizens.note, "due")
    much_later = queue.enqueue_in(timedelta(hours=1), citizens.note, "much later")
    burst(stack, "--with-scheduler")
    assert due.get_status() == JobStatus.FINISHED
    assert not stack.redis.exists(lock)
    # Two processes: one of them schedules.
    worker = stack.worker("default", "--processes=2", "--no-relay", "--with-scheduler")
    later = queue.enqueue_in(timedelta(seconds=1), citizens.note, "later")
    retried = queue.enqueue(citizens.flaky, 2, retry=Retry(max=2, interval=[1, 2]))
    again = queue.enqueue(citizens.again, 1)
    repeated = queue.enqueue(citizens.note, "repeated", repeat=Repeat(times=2, interval=1))
    finished(later, retried, again)
    assert retried.return_value() == again.return_value() == 3
    eventually(lambda: notes(stack).count("repeated") == 3)
    finished(repeated)
    schedulers = stack.redis.keys("rq:scheduler:*")
    assert len(schedulers) == 1
    assert stack.redis.get(lock) == schedulers[0].rsplit(b":", 1)[1]
    assert ScheduledJobRegistry(queue=queue).get_job_ids() == [much_later.id]
    # A worker that leaves releases the lock.
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0, worker.output
    assert not stack.redis.exists(lock)
    assert not stack.redis.keys("rq:scheduler:*")


def finished(*jobs: Job) -> None:
    for job in jobs:
        eventually(lambda job=job: job.get_status() == JobStatus.FINISHED)  # type: ignore[misc]
