"""How busy and how large each child is, as ``manage.py pushjobs_workers`` shows it.

RQ's own record of a worker has no room for concurrency and memory, so each child keeps a small
hash beside it, which expires unless the child renews it.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from typing import Any

from redis import Redis
from rq.utils import as_text
from rq.worker import BaseWorker

from ..broker.keys import key

#: Seconds between two records, and until one is forgotten.
INTERVAL, TTL = 5.0, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """One child, as it was a few seconds ago.

    :param name: its name in RQ.
    :param queues: names of its queues, with commas between them.
    :param state: RQ's word for what it is doing.
    :param busy: jobs that are running.
    :param concurrency: jobs that may run at once.
    :param done: jobs that ended, successfully or not.
    :param age: seconds since its start.
    :param rss: bytes of resident memory.
    """

    name: str
    host: str
    pid: int
    queues: str
    state: str
    busy: int
    concurrency: int
    done: int
    age: float
    rss: int


def publish(connection: Redis, name: str, *, busy: int, concurrency: int) -> None:
    """Record how this child is doing.

    :raises redis.exceptions.RedisError: Redis does not answer.
    :raises django.db.DatabaseError: see :func:`.broker.keys.prefix`.
    """
    record: dict[Any, Any] = {"busy": busy, "concurrency": concurrency, "rss": resident_memory()}
    with connection.pipeline(transaction=False) as pipeline:
        pipeline.hset(key("vitals", name), mapping=record)
        pipeline.expire(key("vitals", name), TTL)
        pipeline.execute()


def read(connection: Redis) -> list[Vitals]:
    """Return the children of all arbiters of this site, in the order of their names.

    :raises redis.exceptions.RedisError: Redis does not answer.
    :raises django.db.DatabaseError: see :func:`.broker.keys.prefix`.
    """
    workers = {worker.name: worker for worker in BaseWorker.all(connection=connection)}
    with connection.pipeline(transaction=False) as pipeline:
        for name in workers:
            pipeline.hgetall(key("vitals", name))
        records = pipeline.execute()
    found = []
    for worker, raw in zip(workers.values(), records, strict=True):
        if not raw:
            continue  # a worker of another kind, or one that has just died
        record = {as_text(field): int(value) for field, value in raw.items()}
        born = worker.birth_date.timestamp() if worker.birth_date else time.time()
        found.append(
            Vitals(
                name=worker.name,
                host=worker.hostname or "",
                pid=worker.pid or 0,
                queues=",".join(worker.queue_names()),
                state=worker.get_state(),
                done=worker.successful_job_count + worker.failed_job_count,
                age=time.time() - born,
                **record,
            )
        )
    return sorted(found, key=lambda vitals: vitals.name)


def as_dict(vitals: Vitals) -> dict[str, object]:
    """Return the vitals by the names of the parameters above."""
    return asdict(vitals)


def resident_memory() -> int:
    """Return the resident memory of this process in bytes; 0 if the system does not say."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
