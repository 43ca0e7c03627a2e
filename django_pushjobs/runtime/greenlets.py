"""How many things happen at once in this process."""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_slots: int | None = None


class Promise(Generic[T]):
    """A value that one thread waits for and another one provides, once.

    A :class:`concurrent.futures.Future` that can do nothing else: under gevent it takes a third of
    the time, and each push spends it twice.
    """

    __slots__ = ("_error", "_given", "_value")

    def __init__(self) -> None:
        self._given = threading.Lock()
        self._given.acquire()
        self._error: BaseException | None = None

    def keep(self, value: T) -> None:
        """Provide the value, and let the waiting thread go on."""
        self._value = value
        self._given.release()

    def fail(self, error: BaseException) -> None:
        """Raise ``error`` in the thread that waits for the value."""
        self._error = error
        self._given.release()

    def result(self) -> T:
        """Wait for the value and return it. It can be had only once.

        :raises BaseException: the error that was given in its place.
        """
        self._given.acquire()
        if self._error is not None:
            raise self._error
        return self._value


def cooperative() -> bool:
    """Return True if gevent has patched threading, as in ``rqgeventworker``.

    There, threads are greenlets of one native thread: many jobs run at once and may share
    connections. Elsewhere, as in RQ's own worker, a process runs one job at a time.
    """
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and monkey.is_module_patched("threading")


def carrying_context(function: Callable[P, T]) -> Callable[P, T]:
    """Return ``function`` for another thread to call: it runs there in a copy of this context.

    A frame with the context is on the stack meanwhile. In that one the worker's watchdog finds the
    job on whose behalf a thread is running, which it cannot ask of the thread.
    """
    context = contextvars.copy_context()

    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return context.run(function, *args, **kwargs)

    return run


def slots() -> int | None:
    """Return how many jobs this process runs at the same time, or None if that was not set."""
    return _slots


def set_slots(count: int) -> None:
    """Set how many jobs this process runs at the same time; a worker does so as it starts."""
    global _slots
    _slots = count
