"""Timeouts strike where a job waits, and jobs that ignore them do not stay for ever."""

from __future__ import annotations

from rq.job import JobStatus
from rq.registry import StartedJobRegistry

from tests.support import citizens, jobs
from tests.support.bursts import burst, queue_of
from tests.support.stack import Stack


def test_a_timeout_interrupts_its_job_only(stack: Stack) -> None:
    queue = queue_of(stack)
    sleepers = [queue.enqueue(jobs.sleep, 600, job_timeout=1) for _ in range(10)]
    nested = queue.enqueue(citizens.nested_timeouts, job_timeout=1)
    caught = queue.enqueue(citizens.catch_timeout, job_timeout=1)
    none = queue.enqueue(jobs.sleep, 2, job_timeout=-1)
    longer = queue.enqueue(jobs.sleep, 2, job_timeout=20)
    burst(stack)
    for job in (*sleepers, nested):
        assert job.get_status() == JobStatus.FAILED
        result = job.latest_result()
        assert result is not None
        assert "JobTimeoutException" in str(result.exc_string)
    assert caught.return_value() == "caught"
    assert none.return_value() == longer.return_value() == 2


IMPATIENT = """
from redis import Redis
from django_pushjobs.worker import execution
from django_pushjobs.worker.gevent_worker import GeventWorker
import django, os
django.setup()
execution.PATIENCE = 1.0
connection = Redis.from_url(os.environ["REDIS_URL"])
GeventWorker(["default"], connection=connection, job_monitoring_interval=1).work(burst=True)
"""


def test_a_job_that_goes_on_after_its_timeout_is_ended(stack: Stack) -> None:
    """RQ kills the horse a minute after the timeout; here it is a second."""
    queue = queue_of(stack)
    script = stack.folder / "impatient.py"
    script.write_text(IMPATIENT)
    job = queue.enqueue(citizens.ignore_timeout, job_timeout=1)
    worker = stack.python("-m", "gevent.monkey", str(script))
    assert worker.wait() == 0, worker.output
    assert job.get_status() == JobStatus.FAILED
    result = job.latest_result()
    assert result is not None
    assert "Work-horse terminated unexpectedly" in str(result.exc_string)
    assert StartedJobRegistry(queue=queue).count == 0
