"""When to try again."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

#: Seconds; nobody makes us wait longer than this, by mistake or on purpose.
MAX_RETRY_AFTER: Final = 86_400.0
#: Seconds after which a request that there was no room for is tried again.
NO_ROOM: Final = (0.5, 2.0)


def backoff(attempt: int, *, base: float, cap: float) -> float:
    """Return the seconds to wait after the ``attempt``-th failure: exponential, full jitter.

    :param attempt: how many attempts were made so far, 1 or more.
    :param base: seconds, the ceiling after the first failure; it doubles with each further one.
    :param cap: seconds, the ceiling that is never passed.
    """
    return random.uniform(0, min(cap, base * 2 ** min(attempt - 1, 32)))  # noqa: S311


def next_attempt(
    now: datetime,
    attempt: int,
    *,
    base: float,
    cap: float,
    retry_after: float | None = None,
    expires_at: datetime | None = None,
) -> datetime | None:
    """Return when to try again, or None if that would be past ``expires_at``.

    :param retry_after: seconds the provider asked for; we never come earlier than that, and
        never wait for more than :data:`MAX_RETRY_AFTER` because of it.
    """
    delay = backoff(attempt, base=base, cap=cap)
    if retry_after is not None:
        # Backends may be third-party code: the value must neither overflow nor lead into the past.
        delay += min(max(0.0, retry_after), MAX_RETRY_AFTER)
    due = now + timedelta(seconds=delay)
    return None if expires_at is not None and due >= expires_at else due


def soon(now: datetime) -> datetime:
    """Return when to come back after there was no room; not all at once."""
    return now + timedelta(seconds=random.uniform(*NO_ROOM))  # noqa: S311


def parse_retry_after(value: str, now: datetime | None = None) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110, section 10.2.3).

    :param value: seconds as digits, or an HTTP-date.
    :param now: aware; what a date is compared with.
    :returns: 0 for a date that is past, :data:`MAX_RETRY_AFTER` at most, and None for what is
        neither seconds nor a date.
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        # Python refuses to read thousands of digits; here, ten are for ever already.
        return min(float(value[:32]), MAX_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    seconds = (date - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)
