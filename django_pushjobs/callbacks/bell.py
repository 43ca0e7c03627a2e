"""Ringing for the senders, which nothing depends on and nobody waits for."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from redis.exceptions import RedisError

from ..concurrency import cooperative
from ..queues import ring_for_endpoints

logger = logging.getLogger(__name__)

#: Endpoints that wait for the ringer of this process.
_waiting: set[UUID] = set()
_ringer: tuple[int, ThreadPoolExecutor] | None = None


def ring(endpoint_ids: Iterable[UUID]) -> None:
    """Ring for endpoints with events that are due. Without Redis, the relay rings later.

    In ``rqgeventworker`` a thread of its own does it: the writer, who commits for all greenlets of
    the process, has no time to wait for Redis. What comes together is rung for together.
    """
    global _ringer
    ids = set(endpoint_ids)
    if not ids:
        return
    if not cooperative():
        _ring(ids)
        return
    if _ringer is None or _ringer[0] != os.getpid():
        _waiting.clear()
        _ringer = os.getpid(), ThreadPoolExecutor(1, "callbacks-bell")
    idle = not _waiting
    _waiting.update(ids)
    if idle:
        _ringer[1].submit(_ring_waiting)


def _ring_waiting() -> None:
    ids = set(_waiting)
    _waiting.clear()
    _ring(ids)


def _ring(ids: set[UUID]) -> None:
    try:
        ring_for_endpoints(ids)
    except RedisError as error:
        logger.warning("The doorbell for %d endpoints failed: %s", len(ids), error)
