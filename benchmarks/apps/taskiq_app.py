"""taskiq with a Redis list, which acknowledges nothing, or with a Redis stream."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from taskiq import AsyncBroker
from taskiq_redis import ListQueueBroker, RedisStreamBroker

from .. import jobs

URL = os.environ["REDIS_URL"]
# From the first message on: the backlog is there before the consumer group is.
BROKERS = {
    "list": lambda: ListQueueBroker(URL),
    "stream": lambda: RedisStreamBroker(URL, consumer_id="0"),
}


broker: AsyncBroker = BROKERS[os.environ["BENCHMARK_BROKER"]]()
TASKS = {
    name: broker.register_task(getattr(jobs, f"async_{name}"), task_name=name)
    for name in ("noop", "push", "pipeline", "bare_pipeline")
}


@asynccontextmanager
async def connected() -> AsyncIterator[None]:
    await broker.startup()
    yield


async def send(job: str, index: int) -> None:
    await TASKS[job].kiq(index)
