"""The one way in: row, doorbell and signal together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import router, transaction
from django.db.models import F
from django.utils import timezone
from redis.exceptions import RedisError

from .admission import Admission
from .changes import Change, publish, record
from .conf import conf
from .exceptions import FieldError, InvalidPushRequest, InvalidTransition
from .models import ApiClient, PushRequest
from .querysets import PushRequestQuerySet
from .queues import Bell, missing, ring, withdraw
from .signals import push_request_canceled, push_request_submitted
from .states import RETRYABLE, WAITING, Status
from .submissions import Submission

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
    rows = [_row(submission, client) for submission in submissions]
    using = router.db_for_write(PushRequest)
    admitted = admission.submission(rows) if admission else nullcontext()
    with admitted, transaction.atomic(using=using):
        if first is not None:
            first(rows, using)
        if len(rows) == 1:
            rows[0].save(using=using, force_insert=True)
        else:
            PushRequest.objects.using(using).bulk_create(rows, batch_size=1_000)
        transaction.on_commit(partial(_announce, rows), using=using)
    return rows


def _row(submission: Submission, client: ApiClient | None) -> PushRequest:
    due_later = submission.send_at is not None
    row = PushRequest(
        client=client,
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
        request_id=submission.request_id,
        traceparent=submission.traceparent,
        attempt_limit=conf().MAX_ATTEMPTS,
        total=len(submission.recipients),
        status=Status.PENDING if due_later else Status.QUEUED,
        next_attempt_at=submission.send_at,
    )
    row.queued_at = None if due_later else row.created_at
    row.expires_at = submission.end(row.created_at)
    return row


def _announce(rows: Sequence[PushRequest]) -> None:
    _ring([row for row in rows if row.status == Status.QUEUED])
    publish([Change.of(row) for row in rows])
    for row in rows:
        push_request_submitted.send_robust(PushRequest, push_request=row)


def _ring(rows: Sequence[PushRequest]) -> None:
    """Ring for QUEUED rows. Without Redis they go back to PENDING, and the relay rings later."""
    if not rows:
        return
    try:
        ring(bell_of(row) for row in rows)
    except RedisError as error:
        logger.error("The doorbell for %d push requests failed: %s", len(rows), error)
        now = timezone.now()
        ids = [row.pk for row in rows]
        PushRequest.objects.filter(pk__in=ids).transition(
            Status.PENDING, next_attempt_at=now, queued_at=None
        )
        for row in rows:
            row.status, row.next_attempt_at, row.queued_at = Status.PENDING, now, None


def bell_of(row: PushRequest) -> Bell:
    """Return what rings for ``row``."""
    return Bell(row.pk, row.priority, row.attempts)


def ring_due(limit: int) -> int:
    """Ring for up to ``limit`` requests whose time has come; return how many."""
    due = PushRequest.objects.due(timezone.now())
    ids = due.order_by("next_attempt_at").values_list("pk", flat=True)[:limit]
    return _ring_again(due, list(ids))


def ring_stranded(limit: int) -> int:
    """Ring again for requests whose job was lost, as Redis does with all its memory.

    Looks at the ``limit`` requests that wait the longest, and at more where all of them had lost
    their job; returns how many had.

    :raises redis.exceptions.RedisError: Redis does not answer.
    """
    before = timezone.now() - timedelta(seconds=conf().STRANDED_AFTER)
    queued = PushRequest.objects.stranded(before)
    oldest = queued.order_by("queued_at").only("pk", "priority", "attempts")[:limit]
    rung = 0
    while lost := missing(bell_of(row) for row in oldest.all()):
        rung += _ring_again(queued, [bell.request_id for bell in lost])
        if len(lost) < limit:
            break
    return rung


def _ring_again(waiting: PushRequestQuerySet, ids: list[UUID]) -> int:
    """Move those of ``ids`` that still are in ``waiting`` to QUEUED, and ring for them.

    Two relays may call this with the same rows: the UPDATE asks again whether they wait, and the
    time it leaves in ``queued_at`` says who won.
    """
    now = timezone.now()
    if not ids or not waiting.filter(pk__in=ids).transition(Status.QUEUED, queued_at=now):
        return 0
    won = PushRequest.objects.filter(pk__in=ids, status=Status.QUEUED, queued_at=now)
    rows = list(won.only("pk", "priority", "attempts", "status"))
    _ring(rows)
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
    withdraw(bell_of(row))
    publish([Change.of(row)])
    push_request_canceled.send_robust(PushRequest, request_id=row.pk)


def retry(request_id: UUID) -> PushRequest:
    """Push a FAILED or PARTIAL request again, to the addresses that were not accepted.

    :raises PushRequest.DoesNotExist: there is none with this key.
    :raises InvalidTransition: it has not failed.
    """
    moved = PushRequest.objects.filter(pk=request_id, status__in=RETRYABLE).transition(
        Status.QUEUED,
        error_code="",
        error="",
        cancel_requested_at=None,
        attempt_limit=F("attempts") + conf().MAX_ATTEMPTS,
    )
    row = PushRequest.objects.get(pk=request_id)
    if not moved:
        raise InvalidTransition("retry", row.status)
    transaction.on_commit(partial(_announce_retry, row), using=row._state.db)
    return row


def _announce_retry(row: PushRequest) -> None:
    _ring([row])
    publish([Change.of(row)])
