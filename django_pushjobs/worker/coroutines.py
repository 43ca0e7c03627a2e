"""Runs the event loops of jobs, each in a native thread of its own.

A native thread can have only one running event loop, and everything that runs there sees it: a
second ``asyncio.run()`` fails, and so does Django's ORM in every other greenlet. So
``asyncio.run()``, which RQ calls for a job that is a coroutine, is made to use a thread in which
nothing else runs, while the greenlet that called it waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

from django.db import connections
from gevent.monkey import get_original
from gevent.threadpool import ThreadPool
from redis import ConnectionPool, Redis
from rq import get_current_job
from rq.connections import parse_connection

logger = logging.getLogger(__name__)

#: Seconds that a coroutine has to clean up once it was canceled.
GRACE = 1.0

_this_thread = get_original("_thread", "get_ident")
_run = asyncio.run


class CoroutineThreads:
    """Runs coroutines for greenlets, up to ``size`` at once; starts threads only when needed."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._pool: ThreadPool | None = None

    @contextmanager
    def in_charge(self) -> Iterator[None]:
        """Take over ``asyncio.run()`` for calls from this native thread, and from no other."""
        ours = _this_thread()

        def run(main: Coroutine[Any, Any, Any], **options: Any) -> Any:
            return (self.run if _this_thread() == ours else _run)(main, **options)

        asyncio.run = run
        try:
            yield
        finally:
            asyncio.run = _run

    def run(self, coroutine: Coroutine[Any, Any, Any], **options: Any) -> Any:
        """Return what the coroutine returns; it sees the context variables of the caller.

        An exception that is thrown into the waiting greenlet cancels the coroutine.
        """
        if self._pool is None:
            self._pool = ThreadPool(self.size)
        with _connection_for_thread() as connection:
            task = _Task(coroutine, options, connection)
            outcome: Any = self._pool.spawn(copy_context().run, task.run)
            try:
                value, error = outcome.get()
            except BaseException:
                task.cancel()
                if outcome.wait(GRACE) is None:
                    logger.warning("%r did not end after it was canceled", coroutine)
                raise
        if error is not None:
            raise error
        return value


@contextmanager
def _connection_for_thread() -> Iterator[Redis | None]:
    """Lend the current job a Redis connection that works in another thread: sockets do not."""
    job = get_current_job()
    if job is None:
        yield None
        return
    ours = job.connection
    redis_class, connection_class, options = parse_connection(ours)
    pool = ConnectionPool(connection_class=connection_class, **options)
    job.connection = redis_class(connection_pool=pool)
    try:
        yield job.connection
    finally:
        job.connection = ours


class _Task:
    """One coroutine, seen by the thread that runs it and by the greenlet that waits for it."""

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, Any],
        options: dict[str, Any],
        connection: Redis | None,
    ) -> None:
        self.coroutine = coroutine
        self.options = options
        self.connection = connection
        self.canceled = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None

    def run(self) -> tuple[Any, BaseException | None]:
        """Called in the thread. Never raises: SystemExit would end the process there."""
        try:
            return _run(self._main(), **self.options), None
        except BaseException as error:
            return None, error
        finally:
            connections.close_all()
            if self.connection is not None:
                self.connection.connection_pool.disconnect()

    async def _main(self) -> Any:
        self._task, self._loop = asyncio.current_task(), asyncio.get_running_loop()
        if self.canceled:
            self.coroutine.close()
            raise asyncio.CancelledError
        return await self.coroutine

    def cancel(self) -> None:
        """Called in the greenlet."""
        self.canceled = True
        if self._loop is not None and self._task is not None:
            try:
                self._loop.call_soon_threadsafe(self._task.cancel)
            except RuntimeError:
                pass  # it has just ended, and its loop is closed
