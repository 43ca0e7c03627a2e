"""A move of a push request, as the value that is recorded, published and signalled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ..models import PushRequest
from ..states import FINAL, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One push request has moved.

    :param client_id: key of the client that submitted it, or None if our own code did.
    :param status: the state it is in now.
    :param counts: addresses: total, accepted, failed, dropped, unknown.
    :param at: aware; when it moved.
    """

    request_id: UUID
    client_id: int | None
    backend: str
    status: Status
    counts: Mapping[str, int]
    error_code: str = ""
    at: datetime

    @classmethod
    def of(cls, row: PushRequest) -> Change:
        """Return the last change of ``row``, as the database has it."""
        return cls(
            request_id=row.pk,
            client_id=row.client_id,
            backend=row.backend,
            status=Status(row.status),
            counts=row.counts,
            error_code=row.error_code,
            at=row.updated_at,
        )

    @property
    def is_final(self) -> bool:
        return self.status in FINAL
