"""Nothing hangs silently: a stuck process is noticed, its stacks are dumped, it is replaced."""

from __future__ import annotations

import os
import re
import signal

import pytest
from rq import Queue, Retry
from rq.job import JobStatus
from rq.registry import FailedJobRegistry, StartedJobRegistry

from tests.support import jobs
from tests.support.stack import Stack
from tests.support.waiting import eventually


@pytest.mark.parametrize("culprit", [jobs.block_in_c, jobs.spin, jobs.deadlock])
def test_a_process_that_hangs_is_dumped_and_replaced_and_its_jobs_are_recovered(
    stack: Stack, culprit: object
) -> None:
    queue = Queue("default", connection=stack.redis)
    stack.gateway(latency_ms=10)
    worker = stack.worker(
        "default", "pushjobs", "--processes=1", "--hang-timeout=4", TEST_LEASE="3"
    )
    (victim,) = worker.children()
    bystander = queue.enqueue(jobs.sleep, 600)
    eventually(lambda: bystander.get_status() == JobStatus.STARTED)
    hung = queue.enqueue(culprit)
    worker.says(rf"process {victim} has not responded for \d+ s; killing and replacing it")
    worker.says(f"process {victim} died: signal")
    # Dumped: what was stuck, and what everything else was doing.
    name = culprit.__name__  # type: ignore[attr-defined]
    assert name in worker.output
    assert "tests/support/jobs.py" in worker.output
    if name != "block_in_c":  # that holds the interpreter itself; the fault handler writes
        assert re.search(rf"blocked for \d+\.\d s by job {hung.id}", worker.output)
        assert "stacks of all greenlets and threads" in worker.output
    # Recovered at once, as RQ treats the jobs of a dead worker.
    worker.says("recovered 2 jobs of ")
    assert set(FailedJobRegistry(queue=queue).get_job_ids()) == {hung.id, bystander.id}
    assert StartedJobRegistry(queue=queue).count == 0
    # And the one that replaced it does its work.
    stack.submit(5)
    after = queue.enqueue(jobs.add, 1, 1)
    eventually(lambda: after.get_status() == JobStatus.FINISHED)
    stack.all_end_as("succeeded", 5)


def test_a_job_with_retries_left_runs_again_elsewhere(stack: Stack) -> None:
    queue = Queue("default", connection=stack.redis)
    worker = stack.worker("default", "--processes=1")
    marker = stack.folder / "second"
    job = queue.enqueue(jobs.sleep_until, str(marker), retry=Retry(max=1))
    eventually(lambda: job.get_status() == JobStatus.STARTED)
    os.kill(worker.children()[0], signal.SIGKILL)
    worker.says("recovered 1 jobs of ")
    marker.touch()
    eventually(lambda: job.get_status() == JobStatus.FINISHED)
