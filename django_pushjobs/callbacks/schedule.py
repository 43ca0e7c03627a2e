"""When to call again, after a failure."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Final

from ..transport.retry_after import MAX_RETRY_AFTER
from .results import Verdict

_MINUTE: Final = 60
_HOUR: Final = 3_600

#: Seconds before each attempt, counted from the failure of the one before it.
SCHEDULE: Final = (
    *(0, 5, 5 * _MINUTE, 30 * _MINUTE),
    *(2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR),
)
#: A delay may exceed that of the schedule by up to this fraction.
JITTER: Final = 0.1

#: An endpoint is disabled if every attempt has failed for this long.
DISABLED_AFTER: Final = timedelta(days=5)
#: Failures that are further apart than this do not count as one continuous failure.
FORGOTTEN_AFTER: Final = timedelta(days=2)

#: Seconds for which a throttling endpoint is left alone if it does not say how long.
THROTTLED_FOR: Final = 30.0
#: Seconds for which an endpoint that does not respond is left alone: at least, and at most.
REST: Final = (5.0, 300.0)


def next_attempt(now: datetime, attempts: int, retry_after: float | None) -> datetime | None:
    """Return when to try an event again after its ``attempts``-th failure, or None to give up."""
    if attempts >= len(SCHEDULE):
        return None
    # Jitter spreads load; nobody gains by guessing it.
    delay = SCHEDULE[attempts] * random.uniform(1, 1 + JITTER)  # noqa: S311 # nosec B311
    if retry_after is not None:
        delay = max(delay, min(retry_after, MAX_RETRY_AFTER))
    return now + timedelta(seconds=delay)


def resting_until(
    now: datetime, verdict: Verdict, retry_after: float | None, failing_since: datetime
) -> datetime | None:
    """Return until when to leave the endpoint alone, or None.

    An endpoint that does not respond costs a worker a timeout at every attempt: the longer that
    has been going on, the longer it is left alone, for up to five minutes.
    """
    match verdict:
        case Verdict.THROTTLED:
            seconds = THROTTLED_FOR if retry_after is None else retry_after
            return now + timedelta(seconds=min(seconds, MAX_RETRY_AFTER))
        case Verdict.NO_RESPONSE:
            least, most = REST
            lasted = (now - failing_since).total_seconds()
            least = max(least, retry_after or 0.0)
            return now + timedelta(seconds=min(max(lasted, least), most))
    return None


def failing_since(
    now: datetime, since: datetime | None, last_attempt_at: datetime | None
) -> datetime:
    """Return since when an endpoint has been failing, given that it has just failed again."""
    forgotten = last_attempt_at is None or now - last_attempt_at > FORGOTTEN_AFTER
    return now if since is None or forgotten else since
