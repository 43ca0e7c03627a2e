"""When to try again."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Final

from ..conf import conf
from ..transport.retry_after import MAX_RETRY_AFTER

#: Seconds after which a request that there was no room for is tried again.
NO_ROOM: Final = (0.5, 2.0)


def backoff(attempt: int, *, base: float, cap: float) -> float:
    """Return the seconds to wait after the ``attempt``-th failure: exponential, full jitter.

    :param attempt: how many attempts were made so far, 1 or more.
    :param base: seconds, the ceiling after the first failure; it doubles with each further one.
    :param cap: seconds, the ceiling that is never passed.
    """
    ceiling = min(cap, base * 2 ** min(attempt - 1, 32))
    # Jitter spreads load; nobody gains by guessing it.
    return random.uniform(0, ceiling)  # noqa: S311 # nosec B311


def retry_until(started_at: datetime) -> datetime:
    """Return from when on a request that was first attempted at ``started_at`` is given up."""
    return started_at + timedelta(seconds=conf().RETRY_FOR)


def asked(retry_after: float | None) -> timedelta:
    """Return for how long a provider asked to be left alone, :data:`MAX_RETRY_AFTER` at most."""
    # Backends may be third-party code: the value must neither overflow nor lead into the past.
    return timedelta(seconds=min(max(0.0, retry_after or 0.0), MAX_RETRY_AFTER))


def next_attempt(
    now: datetime,
    attempt: int,
    *,
    base: float,
    cap: float,
    retry_after: float | None = None,
    until: datetime | None = None,
    expires_at: datetime | None = None,
) -> datetime | None:
    """Return when to try again, or None if that would be past ``expires_at``.

    :param retry_after: seconds the provider asked for; we never come earlier than that.
    :param until: when the last attempt is made, unless the provider asked for a later one.
    """
    earliest = now + asked(retry_after)
    due = earliest + timedelta(seconds=backoff(attempt, base=base, cap=cap))
    if until is not None:
        due = max(earliest, min(due, until))
    return None if expires_at is not None and due >= expires_at else due


def soon(now: datetime) -> datetime:
    """Return when to come back after there was no room; not all at once."""
    # Jitter spreads load; nobody gains by guessing it.
    return now + timedelta(seconds=random.uniform(*NO_ROOM))  # noqa: S311 # nosec B311
