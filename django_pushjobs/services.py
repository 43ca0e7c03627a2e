"""The one way in: row, doorbell and signal together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import router, transaction
from django.db.models import F
from django.utils import timezone

from .backends import policy
from .broker import Unavailable
from .broker.queues import PushJob, enqueue, is_reachable, lost, withdraw
from .conf import conf
from .exceptions import FieldError, InvalidPushRequest, InvalidTransition
from .lifecycle.announcements import Change, publish, record
from .limits import breaker
from .limits.admission import Admission
from .models import BULKY, ApiClient, Pause, PushRequest
from .models.querysets import PushRequestQuerySet
from .signals import push_request_canceled, push_request_submitted
from .states import RETRYABLE, UNSUCCESSFUL, WAITING, DeliveryStatus, Status
from .submission.submissions import Submission

logger = logging.getLogger(__name__)


def submit(*, client: ApiClient | None = None, **submission: Any) -> PushRequest:
    """Accept one push request: store it, and ring for a worker once the transaction commits.

    The arguments are the fields of :class:`~.submissions.Submission`::

        submit(recipients=["device-token"], title="Hello", backend="gateway")

    :raises InvalidPushRequest: a field is wrong; nothing was stored.
    """
    return submit_many([Submission(**submission)], client=client)[0]


def submit_many(
    submissions: Iterable[Submission], *, client: ApiClient | None = None
) -> list[PushRequest]:
    """Accept many push requests at once, in one transaction and with one doorbell.

    :returns: the new push requests, in the order of ``submissions``.
    :raises InvalidPushRequest: one of them is wrong; nothing was stored. Pointers start with
        the index of the submission where there are several.
    """
    submissions = list(submissions)
    now = timezone.now()
    errors: list[FieldError] = []
    for index, submission in enumerate(submissions):
        try:
            submission.check(now)
        except InvalidPushRequest as invalid:
            prefix = f"/{index}" if len(submissions) > 1 else ""
            errors += [FieldError(prefix + e.pointer, e.detail, e.code) for e in invalid.errors]
    if errors:
        raise InvalidPushRequest(errors)
    return accept(submissions, client=client)


def accept(
    submissions: Sequence[Submission],
    *,
    client: ApiClient | None = None,
    admission: Admission | None = None,
    first: Callable[[Sequence[PushRequest], str], None] | None = None,
) -> list[PushRequest]:
    """Store submissions that were checked already, as the API does item by item.

    :param admission: the limits that ``client`` has to keep; our own code has none.
    :param first: called in the transaction before the rows are stored, with the rows and the alias
        of the database.
    :raises LimitExceeded: they are too many; nothing was stored.
    """
    if not submissions:
        return []
    now = timezone.now()
    rows = [_row(submission, client, now) for submission in submissions]
    using = router.db_for_write(PushRequest)
    admitted = admission.submission(rows) if admission else nullcontext()
    with admitted, transaction.atomic(using=using):
        if first is not None:
            first(rows, using)
        if len(rows) == 1:
            rows[0].save(using=using, force_insert=True)
        else:
            PushRequest.objects.using(using).insert(rows)
        transaction.on_commit(partial(_announce, rows), using=using)
    return rows


def _row(submission: Submission, client: ApiClient | None, now: datetime) -> PushRequest:
    due_later = submission.send_at is not None
    return PushRequest(
        client=client,
        parent_id=None,
        recipients=list(submission.recipients),
        title=submission.title,
        body=submission.body,
        data=dict(submission.data),
        options=dict(submission.options),
        backend=submission.alias,
        priority=submission.priority,
        send_at=submission.send_at,
        collapse_key=submission.collapse_key,
        reference=submission.reference,
        callback_url=submission.callback_url,
        request_id=submission.request_id,
        traceparent=submission.traceparent,
        on_unknown=submission.on_unknown or policy(submission.alias).on_unknown,
        attempt_limit=conf().MAX_ATTEMPTS,
        total=len(submission.recipients),
        status=Status.PENDING if due_later else Status.QUEUED,
        next_attempt_at=submission.send_at,
        expires_at=submission.end(now),
        queued_at=None if due_later else now,
        created_at=now,
        updated_at=now,
    )


def accept_parts(rows: Sequence[PushRequest]) -> None:
    """Store parts of a large request, and ring for them. Those that exist already stay."""
    using = router.db_for_write(PushRequest)
    with transaction.atomic(using=using):
        PushRequest.objects.using(using).bulk_create(rows, ignore_conflicts=True)
        transaction.on_commit(partial(_enqueue, rows), using=using)


def retry_parts(parts: PushRequestQuerySet) -> None:
    """Push again what failed among ``parts``."""
    failed = parts.filter(status__in=RETRYABLE)
    _enqueue_again(failed, list(failed.values_list("pk", flat=True)))


def cancel_parts(parts: PushRequestQuerySet) -> None:
    """Cancel ``parts`` as :func:`cancel` does whole requests; their jobs find nothing to do."""
    now = timezone.now()
    waiting = parts.filter(status__in=WAITING)
    waiting.transition(Status.CANCELED, error_code="canceled", cancel_requested_at=now)
    running = parts.filter(status=Status.RUNNING, cancel_requested_at=None)
    running.update(cancel_requested_at=now, updated_at=now)


def _announce(rows: Sequence[PushRequest]) -> None:
    _enqueue([row for row in rows if row.status == Status.QUEUED])
    if rows[0].client_id is not None:
        publish([Change.of(row) for row in rows])
    for row in rows:
        push_request_submitted.send_robust(PushRequest, push_request=row)


def _enqueue(rows: Sequence[PushRequest]) -> None:
    """Ring for QUEUED rows. Without Redis they go back to PENDING, and the relay rings later."""
    if not rows:
        return
    try:
        enqueue(job_of(row) for row in rows)
    except Unavailable as error:
        logger.error("The doorbell for %d push requests failed: %s", len(rows), error)
        now = timezone.now()
        ids = [row.pk for row in rows]
        PushRequest.objects.among(ids).transition(
            Status.PENDING, next_attempt_at=now, queued_at=None
        )
        for row in rows:
            row.status, row.next_attempt_at, row.queued_at = Status.PENDING, now, None


def job_of(row: PushRequest) -> PushJob:
    """Return what rings for ``row``."""
    return PushJob(row.pk, row.priority, row.enqueues)


def enqueue_due(limit: int) -> int:
    """Ring for up to ``limit`` requests whose time has come; return how many.

    Those of a paused backend wait, but for a probe now and then. Without Redis all of them wait.
    """
    if not is_reachable():
        return 0
    using = router.db_for_write(PushRequest)
    now = timezone.now()
    due = PushRequest.objects.using(using).due(now)
    pauses = breaker.pauses(using=using)
    if not pauses:
        return _enqueue_again(due, _first(due, limit))
    enqueued = _enqueue_again(due, breaker.probe(pauses.values(), due, now, using=using))
    for backend in conf().BACKENDS:
        if backend not in pauses:
            of_backend = due.filter(backend=backend)
            enqueued += _enqueue_again(of_backend, _first(of_backend, limit))
    return enqueued


def _first(due: PushRequestQuerySet, limit: int) -> list[UUID]:
    return list(due.order_by("next_attempt_at").values_list("pk", flat=True)[:limit])


def enqueue_lost(limit: int) -> int:
    """Ring again for requests whose job was lost, as Redis does with all its memory.

    Looks at the ``limit`` requests that wait the longest, and at more where all of them had lost
    their job; returns how many had.

    :raises broker.Unavailable: Redis does not answer.
    """
    before = timezone.now() - timedelta(seconds=conf().LOST_JOB_AFTER)
    queued = PushRequest.objects.queued_before(before)
    oldest = queued.order_by("queued_at").values_list("pk", "priority", "enqueues")[:limit]
    enqueued = 0
    while gone := lost(PushJob(*row) for row in oldest.all()):
        enqueued += _enqueue_again(queued, [job.request_id for job in gone])
        if len(gone) < limit:
            break
    return enqueued


def _enqueue_again(waiting: PushRequestQuerySet, ids: list[UUID]) -> int:
    """Move those of ``ids`` that still are in ``waiting`` to QUEUED, and ring for them.

    Two relays may call this with the same rows: the UPDATE asks again whether they wait, and the
    time it leaves in ``queued_at`` says who won.
    """
    now = timezone.now()
    if not ids:
        return 0
    moved = waiting.among(ids).transition(Status.QUEUED, queued_at=now, enqueues=F("enqueues") + 1)
    if not moved:
        return 0
    won = PushRequest.objects.among(ids).filter(status=Status.QUEUED, queued_at=now)
    rows = list(won.defer(*BULKY))
    _enqueue(rows)
    publish([Change.of(row) for row in rows if not row.is_part])
    return len(rows)


def cancel(request_id: UUID) -> PushRequest:
    """Cancel a push request.

    One that waits ends at once. One that runs is not interrupted: what is in flight ends and is
    reported truthfully, but no further attempt is made; ``cancel_requested_at`` shows it.

    :raises PushRequest.DoesNotExist: there is none with this key.
    :raises InvalidTransition: it is final already, and not canceled.
    """
    waiting = PushRequest.objects.filter(pk=request_id, status__in=WAITING)
    now = timezone.now()
    using = router.db_for_write(PushRequest)
    with transaction.atomic(using=using):
        if waiting.transition(Status.CANCELED, error_code="canceled", cancel_requested_at=now):
            row = PushRequest.objects.using(using).get(pk=request_id)
            record([Change.of(row)], using=using)
            transaction.on_commit(partial(_announce_cancel, row), using=using)
            return row
    running = PushRequest.objects.filter(pk=request_id, status=Status.RUNNING)
    running.filter(cancel_requested_at=None).update(cancel_requested_at=now, updated_at=now)
    row = PushRequest.objects.get(pk=request_id)
    if row.is_final and row.status != Status.CANCELED:
        raise InvalidTransition("cancel", row.status)
    return row


def _announce_cancel(row: PushRequest) -> None:
    withdraw(job_of(row))
    publish([Change.of(row)])
    push_request_canceled.send_robust(PushRequest, request_id=row.pk)


def retry(request_id: UUID) -> PushRequest:
    """Push a FAILED or PARTIAL request again, to the addresses that were not accepted.

    Dead addresses are left alone. Those of which nobody knows whether the provider took the
    message are pushed again, whatever ``on_unknown`` says: somebody asks for it.

    :raises PushRequest.DoesNotExist: there is none with this key.
    :raises InvalidTransition: it has not failed.
    """
    using = router.db_for_write(PushRequest)
    requests = PushRequest.objects.using(using).filter(pk=request_id)
    with transaction.atomic(using=using):
        moved = requests.filter(status__in=RETRYABLE).transition(
            Status.QUEUED, enqueues=F("enqueues") + 1, **_anew()
        )
        row = requests.get()
        if not moved:
            raise InvalidTransition("retry", row.status)
        row.deliveries.filter(status__in=UNSUCCESSFUL).update(status=DeliveryStatus.RETRYING)
        transaction.on_commit(partial(_announce_retry, row), using=using)
    return row


def _anew() -> dict[str, Any]:
    """Return the columns of a request that is tried again because somebody asked for it."""
    return {
        "error_code": "",
        "error": "",
        "cancel_requested_at": None,
        "attempt_limit": F("attempts") + conf().MAX_ATTEMPTS,
    }


def _announce_retry(row: PushRequest) -> None:
    _enqueue([row])
    publish([Change.of(row)])


def resume(backend: str) -> bool:
    """End the pause of a backend that had refused our credentials: somebody has mended them.

    What waits for it is enqueued for within a second or two.

    :returns: whether it was paused.
    """
    return breaker.resume(backend, using=router.db_for_write(Pause))
