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
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, connections, router, transaction

from . import breaker, sentry
from .changes import publish
from .claims import Bulkhead, Claim, renew, take
from .concurrency import Promise, cooperative
from .conf import conf
from .models import PushRequest
from .processes import PerProcess, new_token
from .settlements import ClaimsLost, Settlement, write

logger = logging.getLogger(__name__)

#: The database went away or was busy; the same statements are worth another try.
UNAVAILABLE = (OperationalError, InterfaceError)

#: Seconds without work after which the writer gives its connection back.
IDLE = 30.0

#: Addresses whose results are committed in one transaction at most, beside the first settlement.
WEIGHT = 5_000


class Ledger:
    """The claims and results of one process: :data:`ledger` gives it its one instance."""

    def __init__(self) -> None:
        self.name = new_token()
        self._numbers = itertools.count(1)
        #: What we push, and with which backend.
        self._held: dict[UUID, str] = {}
        self._bulkhead = Bulkhead()
        self._waiting: deque[tuple[UUID | Settlement, Promise[Any]]] = deque()
        self._wake = threading.Event()
        self._writer: threading.Thread | None = None

    # What the greenlets call.

    def claim(self, request_id: UUID) -> Claim | None:
        """Claim one push request: it is RUNNING then, under a lease that is renewed.

        Returns None where there is nothing to claim: it is not QUEUED, it has expired, or its
        backend is paused or has no room.
        """
        if request_id in self._held:
            return None
        claim: Claim | None = self._hand_over(request_id)
        if claim is not None:
            # Held, and so renewed, only from here on: where the caller was interrupted while it
            # waited, nobody works on the row, and its lease shall run out.
            self._held[request_id] = claim.request.backend
        return claim

    def settle(self, settlement: Settlement) -> Settlement | None:
        """Write the result of an attempt, and return it as it stands once it is committed.

        Returns None where the claim was lost in between: nothing was written.
        """
        try:
            settled: Settlement | None = self._hand_over(settlement)
        finally:
            self._held.pop(settlement.request_id, None)
        return settled

    def abandon(self, request_id: UUID) -> None:
        """Let the lease of a claim run out: nobody here works on it any more."""
        self._held.pop(request_id, None)

    def _hand_over(self, item: UUID | Settlement) -> Any:
        promise: Promise[Any] = Promise()
        self._waiting.append((item, promise))
        if cooperative():
            if self._writer is None:
                self._writer = threading.Thread(target=self._run, name="writeback", daemon=True)
                self._writer.start()
            self._wake.set()
        else:
            self._flush()
        return promise.result()

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
        batch = self._next_batch()
        if self._waiting:
            self._wake.set()
        if batch:
            self._commit(batch)

    def _next_batch(self) -> list[tuple[UUID | Settlement, Promise[Any]]]:
        """Take what is committed together: many, but no more addresses than is good for one."""
        batch: list[tuple[UUID | Settlement, Promise[Any]]] = []
        weight = 0
        while self._waiting and len(batch) < conf().COMMIT_BATCH and weight < WEIGHT:
            batch.append(self._waiting.popleft())
            item = batch[-1][0]
            weight += len(item.deliveries) if isinstance(item, Settlement) else 0
        return batch

    def _commit(self, batch: list[tuple[UUID | Settlement, Promise[Any]]]) -> None:
        """Write a batch and keep its promises. One bad item does not sink the others."""
        try:
            answers = self._patiently(self._write, [item for item, _ in batch])
        except Exception as error:
            if len(batch) == 1:
                batch[0][1].fail(error)
                return
            for entry in batch:
                self._commit([entry])
        else:
            for (_, promise), answer in zip(batch, answers, strict=True):
                promise.keep(answer)

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

    def _write(self, items: list[UUID | Settlement]) -> list[Claim | Settlement | None]:
        """Write results and claims in one transaction; return what became of each of them.

        As a rule everything still is as it was claimed, so the rows are moved without a look at
        them. Where fewer move than should, all of it is undone, and they are looked at.
        """
        settlements = [item for item in items if isinstance(item, Settlement)]
        ids = [item for item in items if not isinstance(item, Settlement)]
        try:
            try:
                settled, claims = self._transact(settlements, ids, look=False)
            except ClaimsLost:
                settled, claims = self._transact(settlements, ids, look=True)
        except BaseException:
            # What it believes of the pauses may have been rolled back.
            breaker.forget()
            raise
        # Not held any more, and so not renewed, whether or not its greenlet has run since.
        for settlement in settlements:
            self._held.pop(settlement.request_id, None)
        publish([s for s in settled if s is not None and not s.is_part])
        publish([c.change for c in claims if c is not None and not c.request.is_part])
        of_settlements, of_ids = iter(settled), iter(claims)
        return [next(of_settlements if isinstance(item, Settlement) else of_ids) for item in items]

    def _transact(
        self, settlements: list[Settlement], ids: list[UUID], *, look: bool
    ) -> tuple[list[Settlement | None], list[Claim | None]]:
        ended = {settlement.request_id for settlement in settlements}
        with transaction.atomic(using=self._using):
            # Results first: they make room for claims.
            settled = write(settlements, look=look, using=self._using) if settlements else []
            claims = (
                take(
                    ids,
                    # A token for each group: a row that has it was claimed here and now.
                    owner=f"{self.name}:{next(self._numbers)}",
                    bulkhead=self._bulkhead,
                    held=Counter(alias for key, alias in self._held.items() if key not in ended),
                    using=self._using,
                )
                if ids
                else []
            )
        return settled, claims

    def _renew(self, held: list[UUID]) -> None:
        renewed = renew(held, name=self.name, using=self._using)
        if renewed < len(held):
            logger.warning("%d of %d claims were lost", len(held) - renewed, len(held))


#: The ledger of this process.
ledger = PerProcess(Ledger)
