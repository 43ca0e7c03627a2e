"""What the relay does for callbacks: enqueue endpoints whose job was lost, and prune."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..conf import conf
from ..db import clock
from ..models import CallbackEndpoint, CallbackEvent
from ..models.callbacks import CallbackEventQuerySet
from ..models.identifiers import first_uuid
from ..runtime.processes import is_abandoned
from . import dispatch

#: Rows that are handled in one go.
LIMIT = 1_000


def sweep() -> int:
    """Enqueue the endpoints for which events are due, and return how many there are.

    One query for each :data:`LIMIT` of them, which probes the index of the events once per
    endpoint. Endpoints whose claim is held by a live job are left alone; the claims of jobs that
    are gone are taken over.
    """
    now = clock.now()
    endpoints = CallbackEndpoint.objects.callable(now).with_due_events(now).order_by("pk")
    columns = endpoints.values_list("pk", "owner", "lease_expires_at")
    rows = list(columns[:LIMIT])
    count = 0
    while rows:
        due = {
            pk
            for pk, owner, expires_at in rows
            if not owner or expires_at is None or expires_at < now or is_abandoned(owner)
        }
        dispatch.enqueue(due)
        count += len(due)
        # They stay due until their jobs have run, so the next ones are asked for by their keys.
        rows = list(columns.filter(pk__gt=rows[-1][0])[:LIMIT]) if len(rows) == LIMIT else []
    return count


def old(now: datetime) -> CallbackEventQuerySet:
    """Return the events older than ``CALLBACK_RETENTION``, the oldest first.

    It does not matter whether they were delivered.
    """
    before = first_uuid(now - timedelta(seconds=conf().CALLBACK_RETENTION))
    return CallbackEvent.objects.filter(pk__lt=before).order_by("pk")
