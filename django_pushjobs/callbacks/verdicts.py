"""What an endpoint's answer means, and when to call again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from ..transport.retry_after import MAX_RETRY_AFTER

_MINUTE: Final = 60
_HOUR: Final = 3_600

#: Seconds before each attempt, counted from the failure of the one before it.
SCHEDULE: Final = (
    *(0, 5, 5 * _MINUTE, 30 * _MINUTE),
    *(2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR),
)
#: A wait is longer than the schedule says by up to this part of it.
JITTER: Final = 0.1

#: An endpoint is disabled once nothing has got through for so long.
DISABLED_AFTER: Final = timedelta(days=5)
#: Failures that lie further apart than this are not one failure that lasts.
FORGOTTEN_AFTER: Final = timedelta(days=2)

#: Seconds that a throttling endpoint is left alone, where it does not say how long.
THROTTLED_FOR: Final = 30.0
#: Seconds that one is left alone which costs us a timeout at every attempt.
REST: Final = (5.0, 300.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one attempt.

    :param status_code: None where there was no answer.
    :param error_code: a word for why there was none.
    :param retry_after: seconds that the endpoint asked for.
    :param response: the first characters of the body.
    :param latency: milliseconds.
    """

    status_code: int | None = None
    error_code: str = ""
    retry_after: float | None = None
    response: str = ""
    started_at: datetime
    latency: int


class Verdict(Enum):
    """What an answer means: for the event, and for the endpoint."""

    TAKEN = "taken"  #: 2xx
    GONE = "gone"  #: 410: the endpoint does not want to be called any more
    THROTTLED = "throttled"  #: 429, 502, 504: leave the endpoint alone for a while
    UNREACHABLE = "unreachable"  #: no answer at all
    REFUSED = "refused"  #: everything else, redirects among it

    @classmethod
    def of(cls, answer: Answer) -> Verdict:
        match answer.status_code:
            case None:
                return cls.UNREACHABLE
            case code if 200 <= code < 300:
                return cls.TAKEN
            case 410:
                return cls.GONE
            case 429 | 502 | 504:
                return cls.THROTTLED
        return cls.REFUSED


def next_attempt(now: datetime, attempts: int, retry_after: float | None) -> datetime | None:
    """Return when to try an event again after its ``attempts``-th failure; None: not any more."""
    if attempts >= len(SCHEDULE):
        return None
    wait = SCHEDULE[attempts] * random.uniform(1, 1 + JITTER)  # noqa: S311
    if retry_after is not None:
        wait = max(wait, min(retry_after, MAX_RETRY_AFTER))
    return now + timedelta(seconds=wait)


def rest(
    now: datetime, verdict: Verdict, retry_after: float | None, failing_since: datetime
) -> datetime | None:
    """Return until when the endpoint shall be left alone, or None.

    One that does not answer costs a worker a timeout each time: the longer that lasts, the longer
    it is left alone, up to five minutes.
    """
    match verdict:
        case Verdict.THROTTLED:
            seconds = THROTTLED_FOR if retry_after is None else retry_after
            return now + timedelta(seconds=min(seconds, MAX_RETRY_AFTER))
        case Verdict.UNREACHABLE:
            least, most = REST
            lasted = (now - failing_since).total_seconds()
            return now + timedelta(seconds=min(max(lasted, least), most))
    return None


def failing_since(
    now: datetime, since: datetime | None, last_attempt_at: datetime | None
) -> datetime:
    """Return since when an endpoint has been failing, given that it has failed again."""
    forgotten = last_attempt_at is None or now - last_attempt_at > FORGOTTEN_AFTER
    return now if since is None or forgotten else since
