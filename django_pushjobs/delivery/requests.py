"""What a claim gives to an attempt: the request as it stood, and what is settled already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from ..events.change import Change
from ..states import COUNTS, SETTLED, Status
from .backoff import retry_until

#: Error code of a request whose last attempt was lost together with its worker.
WORKER_LOST = "worker_lost"
#: Error code of a request whose attempt blocked its process until that was killed.
POISONOUS = "poisonous"


class ClaimedRequest(NamedTuple):
    """What an attempt needs to know of its request: columns of its row, as the claim left them.

    Not the model: instantiating one would be a twentieth of all that a push costs.
    """

    pk: UUID
    client_id: int | None
    parent_id: UUID | None
    recipients: list[Any]
    title: str
    body: str
    data: dict[str, Any]
    options: dict[str, Any]
    backend: str
    priority: str
    collapse_key: str
    expires_at: datetime | None
    on_unknown: str
    request_id: str
    traceparent: str
    error_code: str
    attempts: int
    uncounted_attempts: int
    attempt_limit: int | None
    started_at: datetime
    owner: str
    total: int
    accepted: int
    failed: int
    dropped: int
    unknown: int

    @property
    def is_part(self) -> bool:
        """It stands for some addresses of a larger request."""
        return self.parent_id is not None

    @property
    def root_id(self) -> UUID:
        """The key of the request as it was submitted."""
        return self.parent_id or self.pk

    @property
    def counted_attempts(self) -> int:
        """Attempts that count towards the limit, with the one that was begun."""
        return self.attempts - self.uncounted_attempts

    def may_go_on(self, now: datetime) -> bool:
        """Return whether there may be an attempt after the one that was begun."""
        limit = self.attempt_limit
        return now < retry_until(self.started_at) and (
            limit is None or self.counted_attempts < limit
        )

    @property
    def counts(self) -> dict[str, int]:
        """Addresses by what is known about them."""
        return {name: getattr(self, name) for name in COUNTS}


class Earlier(NamedTuple):
    """What earlier attempts have found out about one address.

    :param attempts: those that were made at it.
    :param next_attempt_at: when it may be pushed to again; None if it needs no further push, or may
        be pushed to at any time.
    """

    status: str
    attempts: int
    next_attempt_at: datetime | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A push request that this process may push.

    :param earlier: id of a delivery -> what earlier attempts have found out about it.
    :param at: aware; when it was claimed.
    """

    request: ClaimedRequest
    earlier: Mapping[UUID, Earlier]
    at: datetime

    @property
    def settled(self) -> dict[UUID, str]:
        """Addresses that need no further push: id of the delivery -> its status."""
        return {key: e.status for key, e in self.earlier.items() if e.status in SETTLED}

    @property
    def waiting(self) -> dict[UUID, datetime]:
        """Addresses whose time has not come: id of the delivery -> its time."""
        return {
            key: due
            for key, (status, _, due) in self.earlier.items()
            if due is not None and due > self.at and status not in SETTLED
        }

    @property
    def change(self) -> Change:
        """What the claim has changed about the request."""
        row = self.request
        return Change(
            request_id=row.pk,
            client_id=row.client_id,
            backend=row.backend,
            status=Status.RUNNING,
            counts=row.counts,
            error_code=row.error_code,
            at=self.at,
        )

    @property
    def follows_loss(self) -> bool:
        """Whether it is unknown what the previous attempt has sent."""
        return self.request.error_code in (WORKER_LOST, POISONOUS)
