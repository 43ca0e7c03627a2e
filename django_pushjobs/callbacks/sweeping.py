"""What the relay does for callbacks: ring for what nobody rang for, and prune."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from ..conf import conf
from ..models import CallbackEndpoint, CallbackEvent
from ..models.identifiers import first_uuid
from ..runtime.processes import is_dead
from . import dispatch

#: Rows that one sweep deals with at most.
LIMIT = 1_000


def sweep() -> int:
    """Ring for the endpoints for which events are due, and return how many there were.

    One query, which looks into the index of the events once for each endpoint. The claims of
    senders that are gone are taken over by the next one.
    """
    now = timezone.now()
    waiting = CallbackEndpoint.objects.callable(now).with_due_events(now).order_by()
    rows = waiting.values_list("pk", "owner", "lease_expires_at")[:LIMIT]
    due = {
        pk
        for pk, owner, lease_expires_at in rows
        if not owner or lease_expires_at is None or lease_expires_at < now or is_dead(owner)
    }
    dispatch.enqueue(due)
    return len(due)


def prune() -> int:
    """Delete up to :data:`LIMIT` callbacks that are older than ``CALLBACK_RETENTION``, with their
    attempts, whether or not they were delivered; return how many."""
    before = first_uuid(timezone.now() - timedelta(seconds=conf().CALLBACK_RETENTION))
    old = CallbackEvent.objects.filter(pk__lt=before).order_by("pk")
    ids = list(old.values_list("pk", flat=True)[:LIMIT])
    if ids:
        CallbackEvent.objects.filter(pk__in=ids).delete()
    return len(ids)
