"""A change of push requests, told to those who wait for it: in its transaction, and after it.

Whoever moves rows calls :func:`record` inside the transaction and :func:`publish` once it is
committed. Both take many changes at once, because the writer of a busy process commits many.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import router, transaction

from ..callbacks import outbox
from ..events import streams
from ..models import BULKY, PushRequest
from ..models.querysets import PushRequestQuerySet
from ..signals import push_request_finished
from ..states import FINAL, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One push request has moved.

    :param client_id: key of the client that asked, or None where our own code did.
    :param status: the state it is in now.
    :param counts: addresses: total, accepted, failed, dropped, unknown.
    :param at: aware; when it moved.
    """

    request_id: UUID
    client_id: int | None
    backend: str
    status: Status
    counts: Mapping[str, int]
    error_code: str = ""
    at: datetime

    @classmethod
    def of(cls, row: PushRequest) -> Change:
        """Return the last change of ``row``, as the database has it."""
        return cls(
            request_id=row.pk,
            client_id=row.client_id,
            backend=row.backend,
            status=Status(row.status),
            counts=row.counts,
            error_code=row.error_code,
            at=row.updated_at,
        )

    @property
    def is_final(self) -> bool:
        return self.status in FINAL


def record(changes: Sequence[Change], *, using: str) -> None:
    """Write what the changes lead to, in the transaction that makes them."""
    outbox.record(changes, using=using)


def publish(changes: Sequence[Change]) -> None:
    """Tell other processes, after the commit. Nothing depends on it: it neither fails nor waits."""
    streams.publisher().publish(changes)


def announce(changes: Iterable[Change]) -> None:
    """Send the signal of the ends among the changes. Receivers are other people's code: call it
    where it does not matter how long they take."""
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
    """End one push request, and tell everybody once that is committed.

    :param rows: that request, and in its WHERE whatever must hold for it to end.
    :returns: False where that did not hold.
    """
    using = router.db_for_write(PushRequest)
    with transaction.atomic(using=using):
        if not rows.using(using).transition(status, **fields):
            return False
        row = PushRequest.objects.using(using).defer(*BULKY).get(pk=request_id)
        changes = [] if row.is_part else [Change.of(row)]
        record(changes, using=using)
        transaction.on_commit(partial(_tell, changes), using=using)
    return True


def _tell(changes: Sequence[Change]) -> None:
    publish(changes)
    announce(changes)
