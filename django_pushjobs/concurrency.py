"""Whether threads are greenlets here."""

from __future__ import annotations

import sys


def cooperative() -> bool:
    """Return True where gevent has patched threading, as in ``rqgeventworker``.

    There, threads are greenlets of one native thread: many jobs run at once and may share
    connections. Elsewhere, as in RQ's own worker, a process runs one job at a time.
    """
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and monkey.is_module_patched("threading")
