"""Many requests that are due at one moment, and one relay."""

from __future__ import annotations

import time

from ..pipeline.database import REQUESTS
from .stage import add_due, ask, clear


def measure(count: int) -> str:
    """Return how long it takes until all are QUEUED and have a job, as a line of the table."""
    from django_pushjobs.broker import queues
    from django_pushjobs.relay.loop import Relay

    clear()
    add_due(count)
    relay = Relay()
    began, cpu = time.monotonic(), time.process_time()
    while relay.turn():
        pass
    took, cpu = time.monotonic() - began, time.process_time() - cpu
    relay.close()
    queued = int(ask(f"SELECT count(*) FROM {REQUESTS} WHERE status = 'queued'"))
    jobs = queues.depth()["pushjobs"]
    if not queued == jobs == count:
        raise AssertionError(f"{count} were due, {queued} are queued, and there are {jobs} jobs")
    return (
        f"{f'{count:,} due at once':34} {took:8.1f} s {count / took:10,.0f}/s"
        f"   {1e6 * cpu / count:.0f} µs of CPU each in the relay"
    )
