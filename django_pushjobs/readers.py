"""Queries of many greenlets over few connections.

Under gevent every greenlet has database connections of its own, so a thousand jobs that look
something up would open a thousand. Here a few threads look things up for all of them.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from django.db import close_old_connections, connections

from .concurrency import cooperative
from .processes import PerProcess

#: Connections of a process, beside those of the writer and the relay.
READERS = 2

T = TypeVar("T")


def read(query: Callable[[], T]) -> T:
    """Return ``query()``, called where there is a connection for it.

    Where jobs run one at a time (RQ's own worker), that is the caller's.

    :raises Exception: what ``query`` raises.
    """
    if not cooperative():
        return query()
    return _pool().submit(contextvars.copy_context().run, _guarded, query).result()


def _guarded(query: Callable[[], T]) -> T:
    close_old_connections()
    try:
        return query()
    except BaseException:
        # It may be the connection that is broken.
        connections.close_all()
        raise


#: The threads of this process.
_pool = PerProcess(partial(ThreadPoolExecutor, READERS, "reader"))
