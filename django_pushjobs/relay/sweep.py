"""One look at the rows: what waits for us is enqueued, recovered, expired or pruned.

Every move is a guarded UPDATE, so two relays at the same time do no harm.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, field
from datetime import datetime, timedelta
from itertools import compress
from typing import Any

from django.db import router
from django.db.models import QuerySet

from ..callbacks import sweeping
from ..conf import conf
from ..db import clock
from ..db.existence import exist
from ..lifecycle.announcements import end_many
from ..lifecycle.dispatch import enqueue_due, enqueue_lost
from ..limits import breaker
from ..models import Pause, PushRequest
from ..models.push_requests import PushRequestQuerySet
from ..states import Status
from . import pruning
from .recovery import recover

#: Rows that one sweep moves at most, of each kind.
LIMIT = 5_000
#: Rows that it ends in one transaction.
END_BATCH = 500
#: Requests, those queued the longest, whose jobs one sweep asks Redis for.
LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class Sweep:
    """How many push requests one sweep moved, and how many callback endpoints it enqueued.

    :param failed: requests that have waited too long for a paused backend.
    :param pruned: requests, callbacks and stored answers that were deleted.
    :param is_full: there may be more to move at once.
    :param is_pruned: there is nothing left to delete, as far as it has looked.
    """

    recovered: int = 0
    expired: int = 0
    enqueued: int = 0
    pruned: int = 0
    callbacks: int = 0
    failed: int = 0
    is_full: bool = field(default=False, kw_only=True)
    is_pruned: bool = field(default=True, kw_only=True)

    def __bool__(self) -> bool:
        return any(astuple(self)[:-2])


def sweep(
    *, lenient: bool = False, forgetful: bool = False, prune: bool = True, step: bool = True
) -> Sweep:
    """Look once for push requests that wait for us, and move them.

    If there is nothing to do this is one query, each part of which an index answers, and one for
    the callbacks.

    :param lenient: take no claim away because its lease has expired.
    :param forgetful: Redis may just have lost its memory: look for the jobs of all that is queued.
    :param prune: also look for what is kept no longer.
    :param step: it is ``RELAY_INTERVAL`` since what an outage has held back was let out a bit.
    """
    clock.look(router.db_for_write(PushRequest))
    now = clock.now()
    queued_before = now if forgetful else now - timedelta(seconds=conf().LOST_JOB_AFTER)
    looked_for = looks(now, queued_before=queued_before, prune=prune)
    running, due, queued, overdue, unreported, *old = exist(*looked_for)
    if unreported:
        breaker.report(now, using=router.db_for_write(Pause))
    # The order matters: what was recovered is due, and what is overdue expires rather than being
    # enqueued.
    recovered = recover(now, lenient=lenient, limit=LIMIT) if running else 0
    expired = _expire(now) if overdue else 0
    failed = _give_up(now) if due else 0
    enqueued = enqueue_due(LIMIT, step=step) if due or recovered else 0
    if queued:
        enqueued += enqueue_lost(LOOKED_AT, LIMIT, queued_before)
    callbacks = sweeping.sweep()
    pruned = pruning.prune(compress(looked_for[5:], old))
    return Sweep(
        recovered,
        expired,
        enqueued,
        pruned.count,
        callbacks,
        failed,
        # Endpoints are all enqueued by one sweep.
        is_full=max(recovered, expired, enqueued, failed) >= LIMIT,
        is_pruned=pruned.is_all,
    )


def looks(now: datetime, *, queued_before: datetime, prune: bool = True) -> list[QuerySet[Any]]:
    """Return what a sweep looks for: running, due, long queued and overdue requests, pauses that
    nobody has heard of, and what :func:`.pruning.looks` names."""
    requests = PushRequest.objects.using(router.db_for_write(PushRequest)).order_by()
    return [
        requests.filter(status=Status.RUNNING),
        requests.due(now),
        requests.queued_before(queued_before),
        requests.overdue(now),
        breaker.unreported(now, using=requests.db),
        *(pruning.looks(now) if prune else ()),
    ]


def _give_up(now: datetime) -> int:
    """End the requests that have waited for a paused backend for as long as they may."""
    using = router.db_for_write(PushRequest)
    # Whatever was refused there, or not even tried, is due since it began to wait.
    waiting = PushRequest.objects.using(using).due(now - timedelta(seconds=conf().MAX_PAUSE_WAIT))
    return sum(
        _end(
            waiting.filter(breaker.concerns(pause)),
            Status.FAILED,
            error_code=pause.error_code,
            error=f"the backend has been paused for too long: {pause.error}",
        )
        for pause in breaker.paused_backends(using=using)
    )


def _expire(now: datetime) -> int:
    return _end(PushRequest.objects.overdue(now), Status.EXPIRED, error_code="expired")


def _end(rows: PushRequestQuerySet, status: Status, **fields: Any) -> int:
    """End up to :data:`LIMIT` of ``rows``."""
    ids = list(rows.values_list("pk", flat=True)[:LIMIT])
    batches = (ids[start : start + END_BATCH] for start in range(0, len(ids), END_BATCH))
    return sum(end_many(rows, batch, status, **fields) for batch in batches)
