"""The other workers of the same name: which are alive, and the jobs of those that died."""

from __future__ import annotations

import os
import socket
from collections import defaultdict
from datetime import timedelta

from redis import Redis
from rq import worker_registration
from rq.defaults import DEFAULT_FAILURE_TTL
from rq.exceptions import NoSuchJobError
from rq.executions import WORKER_EXECUTIONS_KEY_TEMPLATE
from rq.job import Job, JobStatus
from rq.queue import Queue
from rq.registry import StartedJobRegistry
from rq.results import Result
from rq.utils import as_text, now, parse_composite_key
from rq.worker import BaseWorker

#: Field of a job's record: how often it has blocked its worker until that was killed.
STRIKES = "pushjobs_strikes"
#: How often it may do so.
MAX_STRIKES = 2
#: Workers send heartbeats more often than this.
SILENT_AFTER = timedelta(seconds=90)


def alive(connection: Redis, name: str) -> list[str]:
    """Return the names of the living workers of the arbiter called ``name``.

    RQ remembers a killed worker for minutes. One on this host is alive if its process is; one on
    another host if it has sent a heartbeat lately.

    :raises redis.exceptions.RedisError: Redis does not answer.
    """
    return [
        worker.name
        for worker in BaseWorker.all(connection=connection)
        if worker.name.startswith(f"{name}.") and _is_alive(worker)
    ]


def _is_alive(worker: BaseWorker) -> bool:
    if worker.hostname == socket.gethostname() and worker.pid:
        try:
            os.kill(worker.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return True
    return worker.last_heartbeat is not None and now() - worker.last_heartbeat < SILENT_AFTER


def recover(worker: BaseWorker, fallen: str, culprit: str = "", silence: float = 0.0) -> int:
    """Do at once for the jobs of a dead worker what RQ would do in minutes; return how many.

    RQ considers a job abandoned when its execution has expired: its failure callback runs, and it
    is retried if it has retries left, or else fails. So its executions expire here and now, and
    RQ's own cleanup does the rest. What has blocked its worker twice is not retried.

    :param fallen: the dead worker's name in RQ.
    :param culprit: id of the job that had blocked it until it was killed.
    :param silence: seconds for which it did not respond.
    :raises redis.exceptions.RedisError: Redis does not answer.
    """
    connection = worker.connection
    executions = WORKER_EXECUTIONS_KEY_TEMPLATE.format(fallen)
    by_queue: dict[str, list[str]] = defaultdict(list)
    for composite in map(as_text, connection.smembers(executions)):
        job_id, _ = parse_composite_key(composite)
        if origin := connection.hget(Job.key_for(job_id), "origin"):
            by_queue[as_text(origin)].append(composite)
    recovered = 0
    # Jobs of queues that are not ours are left to those who know how to read them.
    for queue in worker.queues:
        if not (composites := by_queue.get(queue.name)):
            continue
        registry = StartedJobRegistry(queue=queue, job_class=queue.job_class)
        connection.zadd(registry.key, dict.fromkeys(composites, 0), xx=True)
        is_here = any(parse_composite_key(composite)[0] == culprit for composite in composites)
        if is_here and connection.hincrby(Job.key_for(culprit), STRIKES, 1) >= MAX_STRIKES:
            connection.hset(Job.key_for(culprit), "retries_left", 0)
        registry.cleanup(timestamp=0, exception_handlers=worker._exc_handlers)
        if is_here:
            _give_reason(queue, culprit, silence)
        recovered += len(composites)
    _forget(worker, fallen)
    return recovered


def _give_reason(queue: Queue, job_id: str, silence: float) -> None:
    """Let a job that has failed say why: RQ only knows that its worker is gone."""
    try:
        job = queue.job_class.fetch(
            job_id, connection=queue.connection, serializer=queue.serializer
        )
    except NoSuchJobError:
        return
    if job.get_status(refresh=False) == JobStatus.FAILED:
        reason = f"The job blocked its worker for {silence:.0f} s, until that was killed"
        Result.create_failure(job, job.failure_ttl or DEFAULT_FAILURE_TTL, reason)


def _forget(worker: BaseWorker, fallen: str) -> None:
    """Remove a dead worker from RQ's lists, as it would have done itself."""
    ghost = type(worker).find_by_key(
        worker.redis_worker_namespace_prefix + fallen, connection=worker.connection
    )
    if ghost is not None:
        with worker.connection.pipeline() as pipeline:
            worker_registration.unregister(ghost, pipeline)
            pipeline.delete(ghost.key, ghost.executions_key)
            pipeline.execute()
