"""Requests whose retention is over, while others go on ending."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from ..pipeline.database import REQUESTS
from .stage import add_finished, ask, clear, size

#: Requests that end in a second, each with a delivery and an attempt.
RATE = 3_000
#: Requests a second that have ended, as their keys say.
DENSITY = 3.0


def measure(count: int, seconds: float) -> Iterator[str]:
    """Yield lines of the table.

    :param count: requests whose retention is over at the beginning.
    :param seconds: for which others are added, which are as old at once: by their keys the clock
        is a month further.
    """
    from .settings import RETENTION

    clear()
    since = time.time() - RETENTION - (count + RATE * seconds) / DENSITY / 1_000 - 60
    for first in range(0, count, 100_000):
        add_finished(first, min(100_000, count - first), since=since, density=DENSITY, journal=True)
    began = time.monotonic()
    _prune(until=None)
    took = time.monotonic() - began
    yield f"{f'{count:,} to prune':34} {took:8.1f} s {count / took:10,.0f}/s"
    adder = _Adder(count, since)
    middle = 0
    began = time.monotonic()
    adder.start()
    for part in (1, 2):
        _prune(until=began + part * seconds / 2)
        middle = middle or size()
    adder.stop()
    took = time.monotonic() - began
    left = int(ask(f"SELECT count(*) FROM {REQUESTS}"))
    pruned = adder.count - left
    yield (
        f"{f'{adder.count / took:,.0f}/s that are added':34} {took:8.1f} s {pruned / took:10,.0f}/s"
        f"   {left:,} left; {middle / 1e6:.0f} MB at half time, {size() / 1e6:.0f} MB at the end"
    )


class _Adder:
    """Adds requests at a rate, from a thread of its own."""

    def __init__(self, first: int, since: float) -> None:
        self._first, self._since = first, since
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.count = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        from django.db import connections

        began = time.monotonic()
        while not self._over.wait(0.1):
            count = int((time.monotonic() - began) * RATE) - self.count
            add_finished(
                self._first + self.count, count, since=self._since, density=DENSITY, journal=True
            )
            self.count += count
        connections.close_all()


def _prune(until: float | None) -> None:
    """Let a relay do it as it does on a site; without ``until``, until there is nothing left."""
    from django_pushjobs.conf import conf
    from django_pushjobs.relay.loop import Relay

    relay = Relay()
    while until is None or time.monotonic() < until:
        if relay.turn():
            continue
        if until is None:
            break
        time.sleep(conf().RELAY_INTERVAL)
    relay.close()
