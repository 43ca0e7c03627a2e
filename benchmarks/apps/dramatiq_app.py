"""dramatiq with its Redis broker and, as by default, no results."""

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from redis import ConnectionPool

from .. import jobs
from ..posting import CONCURRENCY

# redis-py's own limit is lower than the number of jobs at once.
pool = ConnectionPool.from_url(
    os.environ["REDIS_URL"], max_connections=int(os.environ.get(CONCURRENCY, "1")) + 50
)
broker = RedisBroker(connection_pool=pool)
dramatiq.set_broker(broker)
ACTORS = {
    name: dramatiq.actor(getattr(jobs, name), actor_name=name, broker=broker)
    for name in ("noop", "push", "pipeline", "bare_pipeline")
}


def send(job: str, index: int) -> None:
    ACTORS[job].send(index)
