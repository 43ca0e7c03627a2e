"""The outbox: events are written in the transaction that makes them true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from ..db import clock
from ..events.change import Change
from ..models import (
    CallbackEndpoint,
    CallbackEvent,
    CallbackStatus,
    EndpointState,
    EventType,
    PushRequest,
)
from ..states import Status
from . import dispatch
from .endpoint_cache import endpoint_cache

_TYPES: Final = {
    Status.SUCCEEDED: EventType.COMPLETED,
    Status.PARTIAL: EventType.COMPLETED,
    Status.FAILED: EventType.COMPLETED,
    Status.EXPIRED: EventType.EXPIRED,
    Status.CANCELED: EventType.CANCELED,
}


def record(changes: Sequence[Change], *, using: str) -> None:
    """Write the events for those of ``changes`` that ended a push request.

    Call it inside the transaction; the endpoints are enqueued after its commit. It costs one short
    query, and two more statements for all clients with endpoints together, however many changes
    there are.
    """
    ends = [c for c in changes if c.client_id is not None and c.status in _TYPES]
    if not ends:
        return
    endpoints = endpoint_cache.by_client(using)
    ends = [c for c in ends if c.client_id in endpoints]
    if not ends:
        return
    rows = PushRequest.objects.using(using).among(c.request_id for c in ends)
    details = {row.pk: row for row in rows.only("client_id", "reference", "callback_url")}
    store(
        [
            _event(change, endpoint, row)
            for change in ends
            if (row := details.get(change.request_id)) is not None
            for endpoint in endpoints[row.client_id or 0]
            if endpoint.wants(_TYPES[change.status]) and _is_addressed(endpoint, row.callback_url)
        ],
        using=using,
    )


def _is_addressed(endpoint: CallbackEndpoint, callback_url: str) -> bool:
    """Whether ``endpoint`` is called about a request that names ``callback_url``, if any."""
    return not callback_url or endpoint.has_origin_of(callback_url)


def store(events: Sequence[CallbackEvent], *, using: str) -> None:
    """Write ``events`` in the current transaction, and enqueue their endpoints after its commit."""
    if not events:
        return
    CallbackEvent.objects.using(using).bulk_create(events)
    ids = {e.endpoint_id for e in events if e.status == CallbackStatus.PENDING}
    transaction.on_commit(partial(dispatch.enqueue, ids), using=using, robust=True)


def new_event(
    endpoint: CallbackEndpoint,
    event_type: EventType,
    data: Mapping[str, Any],
    *,
    request_id: UUID | None = None,
    **fields: Any,
) -> CallbackEvent:
    """Return an event to :func:`store`: due now, or set aside if the endpoint is disabled."""
    now = clock.now()
    fields.setdefault("created_at", now)
    if endpoint.state == EndpointState.DISABLED:
        fields |= {"status": CallbackStatus.FAILED, "finished_at": now}
    else:
        fields["next_attempt_at"] = now
    return CallbackEvent(
        endpoint_id=endpoint.pk,
        request_id=request_id,
        type=event_type,
        data=dict(data),
        **fields,
    )


def _event(change: Change, endpoint: CallbackEndpoint, row: PushRequest) -> CallbackEvent:
    data = {
        "id": str(change.request_id),
        "reference": row.reference,
        "status": change.status.value,
        "backend": change.backend,
        "counts": dict(change.counts),
        "error_code": change.error_code or None,
    }
    return new_event(
        endpoint,
        _TYPES[change.status],
        data,
        request_id=change.request_id,
        url=row.callback_url,
        created_at=change.at,
    )
