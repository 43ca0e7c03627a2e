"""GeventWorker can be used wherever RQ takes a worker class, once gevent has patched."""

from __future__ import annotations

import ast
import inspect

import pytest
from rq import Queue, Worker
from rq.job import JobStatus

from django_pushjobs.worker.gevent_worker import GeventWorker
from tests.support import jobs
from tests.support.stack import Stack

PATH = "django_pushjobs.worker.gevent_worker.GeventWorker"


@pytest.fixture
def queue(stack: Stack) -> Queue:
    return Queue("default", connection=stack.redis)


def test_work_has_the_signature_of_rqs_worker() -> None:
    assert issubclass(GeventWorker, Worker)
    ours, theirs = inspect.signature(GeventWorker.work), inspect.signature(Worker.work)
    assert list(ours.parameters) == list(theirs.parameters)
    assert [p.default for p in ours.parameters.values()] == [
        p.default for p in theirs.parameters.values()
    ]


def test_django_rqs_command_runs_it(stack: Stack, queue: Queue) -> None:
    job = queue.enqueue(jobs.add, 1, 2)
    worker = stack.python(
        "-m", "gevent.monkey", "manage.py", "rqworker", "default", "--burst",
        "--worker-class", PATH,
    )  # fmt: skip
    assert worker.wait() == 0, worker.output
    assert job.return_value() == 3


def test_without_gevent_it_says_so_at_once(stack: Stack, queue: Queue) -> None:
    worker = stack.manage("rqworker", "default", "--burst", "--worker-class", PATH)
    assert worker.wait() != 0
    assert "GeventWorker needs gevent to patch first" in worker.output


def test_rqs_pool_runs_it(stack: Stack, queue: Queue) -> None:
    enqueued = [queue.enqueue(jobs.sleep, 0.2) for _ in range(40)]
    pool = stack.python(
        "-m", "gevent.monkey", "tests/support/pool.py", stack.environment["REDIS_URL"]
    )
    assert pool.wait() == 0, pool.output
    assert {job.get_status() for job in enqueued} == {JobStatus.FINISHED}
    assert Worker.count(connection=stack.redis) == 0


def test_a_job_that_arrives_as_the_worker_stops_waits_or_ends(stack: Stack) -> None:
    program = stack.python(
        "-m", "gevent.monkey", "tests/support/closing.py", stack.environment["REDIS_URL"], "100"
    )
    assert program.wait(60) == 0, program.output
    # An interpreter that exits may print more, for example about sockets.
    [line] = [line for line in program.output.splitlines() if line.startswith("{")]
    found: dict[str, int] = ast.literal_eval(line)
    assert sum(found.values()) == 100
    assert found.keys() <= {JobStatus.QUEUED.value, JobStatus.FINISHED.value}
