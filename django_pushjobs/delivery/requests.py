"""What a claim gives to an attempt: the request as it stood, and what is settled already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from ..events.change import Change
from ..states import COUNTS, Status

#: Error code of a request whose last attempt was lost together with its worker.
WORKER_LOST = "worker_lost"


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
    attempt_limit: int
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
    def counts(self) -> dict[str, int]:
        """Addresses by what is known about them."""
        return {name: getattr(self, name) for name in COUNTS}


@dataclass(frozen=True, slots=True)
class Claim:
    """A push request that this process may push.

    :param settled: addresses that need no further push: id of the delivery -> its status.
    :param at: aware; when it was claimed.
    """

    request: ClaimedRequest
    settled: Mapping[UUID, str]
    at: datetime

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
        return self.request.error_code == WORKER_LOST
