"""Taking push requests: RUNNING under the token of this process and a lease that it renews."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from ..conf import conf
from ..db.statements import Place, Statement, can_return
from ..lifecycle.announcements import Change
from ..limits import breaker
from ..models import Delivery, PushRequest
from ..models.identifiers import delivery_id
from ..runtime import greenlets
from ..states import COUNTS, SETTLED, Status

#: Error code of a request whose last attempt was lost together with its worker.
WORKER_LOST = "worker_lost"

#: Addresses of parts that a process takes at the same time, at least one part: it holds what
#: becomes of each of them in memory until all of the part are pushed.
PARTS_HELD = 20_000

#: Seconds after which a request is tried again for which there was no room.
NO_ROOM = (0.5, 2.0)


class ClaimedRequest(NamedTuple):
    """What an attempt needs to know of its request: the columns of its row, as the claim left it.

    Not the model: of all that a push costs, making one would be a twentieth.
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
        """The key of the request as it was asked for."""
        return self.parent_id or self.pk

    @property
    def counts(self) -> dict[str, int]:
        """Addresses by what is known of them."""
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
        """What the claim has made of the request."""
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
        """Whether nobody knows what the attempt before this one has sent."""
        return self.request.error_code == WORKER_LOST


class Bulkhead:
    """How many requests a process takes: of one backend while others need its slots, and of parts
    of large requests.

    A gateway that is slow would otherwise fill all slots; one backend on its own may have them.
    A large request would fill them too, and the memory.
    """

    #: Seconds for which a backend counts as being in use.
    MEMORY = 60.0

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}

    def excess(
        self, rows: Iterable[ClaimedRequest], held: Iterable[ClaimedRequest]
    ) -> list[ClaimedRequest]:
        """Return those of ``rows`` for which there is no room.

        :param held: the requests that are being pushed.
        """
        rows = list(rows)
        room = self._room(rows)
        if room is None and not any(row.is_part for row in rows):
            return []
        held = list(held)
        taken = Counter(row.backend for row in held)
        addresses = sum(row.total for row in held if row.is_part)
        left = []
        for row in rows:
            if (room is not None and taken[row.backend] >= room) or (
                row.is_part and addresses >= PARTS_HELD
            ):
                left.append(row)
            else:
                taken[row.backend] += 1
                addresses += row.total if row.is_part else 0
        return left

    def _room(self, rows: Iterable[ClaimedRequest]) -> int | None:
        """Return how many requests of one backend there may be, or None for any number."""
        now = time.monotonic()
        self._seen |= dict.fromkeys((row.backend for row in rows), now)
        slots = greenlets.slots()
        in_use = sum(now - seen < self.MEMORY for seen in self._seen.values())
        return None if slots is None or in_use < 2 else max(1, int(slots * conf().BULKHEAD))


def lease() -> datetime:
    """Return until when a claim of now is believed."""
    return timezone.now() + timedelta(seconds=conf().LEASE)


def soon() -> datetime:
    """Return when to come again where there was no room; not all at once."""
    return timezone.now() + timedelta(seconds=random.uniform(*NO_ROOM))  # noqa: S311


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
    :returns: a claim for each of ``ids``, or None where there was nothing to claim.
    """
    now = timezone.now()
    requests = PushRequest.objects.using(using)
    admitted = ids
    if pauses := breaker.pauses(using=using):
        asked, shut_out = requests.among(ids), breaker.shut_out(pauses)
        asked.filter(shut_out, status=Status.QUEUED).transition(Status.PENDING, next_attempt_at=now)
        admitted = list(asked.exclude(shut_out).values_list("pk", flat=True))
    claimed = _claim(admitted, now, owner, using) if admitted else ()
    rows = {row.pk: row for row in map(ClaimedRequest._make, claimed)}
    if excess := bulkhead.excess(rows.values(), held):
        requests.among(row.pk for row in excess).filter(owner=owner).transition(
            Status.PENDING, next_attempt_at=soon(), attempts=F("attempts") - 1
        )
        for row in excess:
            del rows[row.pk]
    settled = _settled(rows.values(), using)
    claims = {pk: Claim(row, settled.get(row.pk, {}), now) for pk, row in rows.items()}
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
    where the UPDATE cannot do that."""
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


def _settled(rows: Iterable[ClaimedRequest], using: str) -> dict[UUID, dict[UUID, str]]:
    """Return what earlier attempts have settled, by request."""
    again = [row for row in rows if row.attempts > 1]
    if not again:
        return {}
    whole = [row.pk for row in again if not row.is_part]
    # Deliveries belong to the request as it was asked for, so those of a part go by their ids.
    of_part = {
        delivery_id(row.root_id, address): row.pk
        for row in again
        if row.is_part
        for address in row.recipients
    }
    found = (
        Delivery.objects.using(using)
        .filter(Q(request__in=whole) | Q(pk__in=list(of_part)), status__in=SETTLED)
        .values_list("request_id", "pk", "status")
    )
    settled: dict[UUID, dict[UUID, str]] = {}
    for request_id, pk, status in found:
        settled.setdefault(of_part.get(pk, request_id), {})[pk] = status
    return settled


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
