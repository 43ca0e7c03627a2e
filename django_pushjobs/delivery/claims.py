"""Taking push requests: RUNNING under the token of this process and a lease that it renews."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from django.db.models import F, Q
from django.db.models.functions import Coalesce

from ..conf import conf
from ..db import clock
from ..db.statements import Place, Statement, can_return
from ..limits import breaker
from ..models import Delivery, PushRequest
from ..states import Status
from .backoff import soon
from .bulkhead import Bulkhead
from .requests import Claim, ClaimedRequest, Earlier
from .spellings import delivery_ids


def lease() -> datetime:
    """Return when a claim made now expires unless it is renewed."""
    return clock.now() + timedelta(seconds=conf().LEASE)


def take(
    ids: Sequence[UUID],
    *,
    owner: str,
    bulkhead: Bulkhead,
    held: Iterable[ClaimedRequest],
    using: str,
) -> list[Claim | None]:
    """Claim push requests, in the transaction that runs.

    :param owner: a token that no other claim has: a row that has it was claimed here and now.
    :param held: the requests that this process is pushing.
    :returns: a claim for each of ``ids``, or None if there was nothing to claim.
    """
    clock.look(using)
    now = clock.now()
    requests = PushRequest.objects.using(using)
    admitted = ids
    if breaker.paused_backends(using=using):
        # Another process may have chosen one of them as the probe a moment ago.
        breaker.forget()
    if paused := breaker.paused_backends(using=using):
        asked, shut_out = requests.among(ids), breaker.shut_out(paused)
        asked.filter(shut_out, status=Status.QUEUED).transition(Status.PENDING, next_attempt_at=now)
        admitted = list(asked.exclude(shut_out).values_list("pk", flat=True))
    claimed = _claim(admitted, now, owner, using) if admitted else ()
    rows = {row.pk: row for row in map(ClaimedRequest._make, claimed)}
    if excess := bulkhead.excess(rows.values(), held):
        requests.among(row.pk for row in excess).filter(owner=owner).transition(
            Status.PENDING, next_attempt_at=soon(now), attempts=F("attempts") - 1
        )
        for row in excess:
            del rows[row.pk]
    earlier = _earlier(rows.values(), using)
    claims = {pk: Claim(row, earlier.get(row.pk, {}), now) for pk, row in rows.items()}
    # pop(): of two jobs for one request in the same group, one gets it.
    return [claims.pop(pk, None) for pk in ids]


def _claim(ids: Sequence[UUID], now: datetime, owner: str, using: str) -> Iterable[list[Any]]:
    """Return the columns of those of ``ids`` that could be claimed."""
    claim, claimed = _statements(using)
    values: dict[str, Any] = {"now": now, "ids": ids, "owner": owner, "lease": lease()}
    if claimed is None:
        return claim.fetch(using=using, **values)
    return claimed.fetch(using=using, **values) if claim.run(using=using, **values) else ()


@cache
def _statements(using: str) -> tuple[Statement, Statement | None]:
    """Return the UPDATE that claims requests, and the SELECT that reads those it has claimed,
    if the UPDATE cannot do that."""
    now, owner = Place(PushRequest, "updated_at", "now"), Place(PushRequest, "owner")
    asked = PushRequest.objects.using(using).among(Place(PushRequest, "id", "ids", many=True))
    columns, returns = ClaimedRequest._fields, can_return(using)
    claim = asked.unexpired(now).transition_statement(
        Status.RUNNING,
        returning=columns if returns else (),
        owner=owner,
        lease_expires_at=Place(PushRequest, "lease_expires_at", "lease"),
        attempts=F("attempts") + 1,
        started_at=Coalesce(F("started_at"), now),
    )
    if returns:
        return claim, None
    return claim, Statement.of_select(asked.filter(owner=owner).order_by().values_list(*columns))


def _earlier(rows: Iterable[ClaimedRequest], using: str) -> dict[UUID, dict[UUID, Earlier]]:
    """Return what earlier attempts have found out, by request."""
    again = [row for row in rows if row.attempts > 1]
    if not again:
        return {}
    whole = [row.pk for row in again if not row.is_part]
    # Deliveries belong to the request as it was asked for, so those of a part go by their ids.
    of_part = {
        key: row.pk
        for row in again
        if row.is_part
        for key in map(delivery_ids(row.root_id, row.backend), row.recipients)
    }
    found = (
        Delivery.objects.using(using)
        .filter(Q(request__in=whole) | Q(pk__in=list(of_part)))
        .values_list("request_id", "pk", "status", "attempts", "next_attempt_at")
    )
    earlier: dict[UUID, dict[UUID, Earlier]] = {}
    for request_id, pk, *known in found:
        earlier.setdefault(of_part.get(pk, request_id), {})[pk] = Earlier._make(known)
    return earlier


def renew(held: Sequence[UUID], *, name: str, using: str) -> int:
    """Renew the leases of claims that the process ``name`` made, in one statement.

    :returns: how many there still are.
    """
    return (
        PushRequest.objects.using(using)
        .among(held)
        .filter(status=Status.RUNNING, owner__startswith=f"{name}:")
        .update(lease_expires_at=lease())
    )
