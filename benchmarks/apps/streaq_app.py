"""streaq, on uvloop."""

from __future__ import annotations

import logging
import os
from typing import Any

from streaq import Worker

from .. import jobs
from ..posting import CONCURRENCY

# It would write two lines for each job.
logging.disable(logging.INFO)

worker: Any = Worker(
    redis_url=os.environ["REDIS_URL"],
    concurrency=int(os.environ.get(CONCURRENCY, "1")),
    anyio_kwargs={"use_uvloop": True},
)


@worker.task(name="noop")
async def noop(index: int) -> None:
    await jobs.async_noop(index)


@worker.task(name="push")
async def push(index: int) -> None:
    await jobs.async_push(index)


TASKS = {"noop": noop, "push": push}


def connected() -> Any:
    """Return the worker, which is an asynchronous context manager."""
    return worker


async def send(job: str, index: int) -> None:
    await TASKS[job].enqueue(index)
