"""Queries of many greenlets over few connections.

Under gevent every greenlet has database connections of its own, so a thousand jobs that query the
database would open a thousand. Here a few threads run the queries for all of them.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from django.db import connections

from ..runtime.greenlets import cooperative
from ..runtime.processes import PerProcess

#: Connections of a process besides those of the two writers.
READERS = 2

#: Seconds after which the other side may have closed a connection, so that it is replaced.
IDLE = 5.0

T = TypeVar("T")


def read(query: Callable[[], T]) -> T:
    """Return ``query()``, called by a thread that has a connection.

    If jobs run one at a time (RQ's own worker), that is the caller's thread.

    :raises Exception: what ``query`` raises.
    """
    if not cooperative():
        return query()
    return _pool().submit(contextvars.copy_context().run, _guarded, query).result()


def _guarded(query: Callable[[], T]) -> T:
    # Not Django's close_old_connections(): with CONN_MAX_AGE at 0, its default, each query would
    # open a new connection.
    if time.monotonic() - getattr(_last, "used_at", 0.0) > IDLE:
        connections.close_all()
    try:
        return query()
    except BaseException:
        # It may be the connection that is broken.
        connections.close_all()
        raise
    finally:
        _last.used_at = time.monotonic()


_last = threading.local()

#: The threads of this process.
_pool = PerProcess(partial(ThreadPoolExecutor, READERS, "reader"))
