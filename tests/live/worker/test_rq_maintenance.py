"""Workers clean up after others that died."""

from __future__ import annotations

from datetime import timedelta

from redis import Redis
from rq import Callback, Queue, Retry, SimpleWorker
from rq.executions import prepare_execution
from rq.job import Job, JobStatus
from rq.rate_limit import RateLimit
from rq.registry import FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry
from rq.utils import now

from tests.support import citizens, jobs
from tests.support.bursts import burst, notes, queue_of
from tests.support.stack import Stack
from tests.support.waiting import eventually


def abandon(queue: Queue, connection: Redis, *abandoned: Job) -> None:
    """Pretend that a worker took jobs some time ago, and died."""
    worker = SimpleWorker([queue], name="dead", connection=connection)
    worker.register_birth()
    for job in abandoned:
        queue.remove(job)
        prepare_execution(worker, job)
        worker.prepare_job_execution(job)
    registry = StartedJobRegistry(queue=queue)
    for composite in connection.zrange(registry.key, 0, -1):
        connection.zadd(registry.key, {composite: 1})
    connection.delete(worker.key)


def test_one_worker_cleans_up_after_another(stack: Stack) -> None:
    queue = queue_of(stack)
    lost = queue.enqueue(jobs.nothing, on_failure=Callback(citizens.on_failure))
    slow = queue.enqueue(jobs.nothing, on_failure=Callback(citizens.sleeping_callback, timeout=1))
    dependent = queue.enqueue(jobs.nothing, depends_on=lost)
    retried = queue.enqueue(citizens.note, "retried", retry=Retry(max=1))
    limited, waiting = (
        queue.enqueue(jobs.nothing, rate_limit=RateLimit("one", 1)) for _ in range(2)
    )
    abandon(queue, stack.redis, lost, slow, retried, limited)
    # Stuck between queue and worker for too long.
    stuck = queue.enqueue(jobs.nothing)
    queue.remove(stuck)
    stack.redis.rpush(queue.intermediate_queue_key, stuck.id)
    seen_key = queue.intermediate_queue.get_first_seen_key(stuck.id)
    stack.redis.set(seen_key, (now() - timedelta(minutes=5)).timestamp())
    # Expired entries of registries.
    stack.redis.zadd(FinishedJobRegistry(queue=queue).key, {"old": 1})
    stack.redis.zadd(FailedJobRegistry(queue=queue).key, {"old": 1})

    worker = burst(stack)

    failed = [lost, slow, limited, stuck]
    assert {job.get_status() for job in failed} == {JobStatus.FAILED}
    assert retried.get_status() == waiting.get_status() == JobStatus.FINISHED
    assert dependent.get_status() == JobStatus.DEFERRED
    assert f"failure of {lost.id}: AbandonedJobError" in notes(stack)
    assert "retried" in notes(stack)
    reasons = {job.id: str(job.latest_result().exc_string) for job in failed}  # type: ignore[union-attr]
    assert "AbandonedJobError" in reasons[lost.id]
    assert "intermediate queue" in reasons[stuck.id]
    assert "JobTimeoutException" in worker.output, "timeouts of callbacks hold here, too"
    assert set(FailedJobRegistry(queue=queue).get_job_ids(cleanup=False)) == set(reasons)
    assert "old" not in FinishedJobRegistry(queue=queue).get_job_ids(cleanup=False)
    assert StartedJobRegistry(queue=queue).get_job_ids(cleanup=False) == []
    assert not stack.redis.sismember("rq:workers", "rq:worker:dead")


def test_a_job_that_ends_the_process_fails_and_its_neighbours_are_retried(stack: Stack) -> None:
    queue = queue_of(stack)
    neighbour = queue.enqueue(citizens.slow_note, "neighbour", 1, retry=Retry(max=1))
    worker = stack.worker("default", "--processes=1", "--no-relay")
    (child,) = worker.children()
    eventually(lambda: neighbour.get_status() == JobStatus.STARTED)
    killer = queue.enqueue(citizens.leave, "os._exit")
    worker.says(f"process {child} died: exit code 3")
    eventually(lambda: killer.get_status() == JobStatus.FAILED)
    eventually(lambda: neighbour.get_status() == JobStatus.FINISHED)
    assert StartedJobRegistry(queue=queue).get_job_ids(cleanup=False) == []
