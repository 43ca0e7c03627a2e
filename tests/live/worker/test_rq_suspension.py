"""``rq suspend`` and ``rq resume``, while idle and while jobs are running."""

from __future__ import annotations

from rq.job import JobStatus
from rq.suspension import resume, suspend
from rq.worker import Worker, WorkerStatus

from tests.support import citizens, jobs
from tests.support.bursts import burst, queue_of
from tests.support.stack import Stack
from tests.support.waiting import eventually


def test_a_suspended_worker_finishes_its_jobs_and_takes_no_more(stack: Stack) -> None:
    queue = queue_of(stack)
    go_on = stack.folder / "go on"

    def state() -> str:
        (worker,) = Worker.all(queue=queue)
        return worker.get_state()

    # A burst ends at once, and leaves the job where it is.
    suspend(stack.redis)
    early = queue.enqueue(citizens.note, "early")
    burst(stack)
    assert early.get_status() == JobStatus.QUEUED
    resume(stack.redis)
    # While a job is running.
    stack.worker("default", "--processes=1", "--no-relay")
    eventually(lambda: early.get_status() == JobStatus.FINISHED)
    running = queue.enqueue(jobs.sleep_until, str(go_on))
    eventually(lambda: running.get_status() == JobStatus.STARTED and state() == "busy")
    suspend(stack.redis)
    eventually(lambda: state() == WorkerStatus.SUSPENDED)
    later = queue.enqueue(citizens.note, "later")
    go_on.touch()
    eventually(lambda: running.get_status() == JobStatus.FINISHED)
    assert later.get_status() == JobStatus.QUEUED
    assert state() == WorkerStatus.SUSPENDED
    resume(stack.redis)
    eventually(lambda: later.get_status() == JobStatus.FINISHED)
    eventually(lambda: state() == WorkerStatus.IDLE)
    # While idle.
    suspend(stack.redis)
    eventually(lambda: state() == WorkerStatus.SUSPENDED)
    last = queue.enqueue(citizens.note, "last")
    resume(stack.redis)
    eventually(lambda: last.get_status() == JobStatus.FINISHED)
    eventually(lambda: state() == WorkerStatus.IDLE)
