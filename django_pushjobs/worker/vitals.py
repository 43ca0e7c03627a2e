"""How the workers are, for those who ask: ``manage.py pushjobs_workers``.

RQ's own record of a worker has no room for slots and memory, so each child keeps a small hash
beside it. It expires by itself where its child does not renew it.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass

from redis import Redis
from rq.utils import as_text
from rq.worker import BaseWorker

KEY = "pushjobs:vitals:"
#: Seconds between two records, and until one is forgotten.
INTERVAL, TTL = 5.0, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """One child, as it was seconds ago.

    :param busy: jobs that run.
    :param slots: jobs that may run at once.
    :param done: jobs that ended, well or not.
    :param age: seconds since its start.
    :param rss: bytes of resident memory.
    """

    name: str
    host: str
    pid: int
    queues: str
    state: str
    busy: int
    slots: int
    done: int
    age: float
    rss: int


def publish(connection: Redis, name: str, *, busy: int, slots: int) -> None:
    """Record how this child is."""
    with connection.pipeline(transaction=False) as pipeline:
        pipeline.hset(KEY + name, mapping={"busy": busy, "slots": slots, "rss": resident_memory()})
        pipeline.expire(KEY + name, TTL)
        pipeline.execute()


def read(connection: Redis) -> list[Vitals]:
    """Return the children of all arbiters that share this Redis, by name."""
    workers = {worker.name: worker for worker in BaseWorker.all(connection=connection)}
    with connection.pipeline(transaction=False) as pipeline:
        for name in workers:
            pipeline.hgetall(KEY + name)
        records = pipeline.execute()
    found = []
    for worker, raw in zip(workers.values(), records, strict=True):
        if not raw:
            continue  # a worker that is not ours, or one that died just now
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
    return asdict(vitals)


def resident_memory() -> int:
    """Return the resident memory of this process in bytes; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
