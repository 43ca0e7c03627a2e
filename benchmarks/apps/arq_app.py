"""arq, on uvloop."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import uvloop
from arq import create_pool
from arq.connections import ArqRedis, RedisSettings

from .. import jobs
from ..posting import CONCURRENCY

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
# It would write two lines for each job.
logging.disable(logging.INFO)


async def noop(context: dict[str, Any], index: int) -> None:
    await jobs.async_noop(index)


async def push(context: dict[str, Any], index: int) -> None:
    await jobs.async_push(index)


class WorkerSettings:
    functions: ClassVar = [noop, push]
    redis_settings = RedisSettings.from_dsn(os.environ["REDIS_URL"])
    max_jobs = int(os.environ.get(CONCURRENCY, "1"))


_pool: ArqRedis | None = None


@asynccontextmanager
async def connected() -> AsyncIterator[None]:
    global _pool
    _pool = _pool or await create_pool(WorkerSettings.redis_settings)
    yield


async def send(job: str, index: int) -> None:
    assert _pool is not None
    await _pool.enqueue_job(job, index)
