"""What keeps the promise where the doorbell or a worker fails: ring again, free, expire.

Every move is a guarded UPDATE, so any number of relays may run at the same time.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, connections
from django.db.models import F
from django.utils import timezone
from redis.exceptions import RedisError

from . import sentry
from .conf import conf
from .models import PushRequest
from .services import ring_waiting
from .signals import push_request_finished
from .states import Status

logger = logging.getLogger(__name__)

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


def sweep() -> Sweep:
    """Look once for push requests that wait for us, and move them."""
    now = timezone.now()
    return Sweep(recovered=_recover(now), expired=_expire(now), rung=_ring(now))


def _ring(now: datetime) -> int:
    due = PushRequest.objects.due(now).order_by("next_attempt_at")
    before = now - timedelta(seconds=conf().STRANDED_AFTER)
    stranded = PushRequest.objects.stranded(before).order_by("queued_at")
    return ring_waiting(due, LIMIT) + ring_waiting(stranded, LIMIT)


def _recover(now: datetime) -> int:
    """Free the claims of workers that are gone.

    Whether their pushes went out is not known, so they are made again, with the same ids; the
    provider replaces the first by the second where it can.
    """
    stale = list(PushRequest.objects.stale(now).order_by("lease_expires_at")[:LIMIT])
    return sum(_free(row, now) for row in stale)


def _free(row: PushRequest, now: datetime) -> bool:
    claim = PushRequest.objects.stale(now).filter(pk=row.pk, owner=row.owner)
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
    if not rows.transition(status, **fields):
        return False
    row.refresh_from_db()
    push_request_finished.send_robust(
        PushRequest,
        request_id=row.pk,
        status=status,
        backend=row.backend,
        counts={
            name: getattr(row, name)
            for name in ("total", "accepted", "failed", "dropped", "unknown")
        },
    )
    return True


def run(stop: threading.Event) -> None:
    """Sweep every ``RELAY_INTERVAL`` seconds until ``stop`` is set. Errors are reported."""
    with sentry.background("relay"):
        while not stop.wait(conf().RELAY_INTERVAL):
            try:
                if done := sweep():
                    logger.info("Relay: %s", done)
            except (DatabaseError, RedisError) as error:
                logger.error("Relay: %s", error)
                connections.close_all()
            except Exception as error:
                logger.exception("Relay: unexpected error")
                sentry.capture(error)
