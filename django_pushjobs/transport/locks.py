"""Locks for code that waits for a provider while it holds them."""

from __future__ import annotations

from gevent.lock import Semaphore


class Lock(Semaphore):
    """A mutual exclusion lock whose waiters let the other greenlets of their thread run.

    It is gevent's own, so that this holds whether or not gevent has patched the process. Use it as
    a context manager, or by ``acquire(blocking=False)`` and ``release()``.
    """

    def __init__(self) -> None:
        super().__init__(1)
