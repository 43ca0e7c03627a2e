"""RQ's commands over pub/sub, to a worker that runs many jobs at once."""

from __future__ import annotations

from rq import Callback, Retry
from rq.command import (
    send_kill_horse_command,
    send_shutdown_command,
    send_stop_execution_command,
    send_stop_job_command,
)
from rq.job import Job, JobStatus
from rq.rate_limit import RateLimit
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.worker import Worker

from tests.support import citizens
from tests.support.bursts import notes, queue_of
from tests.support.stack import Stack
from tests.support.waiting import eventually


def all_are(status: JobStatus, *jobs: Job) -> None:
    for job in jobs:
        eventually(
            lambda job=job: job.get_status() == status,
            timeout=10,
            what=f"{job.get_call_string()} is {status.value}, not {job.get_status().value}",
        )


def reason(job: Job) -> str:
    result = job.latest_result()
    assert result is not None
    return str(result.exc_string)


def test_stop_ends_what_it_names_and_kill_horse_all_the_rest(stack: Stack) -> None:
    queue = queue_of(stack)
    program = stack.worker("default", "--processes=1", "--no-relay")
    (worker,) = Worker.all(queue=queue)
    doomed = queue.enqueue(
        citizens.sleep_for_ever, on_stopped=Callback(citizens.on_stopped), retry=Retry(max=3)
    )
    bad = queue.enqueue(
        citizens.sleep_for_ever, on_stopped=Callback(citizens.sleeping_callback, timeout=1)
    )
    leaving = queue.enqueue(citizens.sleep_for_ever, on_stopped=Callback(citizens.leaving_callback))
    deaf = queue.enqueue(citizens.never_listen, on_success=Callback(citizens.on_success))
    limited, waiting = (
        queue.enqueue(citizens.sleep_for_ever, rate_limit=RateLimit("one", 1)) for _ in range(2)
    )
    loop = queue.enqueue(citizens.endless_coroutine, "stopped")
    others = [queue.enqueue(citizens.sleep_for_ever) for _ in range(3)]
    retried = queue.enqueue(citizens.sleep_for_ever, retry=Retry(max=1, interval=600))
    killed_loop = queue.enqueue(citizens.endless_coroutine, "killed")
    stopped = [doomed, bad, leaving, deaf, limited, loop]
    all_are(JobStatus.STARTED, *stopped, *others, retried, killed_loop)
    assert waiting.get_status() == JobStatus.RATE_LIMITED

    for job in stopped[:-1]:
        send_stop_job_command(stack.redis, job.id)
    (execution,) = loop.get_executions()
    send_stop_execution_command(stack.redis, loop.id, execution.id)
    all_are(JobStatus.STOPPED, *stopped)
    assert f"stop of {doomed.id}" in notes(stack)
    assert f"success of {deaf.id}: went on" not in notes(stack)
    assert "stopped cleaned up" in notes(stack)
    assert all("Job stopped by user" in reason(job) for job in stopped)
    all_are(JobStatus.STARTED, waiting, *others, retried, killed_loop)

    send_stop_job_command(stack.redis, waiting.id)
    all_are(JobStatus.STOPPED, waiting)
    send_kill_horse_command(stack.redis, worker.name)
    all_are(JobStatus.FAILED, *others, killed_loop)
    all_are(JobStatus.SCHEDULED, retried)
    assert all("Work-horse terminated unexpectedly" in reason(job) for job in others)
    eventually(lambda: "killed cleaned up" in notes(stack))
    ended = {job.id for job in (*stopped, waiting, *others, killed_loop)}
    assert set(FailedJobRegistry(queue=queue).get_job_ids()) == ended
    assert StartedJobRegistry(queue=queue).count == 0
    eventually(lambda: worker.get_current_executions(refresh=True) == [])

    # The worker is as good as new, and replaced when it is told to shut down.
    last = queue.enqueue(citizens.slow_note, "the last one", 0.5)
    all_are(JobStatus.STARTED, last)
    (child,) = program.children()
    send_shutdown_command(stack.redis, worker.name)
    program.says(f"process {child} ended")
    all_are(JobStatus.FINISHED, last)
    program.says("is ready", times=2)
    assert child not in program.children()
    all_are(JobStatus.FINISHED, queue.enqueue(citizens.slow_note, "by another", 0))
