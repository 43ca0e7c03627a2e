"""What keeps the promise where the doorbell or a worker fails: ring again, free, expire.

Every move is a guarded UPDATE, so any number of relays may run at the same time.
"""

from __future__ import annotations

import itertools
import logging
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import DatabaseError, connections, router, transaction
from django.db.models import F, Min
from django.utils import timezone
from redis.exceptions import RedisError

from . import idempotency, processes, sentry
from .changes import Change, announce, publish, record
from .conf import conf
from .models import PushRequest
from .services import ring_due, ring_stranded
from .states import Status

logger = logging.getLogger(__name__)

#: Every so many sweeps is a thorough one.
THOROUGH_EVERY = 10
#: Rows one sweep moves at most, of each kind.
LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class Sweep:
    """How many push requests one sweep moved."""

    recovered: int
    expired: int
    rung: int

    def __bool__(self) -> bool:
        return bool(self.recovered or self.expired or self.rung)


def sweep(*, thorough: bool = True) -> Sweep:
    """Look once for push requests that wait for us, and move them.

    :param thorough: False looks only for what cannot wait: requests that are due, and those whose
        worker is gone. With nothing to do that is two indexed queries.
    """
    now = timezone.now()
    if thorough:
        idempotency.prune(now)
    return Sweep(
        recovered=_recover(now),
        expired=_expire(now) if thorough else 0,
        rung=ring_due(LIMIT) + (ring_stranded(LIMIT) if thorough else 0),
    )


def _recover(now: datetime) -> int:
    """Free the claims of workers that are gone: dead for certain, or with leases that ran out.

    Whether their pushes went out is not known, so they are made again, with the same ids; the
    provider replaces the first by the second where it can.
    """
    running = PushRequest.objects.filter(status=Status.RUNNING).order_by()
    leases = running.values_list("owner").annotate(oldest=Min("lease_expires_at"))
    lost = [owner for owner, oldest in leases if oldest < now or _is_of_the_dead(owner)]
    if not lost:
        return 0
    rows = list(running.filter(owner__in=lost[:LIMIT])[:LIMIT])
    return sum(_free(row, now) for row in rows if _is_lost(row, now))


def _is_lost(row: PushRequest, now: datetime) -> bool:
    expired = row.lease_expires_at is not None and row.lease_expires_at < now
    return expired or _is_of_the_dead(row.owner)


def _is_of_the_dead(owner: str) -> bool:
    token, _, _ = owner.rpartition(":")
    return processes.is_dead(token)


def _free(row: PushRequest, now: datetime) -> bool:
    # Whoever renews its lease in between, lives and keeps its claim.
    unrenewed = PushRequest.objects.filter(pk=row.pk, lease_expires_at=row.lease_expires_at)
    claim = unrenewed.owned(row.owner)
    lost: dict[str, Any] = {"error_code": "worker_lost", "error": "the worker is gone"}
    if row.cancel_requested_at is not None:
        return _end(claim, row, Status.CANCELED, error_code="canceled")
    if row.attempts < row.attempt_limit:
        return bool(claim.transition(Status.PENDING, next_attempt_at=now, **lost))
    lost["unknown"] = F("total") - F("accepted") - F("failed") - F("dropped")
    return _end(claim, row, Status.FAILED, **lost)


def _expire(now: datetime) -> int:
    rows = list(PushRequest.objects.overdue(now)[:LIMIT])
    return sum(
        _end(
            PushRequest.objects.overdue(now).filter(pk=row.pk),
            row,
            Status.EXPIRED,
            error_code="expired",
        )
        for row in rows
    )


def _end(rows: Any, row: PushRequest, status: Status, **fields: Any) -> bool:
    using = router.db_for_write(PushRequest)
    with transaction.atomic(using=using):
        if not rows.transition(status, **fields):
            return False
        row.refresh_from_db(using=using)
        change = Change.of(row)
        record([change], using=using)
    publish([change])
    announce([change])
    return True


def run(stop: threading.Event) -> None:
    """Sweep every ``RELAY_INTERVAL`` seconds until ``stop`` is set. Errors are reported."""
    with sentry.background("relay"):
        for turn in itertools.count():
            if stop.wait(conf().RELAY_INTERVAL):
                return
            try:
                if done := sweep(thorough=turn % THOROUGH_EVERY == 0):
                    logger.info("Relay: %s", done)
            except (DatabaseError, RedisError) as error:
                logger.error("Relay: %s", error)
                connections.close_all()
            except Exception as error:
                logger.exception("Relay: unexpected error")
                sentry.capture(error)
