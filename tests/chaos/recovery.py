"""How long the requests of a killed or stopped process wait for another process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from django.db import DatabaseError, connections

from django_pushjobs.models import PushRequest
from django_pushjobs.states import FINAL, Status

#: Seconds between two checks of the rows.
LOOK = 0.05


@dataclass(frozen=True, slots=True)
class Claimed:
    """A push request that a process had claimed when it was struck."""

    attempts: int
    since: float


class Recoveries:
    """Follows the requests of struck processes in a thread of its own.

    A request is recovered as soon as another attempt has begun or it is final. What counts is what
    the database knows when a process is struck; if it does not answer, nothing is measured.
    """

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._open: dict[UUID, Claimed] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="recoveries", daemon=True)
        self._thread.start()

    def struck(self, pids: Iterable[int]) -> list[UUID]:
        """Note what the processes ``pids`` have claimed, and return it."""
        since = time.monotonic()
        caught: dict[UUID, Claimed] = {}
        with suppress(DatabaseError):
            for pid in pids:
                rows = PushRequest.objects.filter(
                    status=Status.RUNNING, owner__contains=f":{pid}:"
                ).values_list("pk", "attempts")
                caught |= {pk: Claimed(attempts, since) for pk, attempts in rows}
        connections.close_all()
        with self._lock:
            # A request that is struck again before it is recovered counts from the first time.
            self._open = caught | self._open
        return list(caught)

    def close(self) -> list[float]:
        """Return how long each recovery took, in order; those still open took until now."""
        self._over.set()
        self._thread.join()
        now = time.monotonic()
        return sorted([*self.seconds, *(now - claimed.since for claimed in self._open.values())])

    def _watch(self) -> None:
        while not self._over.wait(LOOK):
            with suppress(DatabaseError):
                self._look()
                continue
            connections.close_all()
        with suppress(DatabaseError):
            self._look()
        connections.close_all()

    def _look(self) -> None:
        with self._lock:
            waiting = dict(self._open)
        if not waiting:
            return
        rows = PushRequest.objects.filter(pk__in=list(waiting)).values_list(
            "pk", "attempts", "status"
        )
        for pk, attempts, status in rows:
            claimed = waiting[pk]
            if attempts > claimed.attempts or status in FINAL:
                self.seconds.append(time.monotonic() - claimed.since)
                with self._lock:
                    del self._open[pk]
