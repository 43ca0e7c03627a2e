"""Whether a process that comes back too late leaves everything as it is."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connections

from django_pushjobs.models import PushRequest
from django_pushjobs.states import FINAL

FIELDS = (
    *("pk", "status", "attempts", "accepted", "failed", "unknown", "error_code", "finished_at"),
    *("updated_at", "deliveries__status", "deliveries__attempts", "deliveries__finished_at"),
)


class Fence:
    """Remembers requests that other processes ended while their owner was stopped."""

    def __init__(self) -> None:
        self._ended: dict[UUID, tuple[Any, ...]] = {}

    def remember(self, claimed: Iterable[UUID]) -> None:
        """Note how those of them are that have ended."""
        with suppress(DatabaseError):
            self._ended |= _ended(claimed)
        connections.close_all()

    def broken(self) -> list[UUID]:
        """Return those that were changed after their end."""
        now = _ended(self._ended)
        return [pk for pk, was in self._ended.items() if now.get(pk) != was]


def _ended(ids: Iterable[UUID]) -> dict[UUID, tuple[Any, ...]]:
    rows = PushRequest.objects.filter(pk__in=list(ids), status__in=FINAL)
    return {row[0]: row for row in rows.values_list(*FIELDS)}
