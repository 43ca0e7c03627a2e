"""Group commit: one thread commits together what many greenlets hand over at the same time.

Otherwise each of them would need a database connection and a transaction. So they hand what they
have to a writer, which commits it in one short transaction over one connection, and answers each of
them after the commit. The busier the process, the larger the groups.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from django.db import InterfaceError, OperationalError, connections

from .. import sentry
from ..conf import conf
from ..runtime.greenlets import Promise, cooperative, slots

logger = logging.getLogger(__name__)

#: The database went away or was busy; the same statements are worth another try.
UNAVAILABLE = (OperationalError, InterfaceError)

#: Seconds without work after which a writer gives its connection back.
IDLE = 30.0

#: Seconds until upkeep that failed is tried again.
AGAIN = 1.0

#: Seconds from one group to the next while groups have more than one item, and the share of the
#: slots that may wait for that long: the larger the groups, the less each item costs.
GATHER, GATHERED = 0.025, 0.25

#: Weight of what is committed in one transaction at most, beside its first item.
WEIGHT = 5_000

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Result = TypeVar("Result")


class Writer(Generic[Item, Answer]):
    """Commits what is handed over, in groups, from a thread of its own.

    Where jobs run one at a time (RQ's own worker), the same code commits groups of one, on the
    caller's own connection.

    :param write: commits a group, and returns an answer to each of its items.
    :param weigh: returns how many rows an item writes besides its own.
    :param upkeep: does what is due between groups, and returns the seconds until it is due again.
    """

    def __init__(
        self,
        write: Callable[[list[Item]], Sequence[Answer]],
        *,
        weigh: Callable[[Item], int] = lambda item: 0,
        upkeep: Callable[[], float] = lambda: IDLE,
    ) -> None:
        self._write = write
        self._weigh = weigh
        self._upkeep = upkeep
        self._waiting: deque[tuple[Item, Promise[Answer]]] = deque()
        self._wake = threading.Event()
        self._gathered = threading.Event()
        self._thread: threading.Thread | None = None

    def hand_over(self, item: Item) -> Answer:
        """Return the answer to ``item``, once it is committed.

        :raises Exception: what committing it raised, and would have raised without the others.
        """
        promise: Promise[Answer] = Promise()
        self._waiting.append((item, promise))
        if cooperative():
            self.start()
            self._wake.set()
            if len(self._waiting) >= (slots() or 1) * GATHERED:
                self._gathered.set()
        else:
            self._flush()
        return promise.result()

    def start(self) -> None:
        """Start the thread, and with it the upkeep."""
        if self._thread is None and cooperative():
            self._thread = threading.Thread(target=self._run, name="writeback", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        with sentry.background("writeback"):
            while True:
                if not self._wake.wait(self._keep_up()):
                    connections.close_all()
                self._wake.clear()
                self._gathered.clear()
                due = time.monotonic() + GATHER
                if self._flush() > 1:
                    self._gathered.wait(max(0.0, due - time.monotonic()))

    def _keep_up(self) -> float:
        """Do what is due, and return the seconds until it is due again."""
        try:
            return self._upkeep()
        except Exception as error:
            # The thread must outlive it: everybody waits for that thread.
            logger.exception("the upkeep of a writer failed")
            sentry.capture(error)
            return AGAIN

    def _flush(self) -> int:
        """Commit a group; return how many items there were."""
        batch = self._next_batch()
        if self._waiting:
            self._wake.set()
        if batch:
            self._commit(batch)
        return len(batch)

    def _next_batch(self) -> list[tuple[Item, Promise[Answer]]]:
        """Take what is committed together: many items, but not too many rows."""
        batch: list[tuple[Item, Promise[Answer]]] = []
        weight = 0
        while self._waiting and len(batch) < conf().COMMIT_BATCH and weight < WEIGHT:
            batch.append(self._waiting.popleft())
            weight += self._weigh(batch[-1][0])
        return batch

    def _commit(self, batch: list[tuple[Item, Promise[Answer]]]) -> None:
        """Write a batch and keep its promises. One bad item does not sink the others."""
        try:
            answers = patiently(self._write, [item for item, _ in batch])
        except Exception as error:
            if len(batch) == 1:
                batch[0][1].fail(error)
                return
            for entry in batch:
                self._commit([entry])
        else:
            for (_, promise), answer in zip(batch, answers, strict=True):
                promise.keep(answer)


def patiently(write: Callable[[Any], Result], items: Any) -> Result:
    """Return ``write(items)``, called until the database is there.

    The pushes have been made: giving up would lose what is known about them. Meanwhile the jobs
    wait and their slots stay taken, so no further jobs are started.
    """
    delay = 0.1
    while True:
        try:
            return write(items)
        except UNAVAILABLE as error:
            if not cooperative():
                raise
            logger.error("the database is not available; retrying in %.1f s: %s", delay, error)
            connections.close_all()
            time.sleep(delay)
            delay = min(delay * 2, 5.0)
