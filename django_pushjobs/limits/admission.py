"""How much a client may ask of us: calls, push requests a day, and how many at a time.

``burst`` counts calls in a time, ``day`` push requests that were accepted on a day in UTC, and
``unfinished`` those that were accepted and are not final. The last one is what protects us from a
client that is faster than its provider.

Limits never stand in the way of accepting: without Redis all calls are admitted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.utils import timezone

from ..broker import Unavailable
from ..conf import conf
from ..exceptions import LimitExceeded
from ..models import ApiClient, PushRequest
from ..states import FINAL
from .shared import ConcurrencyLimit, RateLimit, Take, acquire, holders, release, take

if TYPE_CHECKING:
    from ..lifecycle.announcements import Change

logger = logging.getLogger(__name__)

CALLS, DAY, UNFINISHED = "burst", "day", "unfinished"
_DAY = 86_400

#: Seconds after which a push request counts no more although nobody said that it is final.
LEASE = 86_400
#: Seconds until a client that has too many unfinished ones may try again: nobody knows when.
UNFINISHED_RETRY_AFTER = 5
#: Seconds between two looks at the rows behind the slots of a client that has too many.
AUDIT_INTERVAL = 30
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Policy:
    """A limit of a client, as it is told.

    :param window: seconds; None where it does not count by time.
    """

    name: str
    quota: int
    window: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How a limit stands.

    :param reset_after: seconds until more is left; None where nobody knows.
    """

    remaining: int
    reset_after: float | None = None


@dataclass(slots=True)
class Admission:
    """The limits of a client, and how they stood when they were last asked.

    :ivar readings: by name of the policy; what was not asked is not there.
    """

    client: ApiClient
    readings: dict[str, Reading] = field(default_factory=dict, init=False)

    @property
    def policies(self) -> list[Policy]:
        """The limits that this client has."""
        settings = conf()
        found = (
            Policy(
                CALLS, _chosen(self.client.rate_limit, settings.RATE_LIMIT), settings.RATE_WINDOW
            ),
            Policy(DAY, _chosen(self.client.daily_quota, settings.DAILY_QUOTA), _DAY),
            Policy(UNFINISHED, _chosen(self.client.max_unfinished, settings.MAX_UNFINISHED)),
        )
        return [policy for policy in found if policy.quota]

    def call(self) -> None:
        """Admit one call.

        :raises LimitExceeded: there were too many.
        """
        for policy in self.policies:
            if policy.name == CALLS:
                self._spend(policy, 1, "Too many calls")

    @contextmanager
    def submission(self, rows: Sequence[PushRequest]) -> Iterator[None]:
        """Admit push requests that are stored in the body: all of them, or none.

        Where that fails, they do not count.

        :raises LimitExceeded: there are too many, by day or at a time.
        """
        policies = {policy.name: policy for policy in self.policies}
        day, slots = policies.get(DAY), policies.get(UNFINISHED)
        held = slots is not None and self._hold(slots, rows)
        spent = False
        try:
            if day is not None:
                spent = self._spend(day, len(rows), "The quota of the day is used up")
            yield
        except BaseException:
            self._undo(len(rows) if spent else 0, rows if held else ())
            raise

    def _spend(self, policy: Policy, tokens: int, detail: str) -> bool:
        """Return True if the tokens were taken, and False if nobody could tell."""
        try:
            [grant] = take(Take(self._rate(policy), tokens))
        except Unavailable as error:
            return self._admit_blindly(error)
        never = tokens > policy.quota
        after = grant.reset_after if grant.allowed else grant.retry_after
        self.readings[policy.name] = Reading(grant.remaining, None if never else after)
        if grant.allowed:
            return True
        if tokens > 1:
            detail += f": {tokens} were asked for and {grant.remaining} are left"
        raise LimitExceeded([policy.name], f"{detail}.", None if never else grant.retry_after)

    def _hold(self, policy: Policy, rows: Sequence[PushRequest]) -> bool:
        limit = _slots_of(self.client.pk, policy.quota)
        ids = [str(row.pk) for row in rows]
        now = timezone.now()
        later = max((row.send_at for row in rows if row.send_at), default=now)
        lease = LEASE + max(timedelta(), later - now).total_seconds()
        try:
            for looked in (False, True):
                [slots] = acquire([(limit, ids)], lease=lease)
                if len(slots.held) == len(ids):
                    self.readings[policy.name] = Reading(max(0, policy.quota - slots.in_use))
                    return True
                [slots] = release([(limit, slots.held)])
                if looked or not _free_the_final(limit):
                    break
        except Unavailable as error:
            return self._admit_blindly(error)
        left = max(0, policy.quota - slots.in_use)
        self.readings[policy.name] = Reading(left)
        raise LimitExceeded(
            [policy.name],
            f"Too many push requests are not final yet: {len(ids)} would come to "
            f"{slots.in_use}, and {policy.quota} may be unfinished at a time.",
            None if len(ids) > policy.quota else UNFINISHED_RETRY_AFTER,
        )

    def _undo(self, tokens: int, rows: Sequence[PushRequest]) -> None:
        policies = {policy.name: policy for policy in self.policies}
        try:
            if rows:
                release([(_slots_of(self.client.pk, 0), [str(row.pk) for row in rows])])
            if tokens:
                take(Take(self._rate(policies[DAY]), -tokens))
        except Unavailable as error:
            logger.warning("What was not stored counts all the same: %s", error)

    def _rate(self, policy: Policy) -> RateLimit:
        assert policy.window is not None
        name = f"client:{self.client.pk}:{policy.name}"
        return RateLimit(name, policy.quota, policy.window, fixed=policy.name == DAY)

    def _admit_blindly(self, error: Unavailable) -> bool:
        logger.warning("The limits of %s are not kept, Redis is down: %s", self.client, error)
        return False


def finished(changes: Sequence[Change]) -> None:
    """Let push requests that are final count no more. Without Redis they are found later."""
    done: dict[int, list[str]] = {}
    for change in changes:
        if change.is_final and change.client_id is not None:
            done.setdefault(change.client_id, []).append(str(change.request_id))
    try:
        release([(_slots_of(client_id, 0), ids) for client_id, ids in done.items()])
    except Unavailable as error:
        logger.debug("The slots of final push requests are still taken: %s", error)


def _slots_of(client_id: int, limit: int) -> ConcurrencyLimit:
    return ConcurrencyLimit(f"client:{client_id}:{UNFINISHED}", limit)


def _free_the_final(limit: ConcurrencyLimit) -> int:
    """Free the slots of push requests that are final, should nobody have done it; return how
    many. Looks only once in a while, however often it is called."""
    [look] = take(Take(RateLimit(f"{limit.name}:audit", 1, AUDIT_INTERVAL)))
    freed = 0
    ids = holders(limit) if look.allowed else []
    for start in range(0, len(ids), _CHUNK):
        keys = [UUID(holder) for holder in ids[start : start + _CHUNK]]
        final = PushRequest.objects.filter(pk__in=keys, status__in=FINAL)
        done = [str(key) for key in final.values_list("pk", flat=True)]
        release([(limit, done)])
        freed += len(done)
    return freed


def _chosen(own: int | None, default: int) -> int:
    return default if own is None else own
