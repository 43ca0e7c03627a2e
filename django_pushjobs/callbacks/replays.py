"""Send events again that were delivered or have failed, with the same id and the same body."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ..db import clock
from ..models import CallbackEndpoint, CallbackEvent, CallbackStatus, EndpointState, EventType
from ..models.identifiers import first_uuid
from . import dispatch


def replay(event: CallbackEvent) -> bool:
    """Send one event again. False if an attempt is due anyway, or if its endpoint is disabled."""
    return bool(_replay([event.endpoint], since=None, pk=event.pk))


def replay_since(
    since: datetime, *, endpoints: Iterable[CallbackEndpoint], failed_only: bool = False
) -> int:
    """Send all events since ``since`` again, and return how many there are.

    :param since: aware.
    :param endpoints: disabled ones among them are skipped.
    :param failed_only: skip events that were delivered.
    """
    status = [CallbackStatus.FAILED] if failed_only else _ENDED
    return _replay(endpoints, since=since, status__in=status)


_ENDED = [CallbackStatus.FAILED, CallbackStatus.DELIVERED]


def _replay(
    endpoints: Iterable[CallbackEndpoint], since: datetime | None, **condition: object
) -> int:
    enabled = [e.pk for e in endpoints if e.state != EndpointState.DISABLED]
    ended = CallbackEvent.objects.filter(endpoint__in=enabled, status__in=_ENDED)
    # A challenge is not about anything that has happened.
    events = ended.exclude(type=EventType.ENDPOINT_VERIFICATION).filter(**condition)
    if since is not None:
        events = events.filter(pk__gte=first_uuid(since), created_at__gte=since)
    again = events.update(
        status=CallbackStatus.PENDING,
        attempts=0,
        next_attempt_at=clock.now(),
        finished_at=None,
    )
    if again:
        dispatch.enqueue(enabled)
    return again
