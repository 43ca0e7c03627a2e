"""One look at the rows: what waits for us is enqueued, recovered, expired or pruned.

Every move is a guarded UPDATE, so two relays at the same time do no harm.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import router
from django.db.models import QuerySet

from ..callbacks import sweeping
from ..conf import conf
from ..db import clock
from ..db.existence import exist
from ..lifecycle.announcements import end
from ..lifecycle.dispatch import enqueue_due, enqueue_lost
from ..limits import breaker
from ..models import Pause, PushRequest
from ..states import Status
from . import pruning
from .recovery import recover

#: Rows that one sweep moves at most, of each kind.
LIMIT = 1_000
#: Requests, those queued the longest, whose jobs one sweep asks Redis for.
LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class Sweep:
    """How many push requests one sweep moved, and how many callback endpoints it enqueued."""

    recovered: int = 0
    expired: int = 0
    enqueued: int = 0
    pruned: int = 0
    callbacks: int = 0

    def __bool__(self) -> bool:
        return any(astuple(self))


def sweep(*, lenient: bool = False, forgetful: bool = False, prune: bool = True) -> Sweep:
    """Look once for push requests that wait for us, and move them.

    If there is nothing to do this is one query, each part of which an index answers, and one for
    the callbacks; pruning takes another one.

    :param lenient: take no claim away because its lease has expired.
    :param forgetful: Redis may just have lost its memory: look for the jobs of all that is queued.
    :param prune: also look for what is kept no longer.
    """
    clock.look(router.db_for_write(PushRequest))
    now = clock.now()
    queued_before = now if forgetful else now - timedelta(seconds=conf().LOST_JOB_AFTER)
    looked = exist(*looks(now, queued_before=queued_before, prune=prune))
    running, due, queued, overdue, unreported, *old = looked
    if unreported:
        breaker.report(now, using=router.db_for_write(Pause))
    # The order matters: what was recovered is due, and what is overdue expires rather than being
    # enqueued.
    recovered = recover(now, lenient=lenient, limit=LIMIT) if running else 0
    expired = _expire(now) if overdue else 0
    if due:
        _give_up(now)
    enqueued = enqueue_due(LIMIT) if due or recovered else 0
    if queued:
        enqueued += enqueue_lost(LOOKED_AT, queued_before)
    pruned = pruning.prune(now, requests=old[0], answers=old[1]) if prune else 0
    return Sweep(recovered, expired, enqueued, pruned, callbacks=sweeping.sweep())


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


def _give_up(now: datetime) -> None:
    """End the requests that have waited for a paused backend for as long as they may."""
    using = router.db_for_write(PushRequest)
    # Whatever was refused there, or not even tried, is due since it began to wait.
    waiting = PushRequest.objects.using(using).due(now - timedelta(seconds=conf().MAX_PAUSE_WAIT))
    for pause in breaker.paused_backends(using=using):
        rows = waiting.filter(breaker.concerns(pause))
        for pk in rows.values_list("pk", flat=True)[:LIMIT]:
            end(
                rows.filter(pk=pk),
                pk,
                Status.FAILED,
                error_code=pause.error_code,
                error=f"the backend has been paused for too long: {pause.error}",
            )


def _expire(now: datetime) -> int:
    overdue = PushRequest.objects.overdue(now)
    ids = list(overdue.values_list("pk", flat=True)[:LIMIT])
    return sum(end(overdue.filter(pk=pk), pk, Status.EXPIRED, error_code="expired") for pk in ids)
