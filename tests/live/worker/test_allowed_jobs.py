"""Whoever can write to Redis cannot choose what our worker runs on our queues."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from rq import Callback, Queue, Retry, Worker
from rq.executions import WORKER_EXECUTIONS_KEY_TEMPLATE
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.webhook import Webhook

from django_pushjobs.broker.queues import JOB
from tests.support import citizens, jobs
from tests.support.bursts import burst, notes
from tests.support.stack import Stack
from tests.support.waiting import eventually

from .test_rq_maintenance import abandon

NOTE = "tests.support.citizens.note"
ON_FAILURE = Callback("tests.support.citizens.on_failure")
NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def ours(stack: Stack) -> Queue:
    """Our queue, as somebody sees it who can write to Redis."""
    return Queue("pushjobs", connection=stack.redis, serializer=JSONSerializer)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """What an attacker's command would leave."""
    return tmp_path / "mark"


def reason_of(job: Job) -> str:
    result = job.latest_result()
    assert result is not None
    return str(result.exc_string)


def name_of_worker(stack: Stack) -> str:
    [name] = Worker.all(connection=stack.redis)
    return name.name


def test_a_function_that_is_not_ours_is_not_called(stack: Stack, ours: Queue, mark: Path) -> None:
    stack.gateway()
    evil = ours.enqueue(
        "os.system", f"touch {mark}", retry=Retry(max=3), on_failure=ON_FAILURE, job_id="evil"
    )
    stack.submit(1)
    worker = burst(stack, "pushjobs")
    assert not mark.exists()
    assert notes(stack) == []
    assert evil.get_status() == JobStatus.FAILED
    assert "'os.system'" in reason_of(evil)
    assert "ALLOWED_JOBS" in reason_of(evil)
    assert FailedJobRegistry(queue=ours).get_job_ids() == ["evil"]
    assert StartedJobRegistry(queue=ours).get_job_ids(cleanup=False) == []
    assert worker.output.count("job evil:") == 1, "it is logged once"
    assert stack.statuses() == {"succeeded": 1}, "the worker goes on"


def test_a_module_that_is_not_ours_is_not_even_imported(
    stack: Stack, ours: Queue, mark: Path
) -> None:
    (stack.folder / "trap.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    path = f"{stack.folder}:{stack.environment['PYTHONPATH']}"
    ours.enqueue("trap.function")
    ours.enqueue(JOB, NOBODY, on_success=Callback("trap.on_success"))
    burst(stack, "pushjobs", PYTHONPATH=path)
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["on_success", "on_failure", "on_stopped"])
def test_our_function_brings_no_callback(stack: Stack, ours: Queue, kind: str) -> None:
    callback: Any = {kind: Callback("tests.support.citizens.on_success")}
    job = ours.enqueue(JOB, NOBODY, **callback)
    burst(stack, "pushjobs")
    assert notes(stack) == []
    assert job.get_status() == JobStatus.FAILED
    assert "citizens.on_success" in reason_of(job)


def test_our_function_calls_no_url(stack: Stack, ours: Queue) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        job = ours.enqueue(JOB, NOBODY, webhooks=[Webhook(url, "finished"), Webhook(url, "failed")])
        burst(stack, "pushjobs")
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert job.get_status() == JobStatus.FAILED
    assert "webhook" in reason_of(job)


DATA: dict[str, Any] = {
    "a method of a value": ["format", "value", [], {}],
    "the right name of a value": [JOB, "value", [NOBODY], {}],
    "a neighbour of ours": ["django_pushjobs.jobs.UUID", None, [NOBODY], {}],
    "no name": [None, None, [], {}],
    "a name that is a list": [[JOB], None, [NOBODY], {}],
    "a name that is an object": [{"a": 1}, None, [NOBODY], {}],
    "too few parts": [JOB],
}


@pytest.mark.parametrize("case", DATA)
def test_what_only_looks_like_ours_is_refused(stack: Stack, ours: Queue, case: str) -> None:
    job = ours.enqueue(JOB, NOBODY, on_failure=ON_FAILURE, on_success=ON_FAILURE)
    stack.redis.hset(job.key, "data", json.dumps(DATA[case]))
    burst(stack, "pushjobs")
    assert job.get_status() == JobStatus.FAILED
    assert notes(stack) == []


