"""What callers do with push requests: submit, cancel, retry; and resume a backend.

The API, the admin, the commands and your own code all come this way; none of them changes a row by
itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from functools import partial
from typing import Any
from uuid import UUID

from django.db import router, transaction
from django.db.models import F
from django.utils import timezone

from .broker.queues import withdraw
from .conf import conf
from .events.change import Change
from .exceptions import FieldError, InvalidPushRequest, InvalidTransition, pointer_to
from .lifecycle import dispatch
from .lifecycle.announcements import publish, record
from .limits import breaker
from .limits.admission import Admission
from .models import ApiClient, Pause, PushRequest
from .signals import push_request_canceled
from .states import RETRYABLE, UNSUCCESSFUL, WAITING, DeliveryStatus, Status
from .submission.acceptance import accept
from .submission.submissions import Submission

__all__ = ["Submission", "cancel", "resume", "retry", "submit", "submit_many"]


def submit(*, client: ApiClient | None = None, **submission: Any) -> PushRequest:
    """Accept one push request: store it, and enqueue it once the transaction has committed.

    The arguments are the fields of :class:`~.submission.submissions.Submission`::

        submit(recipients=["device-token"], title="Hello", backend="gateway")

    :raises InvalidPushRequest: a field is wrong; nothing was stored.
    """
    return submit_many([Submission(**submission)], client=client)[0]


def submit_many(
    submissions: Iterable[Submission], *, client: ApiClient | None = None
) -> list[PushRequest]:
    """Accept many push requests at once, in one transaction and with one round trip to Redis.

    :returns: the new push requests, in the order of ``submissions``.
    :raises InvalidPushRequest: one of them is wrong; nothing was stored. If there are several,
        pointers start with the index of the submission.
    """
    submissions = list(submissions)
    now = timezone.now()
    errors: list[FieldError] = []
    for index, submission in enumerate(submissions):
        try:
            submission.check(now)
        except InvalidPushRequest as invalid:
            place = pointer_to(index) if len(submissions) > 1 else ""
            errors += [error.below(place) for error in invalid.errors]
    if errors:
        raise InvalidPushRequest(errors)
    return accept(submissions, client=client)


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
    withdraw(dispatch.job_of(row))
    publish([Change.of(row)])
    push_request_canceled.send_robust(PushRequest, request_id=row.pk)


def retry(request_id: UUID, *, admission: Admission | None = None) -> PushRequest:
    """Push a FAILED or PARTIAL request again, to the addresses that were not accepted.

    Dead addresses are left alone. An address whose outcome is unknown is pushed again, whatever
    ``on_unknown`` says: somebody has asked for it.

    :param admission: the limits of the client that asks: a retry counts like a submission.
    :raises PushRequest.DoesNotExist: there is none with this key.
    :raises InvalidTransition: it has not failed.
    :raises LimitExceeded: the client has reached a limit.
    """
    using = router.db_for_write(PushRequest)
    named = PushRequest.objects.using(using).filter(pk=request_id)
    row = named.get()
    admitted = admission.submission([row]) if admission is not None else nullcontext()
    afresh = {
        "error_code": "",
        "error": "",
        "cancel_requested_at": None,
        "uncounted_attempts": F("attempts"),
        "attempt_limit": conf().MAX_ATTEMPTS,
        "started_at": None,
        "enqueues": F("enqueues") + 1,
    }
    with admitted, transaction.atomic(using=using):
        moved = named.filter(status__in=RETRYABLE).transition(Status.QUEUED, **afresh)
        row = named.get()
        if not moved:
            raise InvalidTransition("retry", row.status)
        row.deliveries.filter(status__in=UNSUCCESSFUL).update(
            status=DeliveryStatus.RETRYING, attempts=0, next_attempt_at=None
        )
        transaction.on_commit(partial(_announce_retry, row), using=using)
    return row


def _announce_retry(row: PushRequest) -> None:
    dispatch.enqueue([row])
    publish([Change.of(row)])


def resume(backend: str, origin: str | None = None) -> bool:
    """End the pause of a backend that had refused our credentials: somebody has mended them.

    :param origin: only the pause of this origin of the backend; None for all of its pauses.

    The requests that wait for it are enqueued within a second or two.

    :returns: whether it was paused.
    """
    return breaker.resume(backend, origin, using=router.db_for_write(Pause))
