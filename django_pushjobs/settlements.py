"""What an attempt adds up to, and how that is written: deliveries, journal and row at once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connections, transaction
from django.db.models import F
from django.utils import timezone

from . import breaker
from .changes import Change, record
from .devices import verdicts
from .models import Attempt, AttemptEnd, Delivery, PushRequest
from .states import DeliveryStatus, Status

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryResult:
    """What an attempt found out about one address."""

    delivery_id: UUID
    address: str
    status: DeliveryStatus
    provider_id: str = ""
    error_code: str = ""
    error: str = ""
    started_at: datetime
    finished_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How an attempt at a push request ended.

    :param root_id: the request as it was asked for, where this one is a part of it.
    :param owner: the token of the claim; a row that has another one by now is left alone.
    :param attempt: the number of the attempt, 1 or more.
    :param end: how the attempt ended; None where none was made, and so none is counted.
    :param status: a final state, or PENDING together with ``next_attempt_at``.
    :param counts: addresses by what is known of them: total, accepted, failed, dropped, unknown.
    :param codes: code of an outcome -> addresses that had it at this attempt.
    :param deliveries: the addresses this attempt dealt with.
    :param heard: the provider answered in a way that shows that our credentials are good.
    """

    request_id: UUID
    root_id: UUID
    client_id: int | None
    backend: str
    owner: str
    attempt: int
    end: AttemptEnd | None
    status: Status
    counts: Mapping[str, int]
    error_code: str = ""
    error: str = ""
    next_attempt_at: datetime | None = None
    codes: Mapping[str, int] = field(default_factory=dict)
    deliveries: Sequence[DeliveryResult] = ()
    started_at: datetime | None = None
    heard: bool = False

    @property
    def is_part(self) -> bool:
        return self.root_id != self.request_id

    @property
    def change(self) -> Change:
        return Change(
            request_id=self.request_id,
            client_id=self.client_id,
            backend=self.backend,
            status=self.status,
            counts=self.counts,
            error_code=self.error_code,
            at=timezone.now(),
        )

    def canceled(self) -> Settlement:
        """Return what becomes of it where no further attempt is wanted."""
        return replace(
            self,
            status=Status.PARTIAL if self.counts["accepted"] else Status.CANCELED,
            end=self.end and AttemptEnd.SETTLED,
            error_code="canceled",
            error="",
            next_attempt_at=None,
        )

    def columns(self) -> dict[str, Any]:
        """Return the columns of the row that it changes, besides the status."""
        columns: dict[str, Any] = {"next_attempt_at": self.next_attempt_at}
        if self.end is None:
            columns["attempts"] = F("attempts") - 1
        else:
            columns |= self.counts
            columns |= {
                "error_code": self.error_code[:64],
                "error": self.error,
                "result": {"codes": dict(self.codes)},
            }
        if self.end is AttemptEnd.PAUSED:
            columns["attempt_limit"] = F("attempt_limit") + 1
        return columns

    def likeness(self) -> tuple[object, ...]:
        """Return what settlements have in common that change their rows in the same way."""
        return (
            *(self.status, self.end, self.error_code, self.error, self.next_attempt_at),
            *self.counts.values(),
            *self.codes.items(),
        )


class ClaimsLost(Exception):
    """Some of the claims are not what they were; which, a slower look will tell."""


def write(settlements: Sequence[Settlement], *, using: str) -> list[Settlement | None]:
    """Write results, each under the claim it was made with, in one transaction.

    As a rule all claims still hold and nobody has asked for a cancel, so the rows are moved
    without a look at them. Where fewer move than should, that is undone, and they are looked at.

    :returns: each settlement as it stands now, or None where its claim was lost: of that nothing
        was written.
    """
    try:
        with transaction.atomic(using=using):
            _write(settlements, using)
        return list(settlements)
    except ClaimsLost:
        with transaction.atomic(using=using):
            claims = _lock(settlements, using)
            answers = [_fenced(s, *claims.get(s.request_id, ("", 0, None))) for s in settlements]
            _write([s for s in answers if s is not None], using)
        return answers


def _write(settlements: Sequence[Settlement], using: str) -> None:
    requests = PushRequest.objects.using(using)
    for group in _alike(settlements):
        claimed = requests.filter(
            pk__in=[s.request_id for s in group], owner__in={s.owner for s in group}
        )
        if group[0].status is Status.PENDING:
            # One that is to be canceled must not wait for another attempt.
            claimed = claimed.filter(cancel_requested_at=None)
        if claimed.transition(group[0].status, **group[0].columns()) < len(group):
            raise ClaimsLost
    _write_deliveries(settlements, using)
    _write_journal(settlements, using)
    breaker.note(settlements, using=using)
    verdicts.note_outcomes(settlements, using=using)
    record([s.change for s in settlements if not s.is_part], using=using)


def _lock(
    settlements: Sequence[Settlement], using: str
) -> dict[UUID, tuple[str, int, datetime | None]]:
    """Lock the rows under one of the claims; return owner, attempt, and the wish to cancel."""
    rows = PushRequest.objects.using(using).filter(
        pk__in=[s.request_id for s in settlements],
        owner__in={s.owner for s in settlements},
        status=Status.RUNNING,
    )
    columns = rows.select_for_update().values_list("pk", "owner", "attempts", "cancel_requested_at")
    return {pk: (owner, attempts, at) for pk, owner, attempts, at in columns}


def _fenced(
    settlement: Settlement, owner: str, attempt: int, cancel_requested_at: datetime | None
) -> Settlement | None:
    if (owner, attempt) != (settlement.owner, settlement.attempt):
        logger.warning(
            "Push request %s: the claim of attempt %d was lost, its result is not written",
            settlement.request_id,
            settlement.attempt,
        )
        return None
    if settlement.status is Status.PENDING and cancel_requested_at is not None:
        return settlement.canceled()
    return settlement


def _write_deliveries(settlements: Sequence[Settlement], using: str) -> None:
    first: list[Delivery] = []
    later: list[Delivery] = []
    for settlement in settlements:
        # A part may have been cut twice, with one address in both of the pieces.
        rows = first if settlement.attempt == 1 and not settlement.is_part else later
        rows += [_delivery(settlement, result) for result in settlement.deliveries]
    deliveries = Delivery.objects.using(using)
    if first:
        deliveries.bulk_create(first)
    if later:
        # An earlier attempt may have written the same address.
        targeted = connections[using].features.supports_update_conflicts_with_target
        deliveries.bulk_create(
            later,
            update_conflicts=True,
            unique_fields=["id"] if targeted else None,
            update_fields=[
                "status", "provider_id", "error_code", "error", "attempts",
                "started_at", "finished_at",
            ],
        )  # fmt: skip


def _delivery(settlement: Settlement, result: DeliveryResult) -> Delivery:
    return Delivery(
        id=result.delivery_id,
        request_id=settlement.root_id,
        address=result.address,
        status=result.status,
        provider_id=result.provider_id[:255],
        error_code=result.error_code[:64],
        error=result.error,
        attempts=settlement.attempt,
        started_at=result.started_at,
        finished_at=result.finished_at,
    )


def _write_journal(settlements: Sequence[Settlement], using: str) -> None:
    now = timezone.now()
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
        # A first attempt that ended its request is told by the row itself.
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
