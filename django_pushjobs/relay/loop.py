"""What keeps the promise where the doorbell or a worker fails: ring again, free, expire, prune.

Every move is a guarded UPDATE, so two relays at the same time do no harm. One is enough, though,
so the others look on as long as its lease is renewed.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import DatabaseError, connections, router, transaction
from django.db.models import F, Min, QuerySet
from django.utils import timezone

from .. import sentry
from ..broker import Unavailable
from ..broker.queues import Lease
from ..callbacks import sweeping
from ..conf import conf
from ..db.readers import read
from ..delivery import parts
from ..delivery.claims import WORKER_LOST
from ..lifecycle.announcements import end
from ..limits import throttle
from ..models import BULKY, Attempt, AttemptEnd, PushRequest
from ..models.identifiers import first_uuid
from ..runtime import processes
from ..services import enqueue_due, enqueue_lost
from ..states import FINAL, Status
from ..submission import idempotency

logger = logging.getLogger(__name__)

#: Rows one sweep moves at most, of each kind.
LIMIT = 1_000
#: Requests, the oldest that are queued, of which one sweep asks Redis whether it knows their job.
LOOKED_AT = 200
#: Rows that are deleted in one transaction.
PRUNED_AT_ONCE = 200
#: Seconds until it looks again for what to delete, where it found nothing.
PRUNE_AGAIN = 10.0
#: Seconds after an outage of the database in which the living have renewed their leases.
RENEWED_WITHIN = 10.0
#: Sweeps for which the lease of the active relay holds.
LEASE_SWEEPS = 3


@dataclass(frozen=True, slots=True)
class Sweep:
    """How many push requests one sweep moved, and how many callback endpoints it rang for."""

    recovered: int = 0
    expired: int = 0
    enqueued: int = 0
    pruned: int = 0
    callbacks: int = 0

    def __bool__(self) -> bool:
        return any(astuple(self))


def sweep(*, lenient: bool = False, pruning: bool = True) -> Sweep:
    """Look once for push requests that wait for us, and move them.

    :param lenient: take no claim away because its lease ran out.
    :param pruning: look for what is kept no longer, too.

    With nothing to do this is one query, each part of which an index answers, and one for the
    callbacks; to prune takes another one.
    """
    now = timezone.now()
    running, due, queued, overdue, *old = _any(*looks(now, pruning=pruning))
    return Sweep(
        # What is recovered is due, and expired rather than rung for where its time is up.
        recovered=(recovered := _recover(now, lenient) if running else 0),
        expired=_expire(now) if overdue else 0,
        enqueued=(enqueue_due(LIMIT) if due or recovered else 0)
        + (enqueue_lost(LOOKED_AT) if queued else 0),
        pruned=_prune(now, *old) if pruning else 0,
        callbacks=sweeping.sweep(),
    )


def looks(now: datetime, *, pruning: bool = True) -> list[QuerySet[Any]]:
    """Return what a sweep looks for: running, due, stranded, overdue requests; and where it shall
    prune, those that are kept no longer, and kept answers that are too old."""
    requests = PushRequest.objects.using(router.db_for_write(PushRequest)).order_by()
    return [
        requests.filter(status=Status.RUNNING),
        requests.due(now),
        requests.queued_before(now - timedelta(seconds=conf().LOST_JOB_AFTER)),
        requests.overdue(now),
        *([_prunable(now), idempotency.expired(now)] if pruning else []),
    ]


def _any(*querysets: QuerySet[Any]) -> list[bool]:
    """Return whether there are rows in each of ``querysets``, in one round trip."""
    connection = connections[querysets[0].db]
    clauses: list[str] = []
    parameters: list[Any] = []
    for queryset in querysets:
        try:
            sql, values = queryset.values("pk")[:1].query.get_compiler(using=queryset.db).as_sql()
        except EmptyResultSet:
            sql, values = "SELECT 1 WHERE 1 = 0", ()
        clauses.append(f"EXISTS ({sql})")
        parameters += values
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(clauses)}", parameters)
        return [bool(found) for found in cursor.fetchone()]


def _recover(now: datetime, lenient: bool) -> int:
    """Free the claims of workers that are gone: dead for certain, or with leases that ran out.

    Whether their pushes went out is not known. Where ``on_unknown`` says retry they are made
    again, with the same ids, so that the provider replaces the first by the second where it can.
    """
    running = PushRequest.objects.filter(status=Status.RUNNING).order_by()
    leases = running.values_list("owner").annotate(oldest=Min("lease_expires_at"))
    until = datetime.min.replace(tzinfo=now.tzinfo) if lenient else now
    lost = [owner for owner, oldest in leases if oldest < until or _is_of_the_dead(owner)]
    if not lost:
        return 0
    rows = list(running.filter(owner__in=lost[:LIMIT]).defer(*BULKY)[:LIMIT])
    return sum(_free(row, now) for row in rows if _is_lost(row, until))


def _is_lost(row: PushRequest, until: datetime) -> bool:
    expired = row.lease_expires_at is not None and row.lease_expires_at < until
    return expired or _is_of_the_dead(row.owner)


def _is_of_the_dead(owner: str) -> bool:
    token, _, _ = owner.rpartition(":")
    return processes.is_dead(token)


def _free(row: PushRequest, now: datetime) -> bool:
    if row.owner == parts.PARTS:
        return parts.gather(row)
    # Whoever renews its lease in between, lives and keeps its claim.
    requests = PushRequest.objects.using(router.db_for_write(PushRequest))
    unrenewed = requests.filter(pk=row.pk, lease_expires_at=row.lease_expires_at)
    claim = unrenewed.owned(row.owner)
    lost: dict[str, Any] = {"error_code": WORKER_LOST, "error": "the worker is gone"}
    will_retry = row.attempts < row.attempt_limit and row.cancel_requested_at is None
    # Together, so that no lost attempt is missing in the journal.
    with transaction.atomic(using=claim.db):
        if will_retry:
            freed = bool(claim.transition(Status.PENDING, next_attempt_at=now, **lost))
        else:
            lost["unknown"] = F("total") - F("accepted") - F("failed") - F("dropped")
            if row.cancel_requested_at is not None:
                lost["error_code"] = "canceled"
            freed = end(claim, row.pk, _end_of(row), **lost)
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


def _end_of(row: PushRequest) -> Status:
    """Return how a request ends whose last attempt was lost."""
    if row.accepted:
        return Status.PARTIAL
    return Status.FAILED if row.cancel_requested_at is None else Status.CANCELED


def _expire(now: datetime) -> int:
    overdue = PushRequest.objects.overdue(now)
    ids = list(overdue.values_list("pk", flat=True)[:LIMIT])
    return sum(end(overdue.filter(pk=pk), pk, Status.EXPIRED, error_code="expired") for pk in ids)


def _prunable(now: datetime) -> QuerySet[PushRequest]:
    """Return what is kept no longer. Keys are ordered by time, so theirs is the index."""
    requests = PushRequest.objects.using(router.db_for_write(PushRequest)).whole().order_by("pk")
    if not conf().RETENTION:
        return requests.none()
    return requests.filter(
        pk__lt=first_uuid(now - timedelta(seconds=conf().RETENTION)), status__in=FINAL
    )


def _prune(now: datetime, requests: bool, answers: bool) -> int:
    return (
        (_prune_requests(now) if requests else 0)
        + (idempotency.prune(now) if answers else 0)
        + sweeping.prune()
    )


def _prune_requests(now: datetime) -> int:
    ids = list(_prunable(now).values_list("pk", flat=True)[:PRUNED_AT_ONCE])
    PushRequest.objects.filter(pk__in=ids).delete()
    return len(ids)


def run(stop: threading.Event) -> None:
    """Sweep every ``RELAY_INTERVAL`` seconds until ``stop`` is set. Errors are reported.

    Of all relays of a site one sweeps. Where its process has died, those of the same machine see
    that and take over at once; the others when its lease has run out.
    """
    lease = Lease("relay", conf().RELAY_INTERVAL * LEASE_SWEEPS)
    seen_at, lenient_until, prune_at = time.monotonic(), 0.0, 0.0
    with sentry.background("relay"):
        while not stop.is_set():
            try:
                if lease.hold():
                    now = time.monotonic()
                    if now - seen_at > conf().RELAY_INTERVAL + conf().LEASE / 2:
                        # The database was away, or we were: nobody could renew a lease, or we
                        # could not have seen it.
                        lenient_until = now + RENEWED_WITHIN
                    pruning = now >= prune_at
                    look = partial(sweep, lenient=now < lenient_until, pruning=pruning)
                    if done := read(look):
                        logger.info("Relay: %s", done)
                    if pruning and not done.pruned:
                        prune_at = now + PRUNE_AGAIN
                seen_at = time.monotonic()
            except (DatabaseError, Unavailable) as error:
                logger.error("Relay: %s", error)
                if isinstance(error, DatabaseError):
                    # However short we have been here: nobody else could renew a lease either.
                    seen_at = float("-inf")
                connections.close_all()
            except Exception as error:
                logger.exception("Relay: unexpected error")
                sentry.capture(error)
            stop.wait(conf().RELAY_INTERVAL)
        lease.drop()
        connections.close_all()
