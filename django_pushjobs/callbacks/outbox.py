"""Events, written in the transaction that makes them true."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone

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

#: Seconds for which a process believes that it knows the endpoints.
KNOWN_FOR: Final = 1.0

_TYPES: Final = {
    Status.SUCCEEDED: EventType.COMPLETED,
    Status.PARTIAL: EventType.COMPLETED,
    Status.FAILED: EventType.COMPLETED,
    Status.EXPIRED: EventType.EXPIRED,
    Status.CANCELED: EventType.CANCELED,
}


def record(changes: Sequence[Change], *, using: str) -> None:
    """Write the events of the ends among ``changes``, and ring once they are committed.

    Call it inside the transaction. For clients without endpoints it costs a look at a dict; for
    the others two statements, whatever the number of changes.
    """
    endpoints = directory.endpoints(using)
    ends = [c for c in changes if c.client_id in endpoints and c.status in _TYPES]
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
            if endpoint.wants(_TYPES[change.status]) and _is_meant(endpoint, row.callback_url)
        ],
        using=using,
    )


def _is_meant(endpoint: CallbackEndpoint, callback_url: str) -> bool:
    """Whether ``endpoint`` is called for a request: all are, unless the request names a URL."""
    return not callback_url or endpoint.has_origin_of(callback_url)


def store(events: Sequence[CallbackEvent], *, using: str) -> None:
    """Write ``events`` in the transaction that runs, and ring for them after its commit."""
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
    """Return an event to :func:`store`: due now, or set aside where the endpoint is disabled."""
    now = timezone.now()
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


class Directory:
    """The endpoints of all clients, as they were a moment ago."""

    def __init__(self) -> None:
        self._endpoints: Mapping[int, list[CallbackEndpoint]] = {}
        self._read_at = float("-inf")

    def endpoints(self, using: str) -> Mapping[int, Iterable[CallbackEndpoint]]:
        """Return the endpoints of each client that has some, by the key of the client."""
        if time.monotonic() - self._read_at > KNOWN_FOR:
            found = defaultdict(list)
            rows = CallbackEndpoint.objects.using(using).only(
                "client_id", "event_types", "state", "url"
            )
            for endpoint in rows.order_by():
                found[endpoint.client_id].append(endpoint)
            self._endpoints, self._read_at = dict(found), time.monotonic()
        return self._endpoints

    def forget(self) -> None:
        """Look again next time: this process has just changed one."""
        self._read_at = float("-inf")


directory = Directory()
