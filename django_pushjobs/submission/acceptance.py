"""A submission that was checked is stored as a push request, and enqueued after the commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import partial

from django.db import router, transaction
from django.utils import timezone

from ..backends import policy
from ..conf import conf
from ..events.change import Change
from ..lifecycle import dispatch
from ..lifecycle.announcements import publish
from ..limits.admission import Admission
from ..models import ApiClient, PushRequest
from ..runtime.turns import in_turns
from ..signals import push_request_submitted
from ..states import Status
from .submissions import Submission


def accept(
    submissions: Sequence[Submission],
    *,
    client: ApiClient | None = None,
    admission: Admission | None = None,
    prepare: Callable[[Sequence[PushRequest]], Callable[[str], None]] | None = None,
) -> list[PushRequest]:
    """Store submissions that were checked already, as the API does item by item.

    :param admission: the limits that ``client`` has to keep; our own code has none.
    :param prepare: called with the rows before the transaction. What it returns is called in it,
        with the alias of the database, before the rows are stored.
    :returns: the new push requests, in the order of ``submissions``.
    :raises LimitExceeded: there are too many; nothing was stored.
    """
    if not submissions:
        return []
    now = timezone.now()
    rows = [_row(submission, client, now) for submission in in_turns(submissions)]
    using = router.db_for_write(PushRequest)
    first = prepare(rows) if prepare is not None else None
    admitted = admission.submission(rows) if admission else nullcontext()
    with admitted, transaction.atomic(using=using):
        if first is not None:
            first(using)
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


def _announce(rows: Sequence[PushRequest]) -> None:
    dispatch.enqueue([row for row in rows if row.status == Status.QUEUED])
    if rows[0].client_id is not None:
        publish([Change.of(row) for row in in_turns(rows)])
    for row in in_turns(rows):
        push_request_submitted.send_robust(PushRequest, push_request=row)
