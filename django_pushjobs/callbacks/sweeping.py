"""What the relay does for callbacks: enqueue endpoints whose job was lost, and prune."""

from __future__ import annotations

from datetime import timedelta

from ..conf import conf
from ..db import clock
from ..models import CallbackEndpoint, CallbackEvent
from ..models.identifiers import first_uuid
from ..runtime.processes import is_abandoned
from . import dispatch

#: Rows that are handled in one go.
LIMIT = 1_000


def sweep() -> int:
    """Enqueue the endpoints for which events are due, and return how many there are.

    One query, which probes the index of the events once per endpoint. Endpoints whose claim is held
    by a live job are left alone; the claims of jobs that are gone are taken over.
    """
    now = clock.now()
    endpoints = CallbackEndpoint.objects.callable(now).with_due_events(now).order_by()
    rows = endpoints.values_list("pk", "owner", "lease_expires_at")[:LIMIT]
    due = {
        pk
        for pk, owner, lease_expires_at in rows
        if not owner or lease_expires_at is None or lease_expires_at < now or is_abandoned(owner)
    }
    dispatch.enqueue(due)
    return len(due)


def prune() -> int:
    """Delete up to :data:`LIMIT` events older than ``CALLBACK_RETENTION``, and return how many.

    Their attempts are deleted as well, and it does not matter whether they were delivered.
    """
    before = first_uuid(clock.now() - timedelta(seconds=conf().CALLBACK_RETENTION))
    old = CallbackEvent.objects.filter(pk__lt=before).order_by("pk")
    ids = list(old.values_list("pk", flat=True)[:LIMIT])
    if ids:
        CallbackEvent.objects.filter(pk__in=ids).delete()
    return len(ids)
