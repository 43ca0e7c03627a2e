"""Claims and results of one process, committed in groups.

Many greenlets claim push requests and hand back results at the same time. Each on its own would
need a database connection and a transaction of its own. So they hand them to one writer, which
commits all that came together in one short transaction over one connection, and answers each of
them after the commit. The busier the process, the larger the groups.

Where jobs run one at a time (RQ's own worker), the same code commits groups of one, on the
caller's own connection.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, connections, router, transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from . import sentry
from .changes import Change, publish, record
from .concurrency import cooperative
from .conf import conf
from .models import Delivery, PushRequest
from .processes import new_token
from .states import DeliveryStatus, Status

logger = logging.getLogger(__name__)

#: The database went away or was busy; the same statements are worth another try.
UNAVAILABLE = (OperationalError, InterfaceError)

#: Seconds without work after which the writer gives its connection back.
IDLE = 30.0


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

    :param owner: the token of the claim; a row that has another one by now is left alone.
    :param attempt: the number of the attempt, 1 or more.
    :param status: a final state, or PENDING together with ``next_attempt_at``.
    :param counts: addresses by what is known of them: total, accepted, failed, dropped, unknown.
    :param deliveries: the addresses this attempt dealt with.
    """

    request_id: UUID
    client_id: int | None
    backend: str
    owner: str
    attempt: int
    status: Status
    counts: dict[str, int]
    error_code: str = ""
    error: str = ""
    next_attempt_at: datetime | None = None
    result: dict[str, Any] = field(default_factory=dict)
    deliveries: Sequence[DeliveryResult] = ()

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
            error_code="canceled",
            error="",
            next_attempt_at=None,
        )

    def columns(self) -> dict[str, Any]:
        """Return the columns of the row that it changes, besides the status."""
        return {
            **self.counts,
            "error_code": self.error_code[:64],
            "error": self.error,
            "next_attempt_at": self.next_attempt_at,
            "result": self.result,
        }


