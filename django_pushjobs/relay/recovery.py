"""Claims of workers that are gone: their requests are pushed again, or end.

What blocked its worker until that was killed would block the next one as well. So it is not pushed
again at once: it rests, and if it does so a second time, it ends.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import router, transaction
from django.db.models import F, Min

from ..delivery import parts
from ..delivery.backoff import retry_until
from ..delivery.requests import POISONOUS, WORKER_LOST
from ..lifecycle.announcements import end
from ..limits import throttle
from ..models import BULKY, Attempt, AttemptEnd, PushRequest
from ..runtime import processes
from ..states import Status

#: Seconds that a request rests whose attempt has blocked its worker until that was killed.
REST: Final = 300.0
#: How often it may do so before it ends.
STRIKES: Final = 2
#: Workers that one request may lose: it is tried again at once, and it may be what kills them.
MAX_LOSSES: Final = 5


def recover(now: datetime, *, lenient: bool, limit: int) -> int:
    """Free the claims of workers that are gone: certainly dead, or with an expired lease.

    Whether their pushes went out is not known. If ``on_unknown`` says retry they are made again,
    with the same ids, so that a provider that can do so replaces the first by the second.

    :param lenient: take no claim away because its lease has expired.
    :returns: how many requests were freed, ``limit`` at most.
    """
    running = PushRequest.objects.filter(status=Status.RUNNING).order_by()
    leases = running.values_list("owner").annotate(oldest=Min("lease_expires_at"))
    until = datetime.min.replace(tzinfo=now.tzinfo) if lenient else now
    gone = [owner for owner, oldest in leases if oldest < until or _is_dead(owner)]
    if not gone:
        return 0
    rows = list(running.filter(owner__in=gone[:limit]).defer(*BULKY)[:limit])
    return sum(_free(row, now) for row in rows if _is_lost(row, until))


def _is_lost(row: PushRequest, until: datetime) -> bool:
    expired = row.lease_expires_at is not None and row.lease_expires_at < until
    return expired or _is_dead(row.owner)


def _is_dead(owner: str) -> bool:
    token, _, _ = owner.rpartition(":")
    return processes.is_abandoned(token)


def inherit(tokens: str, now: datetime, *, culprit: UUID | None, silence: float) -> int:
    """Free the claims of one process that is certainly dead.

    :param tokens: how its tokens begin.
    :param culprit: the request whose job had blocked the process until it was killed.
    :param silence: seconds for which the process did not respond.
    :returns: how many requests were freed.
    """
    using = router.db_for_write(PushRequest)
    running = PushRequest.objects.using(using).filter(status=Status.RUNNING).order_by()
    rows = list(running.filter(owner__startswith=tokens).defer(*BULKY))
    return sum(_free(row, now, silence if row.pk == culprit else None) for row in rows)


def _free(row: PushRequest, now: datetime, silence: float | None = None) -> bool:
    """
    :param silence: seconds for which it had blocked its worker; None if it had not.
    """
    if row.owner == parts.PARTS:
        return parts.gather(row)
    # A worker that renews its lease in between is alive and keeps its claim.
    requests = PushRequest.objects.using(router.db_for_write(PushRequest))
    unrenewed = requests.filter(pk=row.pk, lease_expires_at=row.lease_expires_at)
    claim = unrenewed.owned(row.owner)
    code, reason, due, strikes = WORKER_LOST, "the worker is gone", now, 0
    if silence is not None:
        journal = Attempt.objects.using(claim.db).filter(request=row)
        strikes = journal.filter(error_code=POISONOUS).count() + 1
        code, due = POISONOUS, now + timedelta(seconds=REST)
        reason = (
            f"it blocked its worker for {silence:.0f} s, until that was killed: "
            f"{strikes} of at most {STRIKES} times"
        )
    lost: dict[str, Any] = {"error_code": code, "error": reason}
    will_retry = strikes < STRIKES and row.cancel_requested_at is None and _may_go_on(row, now)
    # Together, so that no lost attempt is missing in the journal.
    with transaction.atomic(using=claim.db):
        if will_retry:
            freed = bool(claim.transition(Status.PENDING, next_attempt_at=due, **lost))
        else:
            lost["unknown"] = F("total") - F("accepted") - F("failed") - F("dropped")
            if row.cancel_requested_at is not None:
                lost["error_code"] = "canceled"
            freed = end(claim, row.pk, _status(row), **lost)
        if freed:
            Attempt.objects.using(claim.db).create(
                request=row,
                number=row.attempts,
                owner=row.owner,
                end=AttemptEnd.LOST,
                error_code=code,
                error=reason,
                finished_at=now,
                next_attempt_at=due if will_retry else None,
            )
    if freed:
        throttle.leave(row.backend, row.pk)
    return freed


def _may_go_on(row: PushRequest, now: datetime) -> bool:
    """Return whether a request may be pushed again after its worker was lost."""
    limit, started_at = row.attempt_limit, row.started_at or now
    if now >= retry_until(started_at) or (limit is not None and row.counted_attempts >= limit):
        return False
    if row.counted_attempts < MAX_LOSSES:
        return True
    lost = row.journal.filter(end=AttemptEnd.LOST, finished_at__gte=started_at)
    return lost.count() + 1 < MAX_LOSSES


def _status(row: PushRequest) -> Status:
    """Return how a request ends whose last attempt was lost."""
    if row.accepted:
        return Status.PARTIAL
    return Status.FAILED if row.cancel_requested_at is None else Status.CANCELED
