"""saq, on uvloop."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import uvloop
from redis.asyncio import Redis
from saq.queue.redis import RedisQueue

from .. import jobs
from ..posting import CONCURRENCY

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

CONCURRENT = int(os.environ.get(CONCURRENCY, "1"))
# redis-py's own limit is lower than the number of jobs at once.
queue = RedisQueue(Redis.from_url(os.environ["REDIS_URL"], max_connections=CONCURRENT + 50))


async def noop(context: dict[str, Any], *, index: int) -> None:
    await jobs.async_noop(index)


async def push(context: dict[str, Any], *, index: int) -> None:
    await jobs.async_push(index)


#: What ``saq`` is started with.
settings = {"queue": queue, "functions": [noop, push], "concurrency": CONCURRENT}


async def send(job: str, index: int) -> None:
    await queue.enqueue(job, index=index)
