"""Ringing for the senders, which nothing depends on and nobody waits for."""

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
    """Rings for the endpoints of one process, from a thread of its own."""

    def __init__(self) -> None:
        self._waiting: set[UUID] = set()
        self._thread = ThreadPoolExecutor(1, "callbacks-dispatch")

    def enqueue(self, endpoint_ids: set[UUID]) -> None:
        idle = not self._waiting
        self._waiting.update(endpoint_ids)
        if idle:
            self._thread.submit(self._ring_waiting)

    def _ring_waiting(self) -> None:
        ids = set(self._waiting)
        self._waiting.clear()
        _ring(ids)


_dispatcher = PerProcess(Dispatcher)


def enqueue(endpoint_ids: Iterable[UUID]) -> None:
    """Ring for endpoints with events that are due. Without Redis, the relay rings later.

    In ``rqgeventworker`` a thread of its own does it: the writer, who commits for all greenlets of
    the process, has no time to wait for Redis. What comes together is rung for together.
    """
    ids = set(endpoint_ids)
    if not ids:
        return
    if cooperative():
        _dispatcher().enqueue(ids)
    else:
        _ring(ids)


def _ring(ids: set[UUID]) -> None:
    try:
        enqueue_callbacks(ids)
    except Unavailable as error:
        logger.warning("The doorbell for %d endpoints failed: %s", len(ids), error)
