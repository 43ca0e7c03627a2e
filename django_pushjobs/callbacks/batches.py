"""The events that a job takes on together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import takewhile
from typing import Final
from uuid import UUID

from ..db import clock
from ..models import CallbackEvent, EndpointState, EventType
from .claims import EndpointClaim, database

#: Events that are read, sent and written together.
SIZE: Final = 100


def next_batch(claim: EndpointClaim) -> list[list[CallbackEvent]]:
    """Return the events to send next: a group per push request, each in its order.

    Events of one request are sent one after the other, and groups side by side. Empty if nothing
    is due, the claim is lost, or the endpoint may not be called any more.
    """
    now = clock.now()
    if not claim.renew(now):
        return []
    events = CallbackEvent.objects.using(database()).filter(endpoint=claim.endpoint.pk)
    if claim.endpoint.state == EndpointState.UNVERIFIED:
        challenges = events.due(now).filter(type=EventType.ENDPOINT_VERIFICATION)
        return [[event] for event in challenges.order_by("-id")[:1]]
    due = list(events.due(now).order_by("next_attempt_at", "id")[:SIZE])
    requests = {event.request_id for event in due if event.request_id is not None}
    # An event waits as long as an earlier event of the same request waits for another attempt.
    pending = events.pending().filter(request__in=requests).order_by("created_at", "id")
    in_order: dict[UUID, list[tuple[UUID, datetime]]] = {}
    for pk, request_id, at in pending.values_list("pk", "request_id", "next_attempt_at"):
        if at is not None:  # as the table sees to
            in_order.setdefault(request_id, []).append((pk, at))
    ready = {event.pk: event for event in due}
    batch = [[event] for event in due if event.request_id is None]
    for line in in_order.values():
        group = list(takewhile(lambda pair: pair[0] in ready, line))
        if group:
            batch.append([ready[pk] for pk, _ in group])
        _postpone([pk for pk, _ in line[len(group) + 1 :]], line[len(group) :], now)
    return batch


def _postpone(behind: Sequence[UUID], line: Sequence[tuple[UUID, datetime]], now: datetime) -> None:
    """Let events wait for the first one in ``line``, which is in front of them.

    As long as they are due, there would always be something to do for the endpoint.
    """
    if behind and line[0][1] > now:
        events = CallbackEvent.objects.using(database()).filter(pk__in=behind)
        events.due(now).update(next_attempt_at=line[0][1])
