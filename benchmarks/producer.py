"""Sends jobs with a peer's own client: ``python -m benchmarks.producer benchmarks.apps.x``.

It reads one order a line from its standard input, as JSON, and answers each with a line when all
is sent: ``{"job": "noop", "first": 0, "count": 100, "rate": 50}``. Without a rate, it sends as
fast as it can. The time of each job is noted right before the client is called.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from types import ModuleType
from typing import Any

from .marks import Marks, opened


def schedule(rate: float | None, count: int) -> Iterator[float]:
    """Return for each job the seconds to wait before it is sent."""
    start = time.monotonic()
    for number in range(count):
        yield max(0.0, start + number / rate - time.monotonic()) if rate else 0.0


def produce(app: ModuleType, marks: Marks, order: dict[str, Any]) -> None:
    job, first, count, rate = order["job"], order["first"], order["count"], order["rate"]
    if rate is None and hasattr(app, "send_many"):
        app.send_many(job, range(first, first + count))
        return
    for index, delay in enumerate(schedule(rate, count), first):
        if delay:
            time.sleep(delay)
        marks.send(index)
        app.send(job, index)


async def produce_async(app: ModuleType, marks: Marks, order: dict[str, Any]) -> None:
    connected = app.connected() if hasattr(app, "connected") else nullcontext()
    async with connected:
        delays = schedule(order["rate"], order["count"])
        for index, delay in enumerate(delays, order["first"]):
            if delay:
                await asyncio.sleep(delay)
            marks.send(index)
            await app.send(order["job"], index)


def main() -> None:
    app = importlib.import_module(sys.argv[1])
    if hasattr(app, "prepare"):
        app.prepare()
    marks = opened()
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            order = json.loads(line)
            if inspect.iscoroutinefunction(app.send):
                runner.run(produce_async(app, marks, order))
            else:
                produce(app, marks, order)
            print("sent", flush=True)


if __name__ == "__main__":
    main()
