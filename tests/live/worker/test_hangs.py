"""Nothing hangs silently: a stuck process is noticed, its stacks are dumped, it is replaced."""

from __future__ import annotations

import os
import re
import signal

import pytest
from rq import Queue, Retry
from rq.job import JobStatus
from rq.registry import FailedJobRegistry, StartedJobRegistry

from tests.support import blocking, jobs
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


def test_a_process_that_was_stopped_accuses_none_of_its_jobs(stack: Stack) -> None:
    queue = Queue("default", connection=stack.redis)
    worker = stack.worker("default", "--processes=1", "--hang-timeout=2")
    (victim,) = worker.children()
    jobs_of_it = [queue.enqueue(jobs.sleep, 600), queue.enqueue(jobs.compute, 600)]
    eventually(lambda: jobs_of_it[1].get_status() == JobStatus.STARTED)
    os.kill(victim, signal.SIGSTOP)
    worker.says(f"process {victim} died: signal")
    worker.says("recovered 2 jobs of ")
    assert "had blocked process" not in worker.output


def test_a_job_that_blocks_two_processes_is_not_given_a_third(stack: Stack) -> None:
    queue = Queue("default", connection=stack.redis)
    worker = stack.worker("default", "--processes=1", "--hang-timeout=2")
    hung = queue.enqueue(jobs.spin, retry=Retry(max=5))
    eventually(lambda: hung.get_status() == JobStatus.FAILED)
    assert len(worker.says(rf"Arbiter: job {hung.id} had blocked process \d+", times=2)) == 2
    result = hung.latest_result()
    assert result is not None
    assert re.match(r"The job blocked its worker for \d s", str(result.exc_string))
    assert FailedJobRegistry(queue=queue).get_job_ids() == [hung.id]
    worker.says("is ready", times=3)
    after = queue.enqueue(jobs.add, 1, 1)
    eventually(lambda: after.get_status() == JobStatus.FINISHED)


@pytest.mark.parametrize("way", [blocking.SPINS, blocking.SEARCHES, blocking.WAITS])
def test_a_request_that_blocks_its_process_rests_and_ends_the_second_time(
    stack: Stack, way: str
) -> None:
    stack.environment["DJANGO_SETTINGS_MODULE"] = "tests.live.settings_blocking"
    worker = stack.worker("--processes=2", "--hang-timeout=3")
    recipients = [["token"]] * 10 + [[f"{way}-a", "token"]] + [["token"]] * 10
    stack.run(
        "from django_pushjobs.services import submit_many\n"
        "from django_pushjobs.submission.submissions import Submission\n"
        f"submit_many([Submission(recipients=r, title='Hello', backend='blocking')"
        f" for r in {recipients!r}])"
    )
    stack_ends = {"succeeded": 20, "pending": 1}
    eventually(lambda: stack.statuses() == stack_ends, what="rests")
    by_status = "SELECT status, {} FROM django_pushjobs_pushrequest WHERE status <> 'succeeded'"
    assert stack.query(by_status.format("error_code")) == {"pending": "poisonous"}
    # It rests for minutes; the operator of this test does not wait for that.
    stack.run(
        "from datetime import timedelta\n"
        "from django.utils import timezone\n"
        "from django_pushjobs.models import PushRequest\n"
        "resting = PushRequest.objects.filter(status='pending')\n"
        "now = timezone.now()\n"
        "assert resting.get().next_attempt_at > now + timedelta(minutes=4)\n"
        "resting.update(next_attempt_at=now)"
    )
    ends = {"succeeded": 20, "failed": 1}
    eventually(lambda: stack.statuses() == ends, what="ends")
    assert stack.query(by_status.format("error_code")) == {"failed": "poisonous"}
    (reason,) = stack.query(by_status.format("error")).values()
    assert re.fullmatch(r"it blocked its worker for \d s, .*: 2 of at most 2 times", reason)
    worker.says("is ready", times=4)
    assert len(re.findall("had blocked process", worker.output)) == 2
    assert len(re.findall(r"Arbiter: process \d+ died", worker.output)) == 2


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
