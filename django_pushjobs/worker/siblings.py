"""The other workers of the same name: which are alive, and the jobs of those that died."""

from __future__ import annotations

import os
import socket
from collections import defaultdict
from datetime import timedelta

from redis import Redis
from rq import worker_registration
from rq.executions import WORKER_EXECUTIONS_KEY_TEMPLATE
from rq.job import Job
from rq.registry import StartedJobRegistry
from rq.utils import as_text, now, parse_composite_key
from rq.worker import BaseWorker

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


def recover(worker: BaseWorker, fallen: str) -> int:
    """Do at once for the jobs of a dead worker what RQ would do in minutes; return how many.

    RQ considers a job abandoned when its execution has expired: its failure callback runs, and it
    is retried if it has retries left, or else fails. So its executions expire here and now, and
    RQ's own cleanup does the rest.

    :param fallen: the dead worker's name in RQ.
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
        registry.cleanup(timestamp=0, exception_handlers=worker._exc_handlers)
        recovered += len(composites)
    _forget(worker, fallen)
    return recovered


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
