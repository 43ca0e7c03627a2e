"""The keys of our scripts are those of RQ."""

from __future__ import annotations

from redis import Redis
from rq.executions import Execution, ExecutionRegistry
from rq.job import Job
from rq.registry import FinishedJobRegistry, StartedJobRegistry
from rq.results import Result

from django_pushjobs.worker import keys

connection = Redis(port=1)


def test_of_a_job() -> None:
    job = Job("job", connection=connection)
    execution = Execution("execution", "job", connection, "worker")
    assert keys.of_job(job, execution) == (
        job.key,
        job.dependents_key,
        Result.get_key("job"),
        ExecutionRegistry("job", connection).key,
        execution.key,
    )


def test_of_a_queue() -> None:
    finished = FinishedJobRegistry("queue", connection=connection)
    started = StartedJobRegistry("queue", connection=connection)
    assert keys.of_queue("queue") == (finished.key, started.key)
    assert started.key == keys.WIP + "queue"
