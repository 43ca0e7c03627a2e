"""The claim on an endpoint: one job at a time calls it.

So an endpoint that is slow costs one job and a few connections, however many events wait for it,
and the events of one push request cannot overtake each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import router

from ..db import clock
from ..models import CallbackEndpoint, CallbackEvent
from ..runtime.processes import is_abandoned, new_token
from . import dispatch

#: Seconds that a claim holds: much longer than a job's time slice and one attempt.
LEASE: Final = 90.0


def database() -> str:
    """Return the alias of the database in which endpoints and events are written."""
    return router.db_for_write(CallbackEvent)


@dataclass(slots=True)
class EndpointClaim:
    """A claim on an endpoint; it holds as long as the endpoint's row names its owner.

    :ivar endpoint: as it was read last.
    :ivar owner: a token of this process.
    """

    endpoint: CallbackEndpoint
    owner: str

    @classmethod
    def take(cls, endpoint_id: UUID) -> EndpointClaim | None:
        """Claim an endpoint. None: another job has it, or it is paused, disabled or resting."""
        clock.look(database())
        now = clock.now()
        endpoints = CallbackEndpoint.objects.using(database()).filter(pk=endpoint_id)
        endpoint = endpoints.callable(now).first()
        if endpoint is None:
            return None
        if endpoint.owner and not _has_lapsed(endpoint, now):
            return None
        owner = new_token()
        expires_at = now + timedelta(seconds=LEASE)
        unchanged = endpoints.filter(owner=endpoint.owner)
        if not unchanged.update(owner=owner, lease_expires_at=expires_at):
            return None
        return cls(endpoint, owner)

    def rows(self) -> Any:
        """The endpoint's row, as long as the claim holds."""
        return CallbackEndpoint.objects.using(database()).filter(
            pk=self.endpoint.pk, owner=self.owner
        )

    def renew(self, now: datetime) -> bool:
        """Extend the lease and read the endpoint again, if it may still be called."""
        expires_at = now + timedelta(seconds=LEASE)
        if not self.rows().callable(now).update(lease_expires_at=expires_at):
            return False
        endpoint = self.rows().first()
        if endpoint is None:  # deleted a moment ago
            return False
        self.endpoint = endpoint
        return True

    def release(self) -> None:
        """Give up the claim, and enqueue the endpoint again if events are due."""
        if not self.rows().update(owner="", lease_expires_at=None):
            return
        now = clock.now()
        due = CallbackEndpoint.objects.using(database()).callable(now).with_due_events(now)
        if due.filter(pk=self.endpoint.pk).exists():
            dispatch.enqueue([self.endpoint.pk])


def release_all(tokens: str) -> list[UUID]:
    """Give up the claims of a process that died; return the endpoints that it was calling.

    :param tokens: how its tokens begin.
    """
    held = CallbackEndpoint.objects.using(database()).filter(owner__startswith=tokens)
    ids = list(held.values_list("pk", flat=True))
    held.filter(pk__in=ids).update(owner="", lease_expires_at=None)
    return ids


def _has_lapsed(endpoint: CallbackEndpoint, now: datetime) -> bool:
    """Whether the claim on ``endpoint`` no longer holds."""
    expired = endpoint.lease_expires_at is not None and endpoint.lease_expires_at < now
    return expired or is_abandoned(endpoint.owner)
