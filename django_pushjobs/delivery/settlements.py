"""Writing what attempts add up to: rows, deliveries and journal at once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.models import F

from ..db import clock
from ..db.arrays import AnyOf
from ..db.inserts import insert
from ..db.statements import Place, Statement
from ..lifecycle.announcements import record
from ..models import Attempt, AttemptEnd, Delivery, PushRequest
from ..states import COUNTS, Status
from . import dead_addresses, refusals
from .results import DeliveryResult, Settlement

logger = logging.getLogger(__name__)


class ClaimsLost(Exception):
    """Some claims no longer hold; locking and reading the rows will tell which."""


def write(settlements: Sequence[Settlement], *, look: bool, using: str) -> list[Settlement | None]:
    """Write results, each under the claim it was made with, in the transaction that runs.

    :param look: lock and read the rows first: which claims still hold, and what is to be canceled.
    :returns: each settlement as it stands now, or None if its claim was lost and nothing was
        written.
    :raises ClaimsLost: without ``look``, fewer rows moved than should have: undo all of it.
    """
    answers: list[Settlement | None] = list(settlements)
    if look:
        claims = _lock(settlements, using)
        answers = [_fenced(s, *claims.get(s.request_id, ("", 0, None))) for s in settlements]
    _write([s for s in answers if s is not None], using)
    return answers


def _write(settlements: Sequence[Settlement], using: str) -> None:
    now = clock.now()
    for group in _alike(settlements):
        first = group[0]
        moved = _statement(using, first.status, first.end, first.is_counted).run(
            using=using,
            now=now,
            ids=[s.request_id for s in group],
            owners={s.owner for s in group},
            **first.columns(),
        )
        if moved < len(group):
            raise ClaimsLost
    _write_deliveries(settlements, using)
    _write_journal(settlements, using)
    refusals.note(settlements, using=using)
    dead_addresses.note(settlements, using=using)
    record([s for s in settlements if not s.is_part], using=using)


@cache
def _statement(using: str, status: Status, end: AttemptEnd | None, is_counted: bool) -> Statement:
    """Return the UPDATE of the rows of settlements that have these values."""
    written = ["next_attempt_at"]
    columns: dict[str, Any] = {}
    if end is None:
        # There was no attempt.
        columns["attempts"] = F("attempts") - 1
    else:
        written += [*COUNTS, "error_code", "error", "result"]
        if not is_counted:
            columns["uncounted_attempts"] = F("uncounted_attempts") + 1
    claimed = PushRequest.objects.using(using).among(Place(PushRequest, "id", "ids", many=True))
    claimed = claimed.filter(AnyOf(F("owner"), Place(PushRequest, "owner", "owners", many=True)))
    if status is Status.PENDING:
        # One that is to be canceled must not wait for another attempt.
        claimed = claimed.filter(cancel_requested_at=None)
    columns |= {name: Place(PushRequest, name) for name in written}
    return claimed.transition_statement(status, **columns)


def _lock(
    settlements: Sequence[Settlement], using: str
) -> dict[UUID, tuple[str, int, datetime | None]]:
    """Lock the rows under one of the claims; return owner, attempt, and the wish to cancel."""
    rows = PushRequest.objects.using(using).among(s.request_id for s in settlements)
    rows = rows.filter(owner__in={s.owner for s in settlements}, status=Status.RUNNING)
    columns = rows.select_for_update().values_list("pk", "owner", "attempts", "cancel_requested_at")
    return {pk: (owner, attempts, at) for pk, owner, attempts, at in columns}


def _fenced(
    settlement: Settlement, owner: str, attempt: int, cancel_requested_at: datetime | None
) -> Settlement | None:
    if (owner, attempt) != (settlement.owner, settlement.attempt):
        logger.warning(
            "Push request %s: the claim of attempt %d was lost; its result was discarded",
            settlement.request_id,
            settlement.attempt,
        )
        return None
    if settlement.status is Status.PENDING and cancel_requested_at is not None:
        return settlement.canceled()
    return settlement


def _write_deliveries(settlements: Sequence[Settlement], using: str) -> None:
    first: list[tuple[Settlement, DeliveryResult]] = []
    later: list[tuple[Settlement, DeliveryResult]] = []
    for settlement in settlements:
        # A part may have been cut twice, with one address in both of the pieces.
        rows = first if settlement.attempt == 1 and not settlement.is_part else later
        rows += [(settlement, result) for result in settlement.deliveries]
    if first:
        insert(Delivery, _columns(first), using=using)
    if later:
        columns = _columns(later)
        # An earlier attempt may have written the same address.
        targeted = connections[using].features.supports_update_conflicts_with_target
        Delivery.objects.using(using).bulk_create(
            [
                Delivery(**dict(zip(columns, row, strict=True)))
                for row in zip(*columns.values(), strict=True)
            ],
            update_conflicts=True,
            unique_fields=["id"] if targeted else None,
            update_fields=[
                "status", "provider_id", "error_code", "error", "attempts", "next_attempt_at",
                "started_at", "finished_at",
            ],
        )  # fmt: skip


def _columns(results: Sequence[tuple[Settlement, DeliveryResult]]) -> dict[str, list[Any]]:
    """Return attribute of a delivery -> its value for each of ``results``."""
    return {
        "id": [r.delivery_id for _, r in results],
        "request_id": [s.root_id for s, _ in results],
        "address": [r.address for _, r in results],
        "status": [r.status for _, r in results],
        "provider_id": [r.provider_id[:255] for _, r in results],
        "error_code": [r.error_code[:64] for _, r in results],
        "error": [r.error for _, r in results],
        "attempts": [r.attempts for _, r in results],
        "next_attempt_at": [r.next_attempt_at for _, r in results],
        "started_at": [r.started_at for _, r in results],
        "finished_at": [r.finished_at for _, r in results],
    }


def _write_journal(settlements: Sequence[Settlement], using: str) -> None:
    now = clock.now()
    entries = [
        Attempt(
            request_id=s.request_id,
            number=s.attempt,
            owner=s.owner,
            end=s.end,
            error_code=s.error_code[:64],
            error=s.error,
            codes=dict(s.codes),
            started_at=s.started_at,
            finished_at=now,
            next_attempt_at=s.next_attempt_at,
        )
        for s in settlements
        # If the first attempt ended the request, the row itself says so.
        if s.end is not None and (s.attempt > 1 or s.end is not AttemptEnd.SETTLED)
    ]
    if entries:
        Attempt.objects.using(using).bulk_create(entries)


def _alike(settlements: Iterable[Settlement]) -> list[list[Settlement]]:
    """Group settlements that change their rows in the same way: one UPDATE for each group."""
    groups: dict[tuple[object, ...], list[Settlement]] = {}
    for settlement in settlements:
        groups.setdefault(settlement.likeness(), []).append(settlement)
    return list(groups.values())
