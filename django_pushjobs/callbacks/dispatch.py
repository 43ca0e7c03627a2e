"""Enqueue the jobs that call endpoints, after the commit that wrote their events."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from ..broker import Unavailable
from ..broker.queues import enqueue_callbacks
from ..runtime.greenlets import cooperative
from ..runtime.processes import PerProcess

logger = logging.getLogger(__name__)


class Dispatcher:
    """Enqueues the endpoints of one process, in a thread of its own."""

    def __init__(self) -> None:
        self._pending: set[UUID] = set()
        self._thread = ThreadPoolExecutor(1, "callbacks-dispatch")

    def add(self, endpoint_ids: set[UUID]) -> None:
        """Enqueue these endpoints soon, together with whatever is added until then."""
        is_idle = not self._pending
        self._pending.update(endpoint_ids)
        if is_idle:
            self._thread.submit(self._enqueue_pending)

    def _enqueue_pending(self) -> None:
        ids = set(self._pending)
        self._pending.clear()
        _enqueue_now(ids)


_dispatcher = PerProcess(Dispatcher)


def enqueue(endpoint_ids: Iterable[UUID]) -> None:
    """Enqueue a job for each of these endpoints. If Redis is down, the relay does so later.

    In ``rqgeventworker`` a separate thread does it: the writer, which commits on behalf of all
    greenlets of the process, must not wait for Redis. Endpoints that arrive at the same time are
    enqueued together.
    """
    ids = set(endpoint_ids)
    if not ids:
        return
    if cooperative():
        _dispatcher().add(ids)
    else:
        _enqueue_now(ids)


def _enqueue_now(ids: set[UUID]) -> None:
    try:
        enqueue_callbacks(ids)
    except Unavailable as error:
        logger.warning("could not enqueue %d callback endpoints: %s", len(ids), error)
