"""How many pushes a provider gets: the limits ``RATE`` and ``CONCURRENCY`` of a backend.

They hold for all workers of a site together, so they are kept in Redis. Without Redis they are not
enforced: no jobs arrive then, and what runs may finish.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from uuid import UUID

from ..backends import policy
from ..broker import Unavailable
from ..conf import conf
from .rates import RateLimit, Take, take
from .slots import ConcurrencyLimit, acquire, release

logger = logging.getLogger(__name__)

#: Seconds that an attempt waits for the first of its pushes; then it makes room for others.
PATIENCE = 5.0
#: Seconds beyond the timeout of a job for which it may hold its place.
GRACE = 60.0

#: Of the pushes of one process that wait for the same rate, one at a time asks for its turn.
_turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


def enter(backend: str, request_id: UUID) -> bool:
    """Take a place for a request under the concurrency limit of its backend.

    A request that got one has to :func:`leave`; if its worker dies, the relay does that.
    """
    limit = _concurrency(backend)
    if limit is None:
        return True
    lease = conf().JOB_TIMEOUT + GRACE
    try:
        [slots] = acquire([(limit, [str(request_id)])], lease=lease)
    except Unavailable as error:
        logger.warning("The concurrency limit of backend %r is not enforced: %s", backend, error)
        return True
    return bool(slots.held)


def leave(backend: str, request_id: UUID) -> None:
    """Give back the place of a request, if it has one."""
    limit = _concurrency(backend)
    if limit is None:
        return
    try:
        release([(limit, [str(request_id)])])
    except Unavailable:
        pass  # its lease will expire


def wait_turn(backend: str, patience: float | None = None) -> bool:
    """Wait until one more push keeps the rate of ``backend``.

    :param patience: seconds to wait at most; None for as long as it takes.
    :returns: False if that was not long enough.
    """
    rate = policy(backend).rate
    if rate is None:
        return True
    limit = _rate_limit(backend, rate)
    deadline = None if patience is None else time.monotonic() + patience
    lock = _turns[backend]
    if not lock.acquire(timeout=-1 if patience is None else patience):
        return False
    try:
        while True:
            [grant] = take(Take(limit))
            if grant.allowed:
                return True
            if deadline is not None and time.monotonic() + grant.retry_after > deadline:
                return False
            time.sleep(grant.retry_after)
    except Unavailable as error:
        logger.warning("The rate limit of backend %r is not enforced: %s", backend, error)
        return True
    finally:
        lock.release()


def _concurrency(backend: str) -> ConcurrencyLimit | None:
    limit = policy(backend).concurrency
    return None if limit is None else ConcurrencyLimit(f"backend:{backend}", limit)


def _rate_limit(backend: str, rate: float) -> RateLimit:
    """Return ``rate`` pushes a second as whole tokens in so much time, and hardly any at once."""
    tokens = max(1, round(rate))
    return RateLimit(f"backend:{backend}", tokens, tokens / rate, burst=max(1, round(rate / 10)))
