"""How many things happen at once in this process."""

from __future__ import annotations

import sys

_slots: int | None = None


def cooperative() -> bool:
    """Return True where gevent has patched threading, as in ``rqgeventworker``.

    There, threads are greenlets of one native thread: many jobs run at once and may share
    connections. Elsewhere, as in RQ's own worker, a process runs one job at a time.
    """
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and monkey.is_module_patched("threading")


def slots() -> int | None:
    """Return how many jobs this process runs at the same time, or None where nobody said so."""
    return _slots


def set_slots(count: int) -> None:
    """Say how many jobs this process runs at the same time; a worker does so as it starts."""
    global _slots
    _slots = count
