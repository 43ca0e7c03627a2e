"""Any RQ job runs on our worker as on RQ's own, and our job runs on RQ's worker."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest
from rq import Queue
from rq.command import send_stop_job_command
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.results import Result
from rq.worker import Worker

from tests.support import jobs
from tests.support.redis_state import state
from tests.support.stack import Stack
from tests.support.waiting import eventually


@pytest.fixture
def queue(stack: Stack) -> Queue:
    return Queue("default", connection=stack.redis)


def run_until_empty(stack: Stack) -> None:
    worker = stack.manage("rqgeventworker", "default", "--burst", "--processes=1", "--no-relay")
    assert worker.wait() == 0, worker.output


def test_result_failure_and_timeout_are_as_rq_leaves_them(stack: Stack, queue: Queue) -> None:
    good = queue.enqueue(jobs.add, 1, b=2)
    bad = queue.enqueue(jobs.fail)
    slow = queue.enqueue(jobs.sleep, 60, job_timeout=1)
    run_until_empty(stack)
    assert good.get_status() == JobStatus.FINISHED
    assert good.return_value() == 3
    assert bad.get_status() == slow.get_status() == JobStatus.FAILED
    failure, timeout = bad.latest_result(), slow.latest_result()
    assert failure is not None
    assert timeout is not None
    assert failure.type == timeout.type == Result.Type.FAILED
    assert "ValueError: this job fails" in str(failure.exc_string)
    assert "Task exceeded maximum timeout value (1 seconds)" in str(timeout.exc_string)
    assert set(FailedJobRegistry(queue=queue).get_job_ids()) == {bad.id, slow.id}
    assert StartedJobRegistry(queue=queue).count == 0


ENQUEUE: dict[str, Callable[[Queue], Any]] = {
    "a result": lambda q: q.enqueue(jobs.add, 1, 2, job_id="one"),
    "no result": lambda q: q.enqueue(jobs.nothing, job_id="one"),
    "a result that is kept": lambda q: q.enqueue(jobs.add, 1, 2, job_id="one", result_ttl=-1),
    "a result that is thrown away": lambda q: q.enqueue(jobs.add, 1, 2, job_id="one", result_ttl=0),
    "a result for a while": lambda q: q.enqueue(jobs.add, 1, 2, job_id="one", result_ttl=82),
    "a time to live": lambda q: q.enqueue(jobs.add, 1, 2, job_id="one", ttl=1_000),
    "meta": lambda q: q.enqueue(jobs.add, 1, 2, job_id="one", meta={"a": 1}),
    "a failure": lambda q: q.enqueue(jobs.fail, job_id="one", failure_ttl=62),
    "a dependent": lambda q: (
        q.enqueue(jobs.add, 1, 2, job_id="one"),
        q.enqueue(jobs.nothing, job_id="two", depends_on="one"),
    ),
    "a failed parent": lambda q: (
        q.enqueue(jobs.fail, job_id="one"),
        q.enqueue(jobs.nothing, job_id="two", depends_on="one"),
    ),
    "an unknown function": lambda q: q.enqueue("no.such.function", job_id="one"),
}


@pytest.mark.parametrize("case", ENQUEUE)
def test_the_state_in_redis_is_that_of_simple_worker(stack: Stack, queue: Queue, case: str) -> None:
    ENQUEUE[case](queue)
    theirs = stack.python(
        "-m", "rq.cli", "worker", "default", "--burst", "--quiet", "--name=theirs.0.1",
        "--url", stack.environment["REDIS_URL"], "--worker-class", "rq.SimpleWorker",
    )  # fmt: skip
    assert theirs.wait() == 0, theirs.output
    expected = _without_tracebacks(state(stack.redis, "theirs.0.1"))
    stack.redis.flushdb()
    ENQUEUE[case](queue)
    run_until_empty(stack)
    (name,) = (key[len("rq:worker:") :].decode() for key in stack.redis.keys("rq:worker:*"))
    assert _without_tracebacks(state(stack.redis, name)) == expected


def _without_tracebacks(found: dict[str, Any]) -> dict[str, Any]:
    for value, _ in found.values():
        if isinstance(value, list):
            for entry in value:
                if isinstance(entry, dict) and "exc_string" in entry:
                    entry["exc_string"] = "<traceback>"
    return found


def test_a_job_that_is_gone_is_skipped(stack: Stack, queue: Queue) -> None:
    queue.push_job_id("gone")
    job = queue.enqueue(jobs.add, 1, 1)
    run_until_empty(stack)
    assert job.return_value() == 2
    assert not stack.redis.keys("*gone*")


def test_rqs_own_worker_runs_our_job(stack: Stack) -> None:
    stack.gateway()
    stack.submit(3)
    worker = stack.manage(
        "rqworker", "pushjobs", "--burst", "--serializer", "rq.serializers.JSONSerializer"
    )
    assert worker.wait(60) == 0, worker.output
    assert stack.statuses() == {"succeeded": 3}


def test_two_queues_with_serializers_of_their_own(stack: Stack, queue: Queue) -> None:
    stack.gateway()
    job = queue.enqueue(jobs.add, 2, 3)
    stack.submit(3)
    worker = stack.manage("rqgeventworker", "pushjobs", "default", "--burst")
    assert worker.wait() == 0, worker.output
    assert job.return_value() == 5
    assert stack.statuses() == {"succeeded": 3}


def test_rq_sees_the_workers_and_what_they_run(stack: Stack, queue: Queue) -> None:
    worker = stack.worker("default", "--name", "seen", "--processes", "2", "--concurrency", "3")
    for _ in range(4):
        queue.enqueue(jobs.sleep, 600)
    workers = Worker.all(queue=queue)
    assert sorted(w.name.rsplit(".", 1)[0] for w in workers) == ["seen.0", "seen.1"]
    assert {w.pid for w in workers} == set(worker.children())
    eventually(lambda: sum(w.current_execution_count for w in workers) == 4)
    assert StartedJobRegistry(queue=queue).count == 4
    info = stack.python("-m", "rq.cli", "info", "--url", stack.environment["REDIS_URL"])
    assert info.wait() == 0
    assert "2 workers" in info.output
    worker.signal(signal.SIGTERM)
    worker.says("warm stop: waiting for")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert Worker.count(queue=queue) == 0


def test_stop_job_ends_that_job_only(stack: Stack, queue: Queue) -> None:
    stack.worker("default", "--processes", "1")
    doomed, other = queue.enqueue(jobs.sleep, 600), queue.enqueue(jobs.sleep, 600)
    eventually(lambda: doomed.get_status() == other.get_status() == JobStatus.STARTED)
    send_stop_job_command(stack.redis, doomed.id)
    eventually(lambda: doomed.get_status() == JobStatus.STOPPED)
    assert doomed.id in FailedJobRegistry(queue=queue)
    assert other.get_status() == JobStatus.STARTED


def test_a_job_that_cannot_be_read_fails_and_the_worker_lives(stack: Stack, queue: Queue) -> None:
    broken = queue.enqueue(jobs.nothing)
    stack.redis.hset(broken.key, "status", "no-such-status")
    garbled = queue.enqueue(jobs.nothing)
    stack.redis.hset(garbled.key, "data", b"garbage")
    good = queue.enqueue(jobs.add, 1, 1)
    run_until_empty(stack)
    assert good.return_value() == 2
    assert set(FailedJobRegistry(queue=queue).get_job_ids()) == {broken.id, garbled.id}
    assert Job.fetch(garbled.id, connection=stack.redis).get_status() == JobStatus.FAILED
    assert StartedJobRegistry(queue=queue).count == 0
