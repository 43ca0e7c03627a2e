"""RQ's scheduler, in a greenlet of the worker."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import gevent
from rq.scheduler import RQScheduler

from .resilient_worker import UNREACHABLE

#: Seconds after which a scheduler that lacks some of its locks tries to get them. RQ waits ten
#: minutes, during which nothing would be scheduled if the process that held them was killed.
REACQUIRE_AFTER = 15.0


class GreenletScheduler(RQScheduler):
    """Moves due jobs to their queues, as RQ's does in a process that it forks.

    A fork of a process full of greenlets, sockets and locks cannot be relied upon, and the work is
    a few commands a second. Locks in Redis make sure that each queue has only one active scheduler,
    so all children may have one.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._greenlet: gevent.Greenlet[..., None] | None = None

    @property
    def should_reacquire_locks(self) -> bool:
        if self._queue_names == self.acquired_locks:
            return False
        if self.lock_acquisition_time is None:
            return True
        # RQ sets it without a time zone.
        waited = datetime.now() - self.lock_acquisition_time  # noqa: DTZ005
        return bool(waited.total_seconds() > REACQUIRE_AFTER)

    def start(self) -> None:
        """Begin, unless it has begun already."""
        self._status = self.Status.STARTED
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._turn)

    def run_once(self) -> None:
        """Move what is due now, unless another scheduler does so."""
        if self.acquire_locks():
            try:
                self.register_birth()
                self.enqueue_scheduled_jobs()
            finally:
                self.release_locks()
                self.register_death()

    def _turn(self) -> None:
        while True:
            try:
                self._schedule()
            except UNREACHABLE as error:
                self.log.warning("Scheduler %s: cannot reach Redis: %s", self.name, error)
            except Exception:
                self.log.exception("Scheduler %s: could not enqueue scheduled jobs", self.name)
            gevent.sleep(self.interval)

    def _schedule(self) -> None:
        if self.should_reacquire_locks:
            self.acquire_locks()
            if self.acquired_locks:
                self.register_birth()
        if self.acquired_locks:
            self.heartbeat()
            self.enqueue_scheduled_jobs()

    def end(self) -> None:
        """Stop, and leave the locks to others."""
        if self._greenlet is None:
            return
        greenlet, self._greenlet = self._greenlet, None
        greenlet.kill()
        try:
            self.stop()
        except UNREACHABLE:
            pass  # the locks expire
