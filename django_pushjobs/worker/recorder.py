"""Greenlets hand in jobs that ended; one greenlet records them together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gevent.event import AsyncResult, Event

from .bookkeeping import BATCH, Finished
from .persistence import UNREACHABLE

if TYPE_CHECKING:
    from .gevent_worker import GeventWorker


class Recorder:
    """Group commit for RQ's bookkeeping: while one batch is written, the next one gathers."""

    def __init__(self, worker: GeventWorker) -> None:
        self.worker = worker
        self._waiting: list[tuple[Finished, AsyncResult[bool]]] = []
        self._wake = Event()

    def record(self, finished: Finished) -> bool:
        """Record a plain job together with others; return whether that could be done.

        False: its end has to be recorded by RQ's own code.
        """
        done: AsyncResult[bool] = AsyncResult()
        self._waiting.append((finished, done))
        self._wake.set()
        return bool(done.get())

    def run(self) -> None:
        """Write what is handed in, for ever."""
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._waiting:
                batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                left = self._write([finished for finished, _ in batch])
                for finished, done in batch:
                    done.set(finished.started.execution.id not in left)

    def _write(self, batch: list[Finished]) -> set[str]:
        """Record a batch, however long Redis takes to come back: the jobs are done.

        Returns the executions that were not recorded.
        """
        worker = self.worker
        while True:
            try:
                return {started.execution.id for started in worker.bookkeeping.finish(batch)}
            except UNREACHABLE as error:
                worker.log.error(
                    "Worker %s: %d ended jobs wait for Redis: %s", worker.name, len(batch), error
                )
                worker.wait_for_redis()
            except Exception:
                worker.log.exception("Worker %s: %d jobs, one by one now", worker.name, len(batch))
                return {finished.started.execution.id for finished in batch}
