"""How much a client may ask of us: calls, push requests a day, and how many unfinished at a time.

``burst`` counts calls in a time, ``day`` push requests that were accepted on a day in UTC, and
``unfinished`` those that were accepted and are not final. The last one is what protects us from a
client that is faster than its provider.

Limits do not get in the way of accepting requests: without Redis all calls are admitted, unless
``LIMITS_WITHOUT_REDIS`` says otherwise.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from ..broker import Unavailable
from ..conf import conf
from ..events.change import Change
from ..exceptions import LimitExceeded
from ..models import ApiClient, PushRequest
from ..states import FINAL
from .rates import RateLimit, Take, take
from .slots import ConcurrencyLimit, acquire, holders, release

logger = logging.getLogger(__name__)

CALLS, DAY, UNFINISHED = "burst", "day", "unfinished"
_DAY = 86_400

#: Seconds after which a push request stops counting although nobody has said that it is final.
LEASE = 86_400
#: Seconds until a client with too many unfinished requests may try again: a guess.
UNFINISHED_RETRY_AFTER = 5
#: Seconds between two audits of the slots of a client that has too many unfinished requests.
AUDIT_INTERVAL = 30
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class ClientLimit:
    """A limit of a client, as the client is told.

    :param window: seconds; None if it does not count by time.
    """

    name: str
    quota: int
    window: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How much of a limit is left.

    :param reset_after: seconds until more is left; None if nobody knows.
    """

    remaining: int
    reset_after: float | None = None


#: Of every client, since the calls go where it wants. Not told with every answer.
TESTS = ClientLimit("tests", 20, 60)


@dataclass(slots=True)
class Admission:
    """The limits of a client, and how they stood when they were last asked.

    :ivar readings: by name of the limit; one that was not asked is missing.
    """

    client: ApiClient
    readings: dict[str, Reading] = field(default_factory=dict, init=False)

    @property
    def limits(self) -> list[ClientLimit]:
        """The limits that this client has."""
        settings = conf()
        found = (
            ClientLimit(
                CALLS, _chosen(self.client.rate_limit, settings.RATE_LIMIT), settings.RATE_WINDOW
            ),
            ClientLimit(DAY, _chosen(self.client.daily_quota, settings.DAILY_QUOTA), _DAY),
            ClientLimit(UNFINISHED, _chosen(self.client.max_unfinished, settings.MAX_UNFINISHED)),
        )
        return [limit for limit in found if limit.quota]

    def call(self) -> None:
        """Admit one call.

        :raises LimitExceeded: there were too many.
        """
        for limit in self.limits:
            if limit.name == CALLS:
                self._spend(limit, 1, "Too many calls")

    def test(self) -> None:
        """Admit a call of ours to an endpoint of the client, as a test or a challenge.

        :raises LimitExceeded: there were too many.
        """
        self._spend(TESTS, 1, "Too many tests and new URLs")

    @contextmanager
    def submission(self, rows: Sequence[PushRequest]) -> Iterator[None]:
        """Admit push requests that the body stores: all of them, or none.

        If the body fails, they do not count.

        :raises LimitExceeded: there are too many, by day or at a time.
        """
        limits = {limit.name: limit for limit in self.limits}
        day, slots = limits.get(DAY), limits.get(UNFINISHED)
        held = slots is not None and self._hold(slots, rows)
        spent = False
        try:
            if day is not None:
                spent = self._spend(day, len(rows), "The daily quota is used up")
            yield
        except BaseException:
            self._undo(len(rows) if spent else 0, rows if held else ())
            raise

    def _spend(self, limit: ClientLimit, tokens: int, detail: str) -> bool:
        """Return True if the tokens were taken, and False if nobody could tell."""
        try:
            [grant] = take(Take(self._rate(limit), tokens))
        except Unavailable as error:
            return self._admit_blindly(error)
        never = tokens > limit.quota
        after = grant.reset_after if grant.allowed else grant.retry_after
        self.readings[limit.name] = Reading(grant.remaining, None if never else after)
        if grant.allowed:
            return True
        if tokens > 1:
            detail += f": {tokens} were asked for and {grant.remaining} are left"
        raise LimitExceeded([limit.name], f"{detail}.", None if never else grant.retry_after)

    def _hold(self, limit: ClientLimit, rows: Sequence[PushRequest]) -> bool:
        seats = _slots_of(self.client.pk, limit.quota)
        ids = [str(row.pk) for row in rows]
        now = timezone.now()
        later = max((row.send_at for row in rows if row.send_at), default=now)
        lease = LEASE + max(timedelta(), later - now).total_seconds()
        try:
            for audited in (False, True):
                [slots] = acquire([(seats, ids)], lease=lease)
                if len(slots.held) == len(ids):
                    self.readings[limit.name] = Reading(max(0, limit.quota - slots.in_use))
                    return True
                [slots] = release([(seats, slots.held)])
                if audited or not _audit(seats):
                    break
        except Unavailable as error:
            return self._admit_blindly(error)
        self.readings[limit.name] = Reading(max(0, limit.quota - slots.in_use))
        raise LimitExceeded(
            [limit.name],
            f"Too many push requests are unfinished: {slots.in_use} are, {len(ids)} more were "
            f"asked for, and at most {limit.quota} may be at a time.",
            None if len(ids) > limit.quota else UNFINISHED_RETRY_AFTER,
        )

    def _undo(self, tokens: int, rows: Sequence[PushRequest]) -> None:
        limits = {limit.name: limit for limit in self.limits}
        try:
            if rows:
                release([(_slots_of(self.client.pk, 0), [str(row.pk) for row in rows])])
            if tokens:
                take(Take(self._rate(limits[DAY]), -tokens))
        except Unavailable as error:
            logger.warning("Could not give back the quota of a submission that failed: %s", error)

    def _rate(self, limit: ClientLimit) -> RateLimit:
        # For the type checker.
        assert limit.window is not None  # nosec B101
        name = f"client:{self.client.pk}:{limit.name}"
        return RateLimit(name, limit.quota, limit.window, fixed=limit.name == DAY)

    def _admit_blindly(self, error: Unavailable) -> bool:
        """Return False, or raise ``error`` if that is what the settings want."""
        if conf().LIMITS_WITHOUT_REDIS == "closed":
            raise error
        logger.warning("The limits of %s are not enforced, Redis is down: %s", self.client, error)
        return False


def release_final(changes: Sequence[Change]) -> None:
    """Stop counting push requests as unfinished that are final. Without Redis they are found later,
    by an audit."""
    done: dict[int, list[str]] = {}
    for change in changes:
        if change.is_final and change.client_id is not None:
            done.setdefault(change.client_id, []).append(str(change.request_id))
    try:
        release([(_slots_of(client_id, 0), ids) for client_id, ids in done.items()])
    except Unavailable as error:
        logger.debug("Could not release the slots of final push requests: %s", error)


def _slots_of(client_id: int, limit: int) -> ConcurrencyLimit:
    return ConcurrencyLimit(f"client:{client_id}:{UNFINISHED}", limit)


def _audit(limit: ConcurrencyLimit) -> int:
    """Release the slots of push requests that are final, should nobody have done so; return how
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
