"""Redis or its connections go away for a while: nothing is lost, nothing is done twice."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from redis import Redis
from rq import Callback, Queue
from rq.registry import FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry
from rq.worker import Worker

from tests.support import citizens, jobs
from tests.support.bursts import queue_of
from tests.support.stack import Stack
from tests.support.waiting import eventually

COUNT = 3_000


def enqueue(queue: Queue, book: Path) -> None:
    """Enqueue jobs that end in every way; the plain ones sign the book."""
    queue.enqueue_many(
        [
            Queue.prepare_data(citizens.sign, (str(book),), job_id=f"plain-{number}", timeout=60)
            for number in range(COUNT)
        ]
    )
    for number in range(30):
        queue.enqueue(jobs.fail, job_id=f"bad-{number}")
        callback = Callback(citizens.idle_callback)
        queue.enqueue(jobs.nothing, job_id=f"called-{number}", on_success=callback)


def check(stack: Stack, queue: Queue, book: Path) -> None:
    finished, failed = FinishedJobRegistry(queue=queue), FailedJobRegistry(queue=queue)
    eventually(lambda: finished.count + failed.count == COUNT + 60, what="all have ended")
    eventually(lambda: StartedJobRegistry(queue=queue).get_job_ids(cleanup=False) == [])
    assert sorted(failed.get_job_ids()) == sorted(f"bad-{number}" for number in range(30))
    signed = book.read_text().split()
    assert len(set(signed)) == COUNT
    assert len(signed) == COUNT, "a job was run twice"
    with stack.redis.pipeline(transaction=False) as pipeline:
        for number in range(COUNT):
            pipeline.xlen(f"rq:results:plain-{number}")
        assert set(pipeline.execute()) == {1}, "an end was recorded twice"
    (worker,) = Worker.all(queue=queue)
    eventually(lambda: worker.get_current_executions(refresh=True) == [])


def server_pid(connection: Redis) -> int:
    return int(connection.info("server")["process_id"])


def test_connections_that_are_killed_and_a_redis_that_is_stopped(stack: Stack) -> None:
    queue = queue_of(stack)
    worker = stack.worker("default", "--processes=1", "--no-relay")
    (child,) = worker.children()
    book = stack.folder / "book"
    enqueue(queue, book)
    finished = FinishedJobRegistry(queue=queue)
    mine = stack.redis.client_id()
    killed = 0
    while len(queue) or finished.count < COUNT - 100:
        clients = [client["id"] for client in stack.redis.client_list()]
        for client in clients:
            if int(client) != mine:
                killed += stack.redis.client_kill_filter(_id=client)
        time.sleep(0.2)
    assert killed
    check(stack, queue, book)

    for registry in (finished, FailedJobRegistry(queue=queue)):
        for job_id in registry.get_job_ids():
            registry.remove(job_id, delete_job=True)
    book = stack.folder / "second book"
    enqueue(queue, book)
    eventually(lambda: finished.count > 100)
    pid = server_pid(stack.redis)
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(2)
    finally:
        os.kill(pid, signal.SIGCONT)
    check(stack, queue, book)
    assert worker.children() == [child]