def test_maintenance_calls_nothing_either(stack: Stack, ours: Queue) -> None:
    evil = ours.enqueue(
        NOTE, "called", on_failure=Callback(citizens.on_failure), retry=Retry(max=1)
    )
    fair = ours.enqueue(JOB, NOBODY, on_failure=Callback(citizens.on_failure))
    abandon(ours, stack.redis, evil, fair)
    burst(stack, "pushjobs")
    assert notes(stack) == []
    assert evil.get_status() == fair.get_status() == JobStatus.FAILED


@pytest.mark.parametrize("origin", ["pushjobs", "nowhere"])
def test_a_job_that_is_planted_in_a_worker_is_not_run(
    stack: Stack, ours: Queue, origin: str
) -> None:
    worker = stack.worker("pushjobs", "--processes=1", "--no-relay")
    name = name_of_worker(stack)
    evil = ours.create_job(NOTE, args=("called",), status=JobStatus.STARTED)
    evil.origin, evil.worker_name = origin, name
    evil.save()
    stack.redis.hset(f"rq:execution:{evil.id}:1", mapping={"id": "1", "job_id": evil.id})
    executions = WORKER_EXECUTIONS_KEY_TEMPLATE.format(name)
    stack.redis.sadd(executions, f"{evil.id}:1")
    eventually(lambda: not stack.redis.sismember(executions, f"{evil.id}:1"))
    assert notes(stack) == []
    assert worker.popen.poll() is None


def test_a_dead_workers_jobs_are_no_way_in(stack: Stack, ours: Queue) -> None:
    worker = stack.worker("pushjobs", "--processes=1", "--no-relay")
    [child] = worker.children()
    evil = ours.create_job(NOTE, args=("called",), on_failure=Callback(citizens.on_failure))
    lost = Queue("nowhere", connection=stack.redis, serializer=JSONSerializer)
    other = lost.create_job(NOTE, args=("called",), on_failure=Callback(citizens.on_failure))
    executions = WORKER_EXECUTIONS_KEY_TEMPLATE.format(name_of_worker(stack))
    for job in (evil, other):
        job.set_status(JobStatus.STARTED)
        job.save()
        stack.redis.zadd(f"rq:wip:{job.origin}", {f"{job.id}:1": 9e9})
    # Added while it stands still: it would tidy them away.
    os.kill(child, signal.SIGSTOP)
    stack.redis.sadd(executions, f"{evil.id}:1", f"{other.id}:1")
    os.kill(child, signal.SIGKILL)
    worker.says("is ready", times=2)
    eventually(lambda: evil.get_status() == JobStatus.FAILED)
    assert notes(stack) == []


def test_a_site_may_list_jobs_of_its_own(stack: Stack, ours: Queue) -> None:
    listed = ours.enqueue(NOTE, "called", on_failure=ON_FAILURE)
    other = ours.enqueue("tests.support.jobs.add", 1, 2)
    burst(stack, "pushjobs", DJANGO_SETTINGS_MODULE="tests.live.settings_allowed")
    assert notes(stack) == ["called"]
    assert listed.get_status() == JobStatus.FINISHED
    assert other.get_status() == JobStatus.FAILED


def test_a_refused_job_can_be_requeued_and_is_refused_again(stack: Stack, ours: Queue) -> None:
    job = ours.enqueue(NOTE, "called")
    burst(stack, "pushjobs")
    job.requeue()
    burst(stack, "pushjobs")
    assert job.get_status(refresh=True) == JobStatus.FAILED
    assert notes(stack) == []
    job.requeue()
    burst(stack, "pushjobs", DJANGO_SETTINGS_MODULE="tests.live.settings_allowed")
    assert notes(stack) == ["called"], "nothing of it was lost"


def test_other_queues_run_what_they_like(stack: Stack) -> None:
    queue = Queue("default", connection=stack.redis)
    job = queue.enqueue(jobs.add, 1, 2, on_success=Callback(citizens.on_success))
    burst(stack, "pushjobs", "default")
    assert job.return_value() == 3
    assert notes(stack) != []


def test_a_caller_that_hands_over_a_job_is_refused_as_well(stack: Stack, ours: Queue) -> None:
    job = ours.enqueue(NOTE, "called", on_failure=ON_FAILURE)
    program = stack.python(
        "-m", "gevent.monkey", "tests/support/handing_over.py",
        stack.environment["REDIS_URL"], job.id,
    )  # fmt: skip
    assert program.wait() == 0, program.output
    assert job.get_status() == JobStatus.FAILED
    assert notes(stack) == []
