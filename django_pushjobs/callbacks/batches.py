"""The events that a job takes on together."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.utils import timezone

from ..models import CallbackEvent
from .claims import EndpointClaim, database

#: Events that are read, sent and written together.
SIZE: Final = 100


def next_batch(claim: EndpointClaim) -> list[list[CallbackEvent]]:
    """Return the events to send next: a group per push request, each in its order.

    Events of one request are sent one after the other, and groups side by side. Empty if nothing
    is due, the claim is lost, or the endpoint may not be called any more.
    """
    now = timezone.now()
    if not claim.renew(now):
        return []
    events = CallbackEvent.objects.using(database()).filter(endpoint=claim.endpoint.pk)
    due = list(events.due(now).order_by("next_attempt_at", "id")[:SIZE])
    requests = {event.request_id for event in due if event.request_id is not None}
    # An event waits as long as an earlier event of the same request waits for another attempt.
    pending = events.pending().filter(request__in=requests).order_by("created_at", "id")
    in_order: dict[UUID, list[UUID]] = {}
    for pk, request_id in pending.values_list("pk", "request_id"):
        in_order.setdefault(request_id, []).append(pk)
    ready = {event.pk: event for event in due}
    batch = [[event] for event in due if event.request_id is None]
    for ids in in_order.values():
        group = []
        for pk in ids:
            if pk not in ready:
                break
            group.append(ready[pk])
        if group:
            batch.append(group)
    return batch
