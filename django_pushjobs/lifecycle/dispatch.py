"""Requests that are due get a job on the queue, and those whose job was lost get another one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import router
from django.db.models import F

from ..broker import Unavailable, queues
from ..broker.queues import PushJob
from ..conf import conf
from ..db import clock
from ..events.change import Change
from ..limits import breaker, ramp
from ..models import BULKY, PushRequest
from ..models.push_requests import PushRequestQuerySet
from ..states import Status
from .announcements import publish

logger = logging.getLogger(__name__)


def job_of(row: PushRequest) -> PushJob:
    """Return the job of ``row``: the one it has if it is QUEUED."""
    return PushJob(row.pk, row.priority, row.enqueues)


def enqueue(rows: Sequence[PushRequest]) -> None:
    """Enqueue a job for each of ``rows``, which are QUEUED; call it after the commit.

    Without Redis they go back to PENDING, and the relay enqueues them later.
    """
    if not rows:
        return
    try:
        queues.enqueue(job_of(row) for row in rows)
    except Unavailable as error:
        logger.error("Could not enqueue %d push requests: %s", len(rows), error)
        now = clock.now()
        ids = [row.pk for row in rows]
        PushRequest.objects.among(ids).transition(
            Status.PENDING, next_attempt_at=now, queued_at=None
        )
        for row in rows:
            row.status, row.next_attempt_at, row.queued_at = Status.PENDING, now, None


def enqueue_due(limit: int) -> int:
    """Enqueue up to ``limit`` requests whose time has come; return how many.

    Those of a paused backend wait, except for a probe now and then; after an outage they come bit
    by bit. Without Redis all of them wait.
    """
    if not queues.is_reachable():
        return 0
    using = router.db_for_write(PushRequest)
    now = clock.now()
    due = PushRequest.objects.using(using).due(now)
    paused = breaker.paused_backends(using=using)
    away = {pause.backend: pause.since for pause in paused if pause.is_outage}
    for backend, since in ramp.look(away).items():
        gathered = due.filter(backend=backend).count()
        ramp.begin(backend, gathered, (now - since).total_seconds())
    if not paused and not ramp.is_on():
        return enqueue_again(due, _first(due, limit))
    enqueued = enqueue_again(due, breaker.probe(paused, due, now, using=using))
    for backend in conf().BACKENDS:
        concerned = [pause.client_id for pause in paused if pause.backend == backend]
        if 0 not in concerned:
            of_backend = due.filter(backend=backend).exclude(client__in=concerned)
            found = _first(of_backend, ramp.room(backend, limit))
            ramp.take(backend, len(found))
            enqueued += enqueue_again(of_backend, found)
    return enqueued


def _first(due: PushRequestQuerySet, limit: int) -> list[UUID]:
    return list(due.order_by("next_attempt_at").values_list("pk", flat=True)[:limit])


def enqueue_lost(limit: int, queued_before: datetime) -> int:
    """Enqueue requests again whose job was lost, as when Redis loses its memory.

    Looks at the ``limit`` requests that have been queued the longest, and at more if all of them
    had lost their job; returns how many had.

    :raises broker.Unavailable: Redis does not answer.
    """
    queued = PushRequest.objects.queued_before(queued_before)
    oldest = queued.order_by("queued_at").values_list("pk", "priority", "enqueues")[:limit]
    enqueued = 0
    while lost := queues.lost(PushJob(*row) for row in oldest.all()):
        enqueued += enqueue_again(queued, [job.request_id for job in lost])
        if len(lost) < limit:
            break
    return enqueued


def enqueue_again(waiting: PushRequestQuerySet, ids: Sequence[UUID]) -> int:
    """Move those of ``ids`` that are still in ``waiting`` to QUEUED, and enqueue them.

    Two relays may call this with the same rows: the UPDATE asks again whether they wait, and the
    time it leaves in ``queued_at`` says which of the two won.

    :returns: how many were enqueued.
    """
    now = clock.now()
    if not ids:
        return 0
    fields = {"queued_at": now, "enqueues": F("enqueues") + 1}
    if not waiting.among(ids).transition(Status.QUEUED, **fields):
        return 0
    won = PushRequest.objects.among(ids).filter(status=Status.QUEUED, queued_at=now)
    rows = list(won.defer(*BULKY))
    enqueue(rows)
    publish([Change.of(row) for row in rows if not row.is_part])
    return len(rows)
