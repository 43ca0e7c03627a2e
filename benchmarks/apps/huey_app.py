"""huey with Redis; by default it keeps results other than None."""

from __future__ import annotations

import os

from huey import RedisHuey
from redis import ConnectionPool

from .. import jobs
from ..posting import CONCURRENCY

# redis-py's own limit is lower than the number of jobs at once.
pool = ConnectionPool.from_url(
    os.environ["REDIS_URL"], max_connections=int(os.environ.get(CONCURRENCY, "1")) + 50
)
huey = RedisHuey("benchmarks", connection_pool=pool)
TASKS = {name: huey.task(name=name)(getattr(jobs, name)) for name in ("noop", "push")}


def send(job: str, index: int) -> None:
    TASKS[job](index)
