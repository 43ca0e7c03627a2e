"""What is kept no longer is deleted, a little at a time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import router
from django.db.models import QuerySet

from ..callbacks import sweeping
from ..conf import conf
from ..models import PushRequest
from ..models.identifiers import first_uuid
from ..states import FINAL
from ..submission import idempotency

#: Requests that are deleted in one transaction.
BATCH = 200


def looks(now: datetime) -> list[QuerySet[Any]]:
    """Return what there is to prune: requests, and stored answers whose time is over."""
    return [_expired(now), idempotency.expired(now)]


def prune(now: datetime, *, requests: bool, answers: bool) -> int:
    """Delete some of what is kept no longer, and return how many rows that were.

    :param requests: whether there are requests to delete.
    :param answers: whether there are stored answers to delete.
    """
    count = sweeping.prune()
    if requests:
        count += _prune_requests(now)
    if answers:
        count += idempotency.prune(now)
    return count


def _expired(now: datetime) -> QuerySet[PushRequest]:
    """Return requests whose RETENTION is over. Keys are ordered by time, so theirs is the index."""
    requests = PushRequest.objects.using(router.db_for_write(PushRequest)).whole().order_by("pk")
    if not conf().RETENTION:
        return requests.none()
    return requests.filter(
        pk__lt=first_uuid(now - timedelta(seconds=conf().RETENTION)), status__in=FINAL
    )


def _prune_requests(now: datetime) -> int:
    ids = list(_expired(now).values_list("pk", flat=True)[:BATCH])
    PushRequest.objects.filter(pk__in=ids).delete()
    return len(ids)
