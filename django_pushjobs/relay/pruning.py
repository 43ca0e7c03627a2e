"""What is kept no longer is deleted, a little at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import router, transaction
from django.db.models import QuerySet, Value

from ..callbacks import sweeping
from ..conf import conf
from ..db.deletion import delete
from ..db.locks import locked
from ..models import PushRequest
from ..models.identifiers import first_uuid
from ..models.push_requests import PushRequestQuerySet
from ..states import FINAL
from ..submission import idempotency

#: Rows that are deleted in one transaction, beside those that depend on them.
BATCH: Final = 500
#: Addresses that their requests have at most, unless there is only one request.
ADDRESSES: Final = 5_000
#: Seconds that one sweep spends on it: what is due waits no longer.
SHARE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was deleted: how many requests, callbacks and stored answers.

    :param is_all: there is nothing left to delete.
    """

    count: int
    is_all: bool


def looks(now: datetime) -> list[QuerySet[Any]]:
    """Return what there is to prune: requests, callbacks and stored answers, the oldest first."""
    return [_expired(now), sweeping.old(now), idempotency.expired(now).order_by("pk")]


def prune(kinds: Iterable[QuerySet[Any]]) -> Pruned:
    """Delete of each of ``kinds`` in turn, until nothing is left or :data:`SHARE` is over."""
    ends = time.monotonic() + SHARE
    waiting, count = deque(kinds), 0
    while waiting and (not count or time.monotonic() < ends):
        kind = waiting.popleft()
        deleted, last = _prune_some(kind)
        count += deleted
        if last is not None:
            # Behind those that were just deleted, over which the index would still lead.
            waiting.append(kind.filter(pk__gt=last))
    return Pruned(count, is_all=not waiting)


def _expired(now: datetime) -> PushRequestQuerySet:
    """Return requests whose RETENTION is over. Keys are ordered by time, so theirs is the index."""
    requests = PushRequest.objects.using(router.db_for_write(PushRequest)).whole().order_by("pk")
    if not conf().RETENTION:
        return requests.none()
    return requests.filter(
        pk__lt=first_uuid(now - timedelta(seconds=conf().RETENTION)), status__in=FINAL
    )


def _prune_some(rows: QuerySet[Any]) -> tuple[int, Any]:
    """Delete the first of ``rows``; return how many, and the last key if there may be more."""
    model, using = rows.model, router.db_for_write(rows.model)
    size = "total" if model is PushRequest else Value(0)
    with transaction.atomic(using=using):
        found = list(locked(rows).values_list("pk", size)[:BATCH])
        ids: list[Any] = []
        addresses = 0
        for pk, total in found:
            addresses += total
            if ids and addresses > ADDRESSES:
                break
            ids.append(pk)
        if ids:
            delete(model, ids, using=using)
    has_more = len(found) == BATCH or len(ids) < len(found)
    return len(ids), ids[-1] if has_more else None
