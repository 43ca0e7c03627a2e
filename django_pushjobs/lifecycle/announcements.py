"""A push request has moved: what is written in the same transaction, and who is told after it.

Code that moves rows calls :func:`record` inside the transaction and :func:`publish` once it has
committed. Both take many changes at once, because a busy process commits many at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from django.db import router, transaction
from django.utils import timezone

from ..callbacks import outbox
from ..db.locks import locked
from ..events.change import Change
from ..models import BULKY, PushRequest
from ..models.push_requests import PushRequestQuerySet
from ..signals import push_request_finished
from ..states import Status
from .publisher import publisher


def record(changes: Sequence[Change], *, using: str) -> None:
    """Write what the changes lead to, in the transaction that makes them."""
    outbox.record(changes, using=using)


def publish(changes: Iterable[Change]) -> None:
    """Tell other processes, after the commit. Nothing depends on it: it neither fails nor waits."""
    publisher().publish(changes)


def send_finished(changes: Iterable[Change]) -> None:
    """Send ``push_request_finished`` for those of the changes that are final.

    Receivers are other people's code: call this where it does not matter how long they take.
    """
    for change in changes:
        if change.is_final:
            push_request_finished.send_robust(
                PushRequest,
                request_id=change.request_id,
                status=change.status,
                backend=change.backend,
                counts=dict(change.counts),
            )


def end(rows: PushRequestQuerySet, request_id: UUID, status: Status, **fields: Any) -> bool:
    """End one push request, and announce it once that has committed.

    :param rows: that request, with whatever must hold for it to end in the WHERE.
    :returns: False if that did not hold.
    """
    using = router.db_for_write(PushRequest)
    with transaction.atomic(using=using):
        if not rows.using(using).transition(status, **fields):
            return False
        row = PushRequest.objects.using(using).defer(*BULKY).get(pk=request_id)
        changes = [] if row.is_part else [Change.of(row)]
        record(changes, using=using)
        transaction.on_commit(partial(_announce_end, changes), using=using)
    return True


def end_many(
    rows: PushRequestQuerySet, request_ids: Sequence[UUID], status: Status, **fields: Any
) -> int:
    """End many push requests as :func:`end` does one, in one transaction.

    Those that somebody else is moving at this moment are left alone.

    :param rows: those requests, with whatever must hold for them to end in the WHERE.
    :returns: how many have ended.
    """
    using = router.db_for_write(PushRequest)
    with transaction.atomic(using=using):
        waiting = rows.using(using).among(request_ids)
        ids = list(locked(waiting).values_list("pk", flat=True))
        now = timezone.now()
        if not ids or not waiting.among(ids).transition(status, updated_at=now, **fields):
            return 0
        moved = PushRequest.objects.using(using).among(ids).filter(status=status, updated_at=now)
        ended = list(moved.defer(*BULKY))
        changes = [Change.of(row) for row in ended if not row.is_part]
        record(changes, using=using)
        transaction.on_commit(partial(_announce_end, changes), using=using)
    return len(ended)


def _announce_end(changes: Sequence[Change]) -> None:
    publish(changes)
    send_finished(changes)
