"""Ringing for the senders, which nothing depends on and nobody waits for."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from redis.exceptions import RedisError

from ..concurrency import cooperative
from ..processes import PerProcess
from ..queues import ring_for_endpoints

logger = logging.getLogger(__name__)


class Ringer:
    """Rings for the endpoints of one process, from a thread of its own."""

    def __init__(self) -> None:
        self._waiting: set[UUID] = set()
        self._thread = ThreadPoolExecutor(1, "callbacks-bell")

    def ring(self, endpoint_ids: set[UUID]) -> None:
        idle = not self._waiting
        self._waiting.update(endpoint_ids)
        if idle:
            self._thread.submit(self._ring_waiting)

    def _ring_waiting(self) -> None:
        ids = set(self._waiting)
        self._waiting.clear()
        _ring(ids)


_ringer = PerProcess(Ringer)


def ring(endpoint_ids: Iterable[UUID]) -> None:
    """Ring for endpoints with events that are due. Without Redis, the relay rings later.

    In ``rqgeventworker`` a thread of its own does it: the writer, who commits for all greenlets of
    the process, has no time to wait for Redis. What comes together is rung for together.
    """
    ids = set(endpoint_ids)
    if not ids:
        return
    if cooperative():
        _ringer().ring(ids)
    else:
        _ring(ids)


def _ring(ids: set[UUID]) -> None:
    try:
        ring_for_endpoints(ids)
    except RedisError as error:
        logger.warning("The doorbell for %d endpoints failed: %s", len(ids), error)
