"""Claims of workers that are gone: their requests are pushed again, or end."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db import router, transaction
from django.db.models import F, Min

from ..delivery import parts
from ..delivery.backoff import retry_until
from ..delivery.requests import WORKER_LOST
from ..lifecycle.announcements import end
from ..limits import throttle
from ..models import BULKY, Attempt, AttemptEnd, PushRequest
from ..runtime import processes
from ..states import Status

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
    return processes.is_dead(token)


def _free(row: PushRequest, now: datetime) -> bool:
    if row.owner == parts.PARTS:
        return parts.gather(row)
    # A worker that renews its lease in between is alive and keeps its claim.
    requests = PushRequest.objects.using(router.db_for_write(PushRequest))
    unrenewed = requests.filter(pk=row.pk, lease_expires_at=row.lease_expires_at)
    claim = unrenewed.owned(row.owner)
    lost: dict[str, Any] = {"error_code": WORKER_LOST, "error": "the worker is gone"}
    will_retry = row.cancel_requested_at is None and _may_go_on(row, now)
    # Together, so that no lost attempt is missing in the journal.
    with transaction.atomic(using=claim.db):
        if will_retry:
            freed = bool(claim.transition(Status.PENDING, next_attempt_at=now, **lost))
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
                error_code=WORKER_LOST,
                error="the worker is gone",
                finished_at=now,
                next_attempt_at=now if will_retry else None,
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
