"""Taking push requests: RUNNING under the token of this process and a lease that it renews."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from . import breaker, concurrency
from .conf import conf
from .identifiers import delivery_id
from .models import Delivery, PushRequest
from .states import SETTLED, Status

#: Error code of a request whose last attempt was lost together with its worker.
WORKER_LOST = "worker_lost"

#: What an attempt needs to know of a request.
NEEDED = (
    *("client", "parent", "recipients", "title", "body", "data", "options", "backend"),
    *("priority", "collapse_key", "expires_at", "on_unknown", "request_id", "traceparent"),
    *("status", "error_code", "attempts", "attempt_limit", "owner", "updated_at"),
    *("total", "accepted", "failed", "dropped", "unknown"),
)

#: Seconds after which a request is tried again for which there was no room.
NO_ROOM = (0.5, 2.0)


@dataclass(frozen=True, slots=True)
class Claim:
    """A push request that this process may push.

    :param settled: addresses that need no further push: id of the delivery -> its status.
    """

    request: PushRequest
    settled: Mapping[UUID, str]

    @property
    def follows_loss(self) -> bool:
        """Whether nobody knows what the attempt before this one has sent."""
        return self.request.error_code == WORKER_LOST


class Bulkhead:
    """How many requests of one backend a process takes while other backends need its slots.

    A gateway that is slow would otherwise fill them all. One backend on its own may have them.
    """

    #: Seconds for which a backend counts as being in use.
    MEMORY = 60.0

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}

    def excess(self, rows: Iterable[PushRequest], held: Counter[str]) -> list[PushRequest]:
        """Return those of ``rows`` for which there is no room.

        :param held: requests of each backend that are being pushed; those admitted are added.
        """
        now = time.monotonic()
        rows = list(rows)
        self._seen |= dict.fromkeys((row.backend for row in rows), now)
        slots = concurrency.slots()
        in_use = sum(now - seen < self.MEMORY for seen in self._seen.values())
        if slots is None or in_use < 2:
            return []
        room = max(1, int(slots * conf().BULKHEAD))
        left = []
        for row in rows:
            if held[row.backend] >= room:
                left.append(row)
            else:
                held[row.backend] += 1
        return left


def lease() -> datetime:
    """Return until when a claim of now is believed."""
    return timezone.now() + timedelta(seconds=conf().LEASE)


def soon() -> datetime:
    """Return when to come again where there was no room; not all at once."""
    return timezone.now() + timedelta(seconds=random.uniform(*NO_ROOM))  # noqa: S311


def take(
    ids: Sequence[UUID], *, owner: str, bulkhead: Bulkhead, held: Counter[str], using: str
) -> list[Claim | None]:
    """Claim push requests, in one transaction.

    :param owner: a token that no other claim has: a row that has it was claimed here and now.
    :param held: requests of each backend that this process is pushing.
    :returns: a claim for each of ``ids``, or None where there was nothing to claim.
    """
    now = timezone.now()
    requests = PushRequest.objects.using(using)
    asked = requests.filter(pk__in=ids)
    with transaction.atomic(using=using):
        claimable = asked.unexpired(now)
        if pauses := breaker.pauses(using=using):
            shut_out = breaker.shut_out(pauses)
            asked.filter(shut_out, status=Status.QUEUED).transition(
                Status.PENDING, next_attempt_at=now
            )
            claimable = claimable.exclude(shut_out)
        moved = claimable.transition(
            Status.RUNNING,
            owner=owner,
            lease_expires_at=lease(),
            attempts=F("attempts") + 1,
            started_at=Coalesce(F("started_at"), now),
        )
        rows = {row.pk: row for row in asked.filter(owner=owner).only(*NEEDED)} if moved else {}
        if excess := bulkhead.excess(rows.values(), held):
            asked.filter(pk__in=[row.pk for row in excess], owner=owner).transition(
                Status.PENDING, next_attempt_at=soon(), attempts=F("attempts") - 1
            )
            for row in excess:
                del rows[row.pk]
        settled = _settled(rows.values(), using)
    claims = {pk: Claim(row, settled.get(row.pk, {})) for pk, row in rows.items()}
    # pop(): of two jobs for one request in the same group, one gets it.
    return [claims.pop(pk, None) for pk in ids]


def _settled(rows: Iterable[PushRequest], using: str) -> dict[UUID, dict[UUID, str]]:
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
        .filter(pk__in=held, status=Status.RUNNING, owner__startswith=f"{name}:")
        .update(lease_expires_at=lease())
    )
