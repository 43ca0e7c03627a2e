"""SIGKILL loses no job, whenever it strikes."""

from __future__ import annotations

from rq import Queue
from rq.job import Job
from rq.registry import FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry

from tests.support import jobs
from tests.support.stack import Stack

KILLS = 200
#: Seconds that a worker lives at most once it is ready: long enough to be killed while it takes,
#: runs and records jobs.
LONGEST = 0.03
JOBS = 6_000
QUEUES = ("default", "other")


def test_two_hundred_kills_with_two_queues_lose_no_job(stack: Stack) -> None:
    stack.environment["DJANGO_SETTINGS_MODULE"] = "tests.live.settings_two_queues"
    queues = [Queue(name, connection=stack.redis) for name in QUEUES]
    enqueued: set[str] = set()
    for queue in queues:
        for _ in range(JOBS // len(queues) // 1_000):
            batch = [Queue.prepare_data(jobs.brief, result_ttl=3_600) for _ in range(1_000)]
            enqueued |= {job.id for job in queue.enqueue_many(batch)}
    program = stack.python(
        "-m", "gevent.monkey", "tests/support/killing.py",
        ",".join(QUEUES), str(KILLS), str(LONGEST),
    )  # fmt: skip
    assert program.wait(110) == 0, program.output

    def ids(registry: type) -> set[str]:
        return {i for queue in queues for i in registry(queue=queue).get_job_ids(cleanup=False)}

    waiting = {job_id for queue in queues for job_id in queue.job_ids}
    finished, failed, started = map(
        ids, (FinishedJobRegistry, FailedJobRegistry, StartedJobRegistry)
    )
    # Each job is in one place: those caught in the middle have failed, as with RQ.
    assert waiting | finished | failed == enqueued
    assert len(waiting) + len(finished) + len(failed) == len(enqueued)
    assert not started
    assert finished
    assert failed
    for job in Job.fetch_many(list(failed)[:20], connection=stack.redis):
        assert job is not None
        result = job.latest_result()
        assert result is not None
        assert "AbandonedJobError" in str(result.exc_string)
