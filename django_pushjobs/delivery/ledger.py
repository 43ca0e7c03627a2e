"""Claims and results of one process, committed in groups.

Each of the two has a writer with a connection of its own: while one waits for the database, the
other prepares its statements.
"""

from __future__ import annotations

import itertools
import logging
import time
from uuid import UUID

from django.db import router, transaction

from ..conf import conf
from ..db.group_commit import Writer, patiently
from ..lifecycle.announcements import publish
from ..limits import breaker
from ..models import PushRequest
from ..runtime.processes import PerProcess, new_token
from .bulkhead import Bulkhead
from .claims import renew, take
from .requests import Claim, ClaimedRequest
from .results import Settlement
from .settlements import ClaimsLost, write

logger = logging.getLogger(__name__)


class Ledger:
    """The claims and results of one process: :data:`ledger` gives it its one instance."""

    def __init__(self) -> None:
        self.name = new_token()
        self._numbers = itertools.count(1)
        #: What this process is pushing.
        self._held: dict[UUID, ClaimedRequest] = {}
        self._bulkhead = Bulkhead()
        self._renew_at = 0.0
        self._claims: Writer[UUID, Claim | None] = Writer(self._commit_claims)
        self._results: Writer[Settlement, Settlement | None] = Writer(
            self._commit_results,
            weigh=lambda settlement: len(settlement.deliveries),
            # No other thread may do it: its rows could be those that a group of results locks,
            # in another order.
            upkeep=self._keep_claims,
        )

    def claim(self, request_id: UUID) -> Claim | None:
        """Claim one push request: it is RUNNING then, under a lease that is renewed.

        Returns None if there is nothing to claim: it is not QUEUED, it has expired, or its
        backend is paused or has no room.
        """
        if request_id in self._held:
            return None
        claim = self._claims.hand_over(request_id)
        if claim is not None:
            # Held, and so renewed, only from here on: if the caller is interrupted while it waits,
            # nobody works on the row, and its lease has to expire.
            self._held[request_id] = claim.request
            self._results.start()
        return claim

    def settle(self, settlement: Settlement) -> Settlement | None:
        """Write the result of an attempt, and return it as it stands once it is committed.

        Returns None if the claim was lost in between: nothing was written.
        """
        return self._results.hand_over(settlement)

    def abandon(self, request_id: UUID) -> None:
        """Let the lease of a claim expire: nobody here works on it any longer."""
        self._held.pop(request_id, None)

    def _commit_claims(self, ids: list[UUID]) -> list[Claim | None]:
        using = _database()
        with transaction.atomic(using=using):
            claims = take(
                ids,
                # A token for each group: a row that has it was claimed here and now.
                owner=f"{self.name}:{next(self._numbers)}",
                bulkhead=self._bulkhead,
                held=self._held.values(),
                using=using,
            )
        # Requests of our own code, and parts, have no client and so no listeners.
        publish([c.change for c in claims if c is not None and c.request.client_id is not None])
        return claims

    def _commit_results(self, settlements: list[Settlement]) -> list[Settlement | None]:
        """Write results in one transaction; return what became of each of them.

        Usually everything is still as it was claimed, so the rows are moved without reading them.
        If fewer move than should, all of it is undone and the rows are locked and read first.
        """
        for settlement in settlements:
            # Its pushes are made: there is room for another request, and no lease to renew.
            self.abandon(settlement.request_id)
        try:
            try:
                settled = self._write(settlements, look=False)
            except ClaimsLost:
                settled = self._write(settlements, look=True)
        except BaseException:
            # What it knows about pauses may have been rolled back.
            breaker.forget()
            raise
        publish([s for s in settled if s is not None and not s.is_part])
        return settled

    def _write(self, settlements: list[Settlement], *, look: bool) -> list[Settlement | None]:
        using = _database()
        with transaction.atomic(using=using):
            return write(settlements, look=look, using=using)

    def _keep_claims(self) -> float:
        """Renew the leases of what is held if that is due; return the seconds until it is."""
        if (left := self._renew_at - time.monotonic()) > 0:
            return left
        began = time.monotonic()
        if held := list(self._held):
            patiently(self._renew, held)
        # Leases count from when they were asked for: if the database hung meanwhile, they may have
        # expired already, and are due at once.
        self._renew_at = began + conf().LEASE / 3
        return max(0.0, self._renew_at - time.monotonic())

    def _renew(self, held: list[UUID]) -> None:
        renewed = renew(held, name=self.name, using=_database())
        if renewed < len(held):
            logger.warning("lost %d of %d claims", len(held) - renewed, len(held))


def _database() -> str:
    return router.db_for_write(PushRequest)


#: The ledger of this process.
ledger = PerProcess(Ledger)
