"""Requests that are due get a job on the queue, and those whose job was lost get another one."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import router
from django.db.models import F

from ..broker import Unavailable, queues
from ..broker.queues import PushJob
from ..conf import conf
from ..db import clock
from ..db.statements import can_return
from ..events.change import Change
from ..limits import breaker, ramp
from ..models import PushRequest
from ..models.push_requests import PushRequestQuerySet
from ..states import COUNTS, Status
from .announcements import publish

logger = logging.getLogger(__name__)

#: Requests that are moved in one transaction.
BATCH = 1_000
#: What is read of a request that was moved to QUEUED; the counts follow.
_COLUMNS = ("pk", "priority", "enqueues", "parent_id", "client_id", "backend", "error_code")


def job_of(row: PushRequest) -> PushJob:
    """Return the job of ``row``: the one it has if it is QUEUED."""
    return PushJob(row.pk, row.priority, row.enqueues)


def enqueue(rows: Sequence[PushRequest]) -> None:
    """Enqueue a job for each of ``rows``, which are QUEUED; call it after the commit.

    Without Redis they go back to PENDING, and the relay enqueues them later.
    """
    jobs = [job_of(row) for row in rows]
    if jobs and not _is_taken(jobs):
        now = clock.now()
        _take_back(jobs, now)
        for row in rows:
            row.status, row.next_attempt_at, row.queued_at = Status.PENDING, now, None


def _is_taken(jobs: Sequence[PushJob]) -> bool:
    """Enqueue ``jobs``; return whether Redis has taken them."""
    try:
        queues.enqueue(jobs)
    except Unavailable as error:
        logger.error("Could not enqueue %d push requests: %s", len(jobs), error)
        return False
    return True


def _take_back(jobs: Sequence[PushJob], now: datetime) -> None:
    """Set the requests back to PENDING that Redis has not taken."""
    PushRequest.objects.among(job.request_id for job in jobs).transition(
        Status.PENDING, next_attempt_at=now, queued_at=None
    )


def enqueue_due(limit: int, *, step: bool = True) -> int:
    """Enqueue up to ``limit`` requests whose time has come; return how many.

    Those of a paused backend wait, except for a probe now and then; after an outage they come bit
    by bit. Without Redis all of them wait.

    :param step: it is time to let out the next bit of those.
    """
    if not queues.is_reachable():
        return 0
    using = router.db_for_write(PushRequest)
    now = clock.now()
    if step:
        ramp.step()
    due = PushRequest.objects.using(using).due(now)
    paused = breaker.paused_backends(using=using)
    away = {pause.backend: pause.since for pause in paused if pause.is_outage}
    for backend, since in ramp.look(away).items():
        gathered = due.filter(backend=backend).count()
        ramp.begin(backend, gathered, (now - since).total_seconds())
    if not paused and not ramp.is_on():
        return _enqueue_first(due, limit)
    enqueued = enqueue_again(due, breaker.probe(paused, due, now, using=using))
    for backend in conf().BACKENDS:
        concerned = [pause.client_id for pause in paused if pause.backend == backend]
        if 0 not in concerned:
            of_backend = due.filter(backend=backend).exclude(client__in=concerned)
            asked = ramp.room(backend, limit)
            found = _first(of_backend, asked) if asked else []
            ramp.take(backend, len(found), asked)
            enqueued += enqueue_again(of_backend, found)
    return enqueued


def _enqueue_first(due: PushRequestQuerySet, limit: int) -> int:
    """Enqueue up to ``limit`` of those that have been due the longest; return how many.

    While Redis takes some of them, the database moves the next.
    """
    enqueued, asked, under_way = 0, 0, deque[tuple[_Moved, Future[bool]]]()
    with ThreadPoolExecutor(1, "enqueue") as redis:
        while asked < limit:
            ids = _first(due, min(BATCH, limit - asked))
            asked += len(ids)
            if moved := _move(due, ids):
                under_way.append((moved, redis.submit(_is_taken, moved.jobs)))
            if len(under_way) > 1:
                enqueued += _settle(*under_way.popleft())
            if len(ids) < BATCH:
                break
        return enqueued + sum(_settle(*each) for each in under_way)


def _settle(moved: _Moved, is_taken: Future[bool]) -> int:
    return moved.enqueued(is_taken.result())


def _first(due: PushRequestQuerySet, limit: int) -> list[UUID]:
    return list(due.order_by("next_attempt_at").values_list("pk", flat=True)[:limit])


def enqueue_lost(limit: int, most: int, queued_before: datetime) -> int:
    """Enqueue requests again whose job was lost, as when Redis loses its memory.

    Looks at the ``limit`` requests that have been queued the longest, and at more, until about
    ``most`` were enqueued, if all of them had lost their job; returns how many had.

    :raises broker.Unavailable: Redis does not answer.
    """
    queued = PushRequest.objects.queued_before(queued_before)
    oldest = queued.order_by("queued_at").values_list("pk", "priority", "enqueues")[:limit]
    enqueued = 0
    while lost := queues.lost(PushJob(*row) for row in oldest.all()):
        again = enqueue_again(queued, [job.request_id for job in lost])
        enqueued += again
        if not again or len(lost) < limit or enqueued >= most:
            break
    return enqueued


def enqueue_again(waiting: PushRequestQuerySet, ids: Sequence[UUID]) -> int:
    """Move those of ``ids`` that are still in ``waiting`` to QUEUED, and enqueue them.

    Two relays may call this with the same rows: the UPDATE asks again whether they wait, and the
    time it leaves in ``queued_at`` says which of the two won.

    :returns: how many were enqueued.
    """
    moved = _move(waiting, ids)
    return moved.enqueued(_is_taken(moved.jobs)) if moved else 0


@dataclass(frozen=True, slots=True)
class _Moved:
    """Requests that were moved to QUEUED: their jobs, and what to tell whoever listens."""

    jobs: Sequence[PushJob]
    changes: Sequence[Change]

    def enqueued(self, is_taken: bool) -> int:
        """Return how many were enqueued, after Redis has taken their jobs or not."""
        if not is_taken:
            _take_back(self.jobs, clock.now())
            return 0
        publish(self.changes)
        return len(self.jobs)


def _move(waiting: PushRequestQuerySet, ids: Sequence[UUID]) -> _Moved | None:
    """Move those of ``ids`` that are still in ``waiting`` to QUEUED; None if there are none."""
    now = clock.now()
    jobs, changes = [], []
    for pk, priority, enqueues, parent_id, client_id, backend, error_code, *counts in (
        _queue(waiting.among(ids), now) if ids else ()
    ):
        jobs.append(PushJob(pk, priority, enqueues))
        # Nobody listens to a part, or to what our own code has submitted.
        if parent_id is None and client_id is not None:
            changes.append(
                Change(
                    request_id=pk,
                    client_id=client_id,
                    backend=backend,
                    status=Status.QUEUED,
                    counts=dict(zip(COUNTS, counts, strict=True)),
                    error_code=error_code,
                    at=now,
                )
            )
    return _Moved(jobs, changes) if jobs else None


def _queue(waiting: PushRequestQuerySet, now: datetime) -> Iterable[Sequence[Any]]:
    """Move ``waiting`` to QUEUED; return :data:`_COLUMNS` and the counts of those that moved."""
    fields = {"queued_at": now, "enqueues": F("enqueues") + 1}
    columns = (*_COLUMNS, *COUNTS)
    if can_return(waiting.db):
        move = waiting.transition_statement(Status.QUEUED, returning=columns, **fields)
        return move.fetch(using=waiting.db, now=now)
    ids = list(waiting.values_list("pk", flat=True))
    if not waiting.transition(Status.QUEUED, **fields):
        return ()
    won = PushRequest.objects.using(waiting.db).among(ids)
    return won.filter(status=Status.QUEUED, queued_at=now).values_list(*columns)