class Ledger:
    """The claims and results of one process.

    One instance a process, made after the fork: :data:`ledger` takes care of that.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.name = new_token()
        self._numbers = itertools.count(1)
        self._held: set[UUID] = set()
        self._claims: deque[tuple[UUID, Future[PushRequest | None]]] = deque()
        self._settlements: deque[tuple[Settlement, Future[Settlement | None]]] = deque()
        self._wake = threading.Event()
        self._writer: threading.Thread | None = None

    # What the greenlets call.

    def claim(self, request_id: UUID) -> PushRequest | None:
        """Claim one push request and return it, RUNNING under a lease that is renewed.

        Returns None where there is nothing to claim: it is not QUEUED, or it has expired.
        """
        if request_id in self._held:
            return None
        request: PushRequest | None = self._hand_over(self._claims, request_id)
        if request is not None:
            # Held, and so renewed, only from here on: where the caller was interrupted while it
            # waited, nobody works on the row, and its lease shall run out.
            self._held.add(request_id)
        return request

    def settle(self, settlement: Settlement) -> Settlement | None:
        """Write the result of an attempt, and return it as it stands once it is committed.

        Returns None where the claim was lost in between: nothing was written.
        """
        try:
            settled: Settlement | None = self._hand_over(self._settlements, settlement)
        finally:
            self._held.discard(settlement.request_id)
        return settled

    def abandon(self, request_id: UUID) -> None:
        """Let the lease of a claim run out: nobody here works on it any more."""
        self._held.discard(request_id)

    def _hand_over(self, waiting: deque[tuple[Any, Future[Any]]], item: Any) -> Any:
        future: Future[Any] = Future()
        waiting.append((item, future))
        if cooperative():
            if self._writer is None:
                self._writer = threading.Thread(target=self._run, name="writeback", daemon=True)
                self._writer.start()
            self._wake.set()
        else:
            self._flush()
        return future.result()

    # What the writer does.

    def _run(self) -> None:
        with sentry.background("writeback"):
            self._write_forever()

    def _write_forever(self) -> None:
        renew_at = time.monotonic() + conf().LEASE / 3
        while True:
            if self._held:
                self._wake.wait(max(0.0, renew_at - time.monotonic()))
            elif not self._wake.wait(IDLE):
                connections.close_all()
                self._wake.wait()
            self._wake.clear()
            self._flush()
            if time.monotonic() >= renew_at:
                renew_at = time.monotonic() + conf().LEASE / 3
                self._patiently(self._renew, list(self._held))

    def _flush(self) -> None:
        while self._settlements or self._claims:
            # Results first: they free slots, claims fill them.
            for waiting, write in (
                (self._settlements, self._write_settlements),
                (self._claims, self._write_claims),
            ):
                batch = [waiting.popleft() for _ in range(min(len(waiting), conf().COMMIT_BATCH))]
                if batch:
                    self._commit(write, batch)

    def _commit(
        self, write: Callable[[list[Any]], list[Any]], batch: list[tuple[Any, Future[Any]]]
    ) -> None:
        """Write a batch and answer its futures. One bad item does not sink the others."""
        try:
            answers = self._patiently(write, [item for item, _ in batch])
        except Exception as error:
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            for entry in batch:
                self._commit(write, [entry])
        else:
            for (_, future), answer in zip(batch, answers, strict=True):
                future.set_result(answer)

    def _patiently(self, write: Callable[[list[Any]], Any], items: list[Any]) -> Any:
        """Call ``write(items)`` until the database is there.

        The pushes are made already: giving up would lose what is known of them. Meanwhile the
        jobs wait, their slots stay taken, and so no further ones are started.
        """
        if not items:
            return None
        delay = 0.1
        while True:
            try:
                return write(items)
            except UNAVAILABLE as error:
                if not cooperative():
                    raise
                logger.error("The database is not available, next try in %.1f s: %s", delay, error)
                connections[self._using].close()
                time.sleep(delay)
                delay = min(delay * 2, 5.0)

    @property
    def _using(self) -> str:
        return router.db_for_write(PushRequest)

    def _lease(self) -> datetime:
        return timezone.now() + timedelta(seconds=conf().LEASE)

    def _write_claims(self, ids: list[UUID]) -> list[PushRequest | None]:
        # A token for each group: a row that has it was claimed here and now.
        owner = f"{self.name}:{next(self._numbers)}"
        now = timezone.now()
        requests = PushRequest.objects.using(self._using)
        with transaction.atomic(using=self._using):
            moved = (
                requests.filter(pk__in=ids)
                .unexpired(now)
                .transition(
                    Status.RUNNING,
                    owner=owner,
                    lease_expires_at=self._lease(),
                    attempts=F("attempts") + 1,
                    started_at=Coalesce(F("started_at"), now),
                )
            )
            claimed = (
                {row.pk: row for row in requests.filter(owner=owner, pk__in=ids)} if moved else {}
            )
        publish([Change.of(row) for row in claimed.values()])
        # pop(): of two jobs for one request in the same group, one gets it.
        return [claimed.pop(pk, None) for pk in ids]

    def _write_settlements(self, settlements: list[Settlement]) -> list[Settlement | None]:
        requests = PushRequest.objects.using(self._using)
        with transaction.atomic(using=self._using):
            rows = requests.filter(
                pk__in=[s.request_id for s in settlements],
                owner__in={s.owner for s in settlements},
                status=Status.RUNNING,
            ).select_for_update()
            locked = {
                pk: row for pk, *row in rows.values_list("pk", "owner", "cancel_requested_at")
            }
            written = [self._fenced(s, *locked.get(s.request_id, ("", None))) for s in settlements]
            self._write_deliveries([s for s in written if s is not None])
            for group in _alike(s for s in written if s is not None):
                requests.filter(
                    pk__in=[s.request_id for s in group], owner__in={s.owner for s in group}
                ).transition(group[0].status, **group[0].columns())
            changes = [s.change for s in written if s is not None]
            record(changes, using=self._using)
        publish(changes)
        # Not held any more, and so not renewed, whether or not its greenlet has run since.
        self._held.difference_update(s.request_id for s in settlements)
        return written

    def _fenced(
        self, settlement: Settlement, owner: str, cancel_requested_at: datetime | None
    ) -> Settlement | None:
        if owner != settlement.owner:
            logger.warning(
                "Push request %s: the claim of attempt %d was lost, its result is not written",
                settlement.request_id,
                settlement.attempt,
            )
            return None
        if settlement.status is Status.PENDING and cancel_requested_at is not None:
            return settlement.canceled()
        return settlement

    def _write_deliveries(self, settlements: list[Settlement]) -> None:
        first: list[Delivery] = []
        later: list[Delivery] = []
        for settlement in settlements:
            rows = first if settlement.attempt == 1 else later
            rows += [_delivery(settlement, result) for result in settlement.deliveries]
        deliveries = Delivery.objects.using(self._using)
        if first:
            deliveries.bulk_create(first)
        if later:
            # An earlier attempt may have written the same address.
            targeted = connections[self._using].features.supports_update_conflicts_with_target
            deliveries.bulk_create(
                later,
                update_conflicts=True,
                unique_fields=["id"] if targeted else None,
                update_fields=[
                    "status", "provider_id", "error_code", "error", "attempts",
                    "started_at", "finished_at",
                ],
            )  # fmt: skip

    def _renew(self, held: list[UUID]) -> None:
        renewed = (
            PushRequest.objects.using(self._using)
            .filter(pk__in=held, status=Status.RUNNING, owner__startswith=f"{self.name}:")
            .update(lease_expires_at=self._lease())
        )
        if renewed < len(held):
            logger.warning("%d of %d claims were lost", len(held) - renewed, len(held))


def _delivery(settlement: Settlement, result: DeliveryResult) -> Delivery:
    return Delivery(
        id=result.delivery_id,
        request_id=settlement.request_id,
        address=result.address,
        status=result.status,
        provider_id=result.provider_id[:255],
        error_code=result.error_code[:64],
        error=result.error,
        attempts=settlement.attempt,
        started_at=result.started_at,
        finished_at=result.finished_at,
    )


def _alike(settlements: Any) -> list[list[Settlement]]:
    """Group settlements that change their rows in the same way: one UPDATE for each group."""
    groups: dict[str, list[Settlement]] = {}
    for settlement in settlements:
        key = json.dumps([settlement.status, settlement.columns()], default=str, sort_keys=True)
        groups.setdefault(key, []).append(settlement)
    return list(groups.values())


_ledger: Ledger | None = None


def ledger() -> Ledger:
    """Return the ledger of this process; a forked process gets its own."""
    global _ledger
    if _ledger is None or _ledger.pid != os.getpid():
        _ledger = Ledger()
    return _ledger
