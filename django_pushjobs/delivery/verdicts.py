"""What the outcome of one push means for its address: is it settled, and if not, until when?"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from ..backends import Outcome, OutcomeClass
from ..conf import conf
from ..limits.ramp import RETURN
from ..models import Pause
from ..states import DeliveryStatus, OnUnknown
from .backoff import asked, next_attempt, retry_until
from .requests import ClaimedRequest

#: Seconds after the time for a probe at which the others come back to see what came of it.
AFTER_PROBE: Final = (1.0, 3.0)

_STATUS: Final = {
    OutcomeClass.OK: DeliveryStatus.ACCEPTED,
    OutcomeClass.DROP: DeliveryStatus.DROPPED,
    OutcomeClass.FAIL: DeliveryStatus.FAILED,
}


class Verdict(NamedTuple):
    """What an outcome means for its address.

    :param attempts: those made at the address, with this one if it counts.
    :param next_attempt_at: when the address may be pushed to again; None: it is settled.
    :param is_held: it waits for the end of a pause, which counts as no attempt.
    :param is_expired: another attempt would be later than the message is of use.
    """

    status: DeliveryStatus
    attempts: int
    next_attempt_at: datetime | None = None
    is_held: bool = False
    is_expired: bool = False


class Judge:
    """Judges the outcomes of one attempt at a request.

    Addresses that are tried again for the same reason come back at the same time, so that they
    share the next attempt.

    :param paused: origin of the backend that is paused -> its pause; "" for all of it.
    """

    def __init__(self, request: ClaimedRequest, paused: Mapping[str, Pause], now: datetime) -> None:
        self._request = request
        self._paused = paused
        self._now = now
        self._dues: dict[tuple[int, float | None], datetime | None] = {}
        # Jitter spreads load; nobody gains by guessing it.
        self._place = random.random()  # noqa: S311 # nosec B311

    def verdict(self, outcome: Outcome, origin: str | None, attempts: int) -> Verdict:
        """Return what ``outcome`` means.

        :param origin: where the address leads to, if others have to expect the same; else None.
        :param attempts: those made at the address before.
        """
        if (status := _STATUS.get(outcome.kind)) is not None:
            return Verdict(status, attempts + 1)
        failed = DeliveryStatus.UNKNOWN if outcome.unknown else DeliveryStatus.FAILED
        if (until := self._paused_until(outcome, origin)) is not None:
            if self._now - self._request.started_at < timedelta(seconds=conf().MAX_PAUSE_WAIT):
                return Verdict(DeliveryStatus.RETRYING, attempts, until, is_held=True)
            return Verdict(failed, attempts + 1)
        attempts += 1
        if not self._may_repeat(outcome, attempts):
            return Verdict(failed, attempts)
        due = self._due(attempts, outcome.retry_after)
        if due is None:
            return Verdict(failed, attempts, is_expired=True)
        return Verdict(DeliveryStatus.RETRYING, attempts, due)

    def _paused_until(self, outcome: Outcome, origin: str | None) -> datetime | None:
        """Return when to look whether the pause is over that the address waits for, if it does."""
        if origin is None or not self._may_follow(outcome):
            return None
        if "" in self._paused:
            # Nothing of the backend is enqueued until it is over.
            return self._now + asked(outcome.retry_after)
        if (pause := self._paused.get(origin)) is None:
            return None
        earliest = max(pause.until, self._now + asked(outcome.retry_after))
        first, last = (timedelta(seconds=seconds) for seconds in AFTER_PROBE)
        if pause.is_outage:
            last += RETURN * (self._now - pause.since)
        return earliest + first + self._place * (last - first)

    def _may_follow(self, outcome: Outcome) -> bool:
        """Return whether another push may follow, although this one may have been accepted."""
        return not outcome.unknown or self._request.on_unknown == OnUnknown.RETRY

    def _may_repeat(self, outcome: Outcome, attempts: int) -> bool:
        request, limit = self._request, self._request.attempt_limit
        return (
            self._may_follow(outcome)
            and (limit is None or attempts < limit)
            and request.may_go_on(self._now)
        )

    def _due(self, attempts: int, retry_after: float | None) -> datetime | None:
        key = attempts, retry_after
        if key not in self._dues:
            self._dues[key] = next_attempt(
                self._now,
                attempts,
                base=conf().RETRY_BASE,
                cap=conf().RETRY_CAP,
                retry_after=retry_after,
                until=retry_until(self._request.started_at),
                expires_at=self._request.expires_at,
            )
        return self._dues[key]
