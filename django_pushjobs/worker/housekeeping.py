"""What RQ's loop does between two jobs, in a greenlet of its own: no job waits for it."""

from __future__ import annotations

import gevent
from gevent.event import Event
from rq.exceptions import StopRequested
from rq.suspension import is_suspended
from rq.utils import now
from rq.worker import WorkerStatus

from .dequeuing import Dequeuer
from .pool import Pool
from .resilient_worker import UNREACHABLE

#: Seconds between two rounds.
EVERY = 1.0


class Housekeeper:
    """Takes care of suspension, stray jobs, ready jobs and RQ's maintenance."""

    def __init__(self, worker: Pool, dequeuer: Dequeuer) -> None:
        self.worker = worker
        self.dequeuer = dequeuer
        #: No jobs may be taken, as ``rq suspend`` has asked.
        self.suspended = False
        #: The first round is done.
        self.began = False
        self._burst = False
        self._look_now = Event()
        self._maintenance: gevent.Greenlet[..., None] | None = None

    @property
    def maintaining(self) -> bool:
        """RQ's maintenance is running, which may put jobs on the queues."""
        return self._maintenance is not None

    def begin(self, burst: bool) -> None:
        """Do the first round, before any job is taken.

        :raises StopRequested: the workers are suspended, and a burst does not wait.
        :raises redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: Redis does not
            answer.
        """
        self._burst = burst
        self._look()
        self.began = True

    def run(self) -> None:
        """Do a round now and then, for ever."""
        worker = self.worker
        while True:
            self._look_now.wait(EVERY)
            self._look_now.clear()
            if not self.began:
                continue
            try:
                self._look()
            except StopRequested:
                worker.stop_working()
            except UNREACHABLE:
                pass  # the loop notices and reports it
            except Exception:
                worker.log.exception("Worker %s: housekeeping failed", worker.name)

    def suspend(self) -> None:
        """Have no more jobs taken: Redis has just said that the workers are suspended."""
        self.suspended = True
        self._look_now.set()

    def end(self) -> None:
        """End the maintenance, if it is running."""
        if self._maintenance is not None:
            self._maintenance.kill()

    def _look(self) -> None:
        worker = self.worker
        if is_suspended(worker.connection):
            self.suspended = True
            # Returns once they are resumed.
            worker.check_for_suspension(self._burst)
            if not worker.running:
                worker.rest()
        if self.suspended:
            self.suspended = False
            worker.look_for_jobs()
        if not worker.running and worker.get_state() == WorkerStatus.BUSY:
            worker.rest()
        worker.start_all(self.dequeuer.strays())
        self.enqueue_ready()
        if worker.should_run_maintenance_tasks and not self.maintaining:
            # It runs callbacks of abandoned jobs, for which nothing else has to wait.
            self._maintenance = gevent.spawn(self._maintain)

    def enqueue_ready(self) -> int:
        """Enqueue the jobs that became ready when several parents ended at the same moment.

        RQ's code misses those, and finds them in its maintenance every ten minutes: in its worker,
        jobs seldom end at the same moment.

        :returns: how many.
        """
        return sum(len(queue.ready_job_registry.cleanup()) for queue in self.worker.queues)

    def _maintain(self) -> None:
        worker = self.worker
        try:
            worker.run_maintenance_tasks()
        except UNREACHABLE as error:
            worker.log.warning("Worker %s: skipped maintenance: %s", worker.name, error)
        except Exception:
            worker.log.exception("Worker %s: maintenance failed", worker.name)
            worker.last_cleaned_at = now()
        finally:
            self._maintenance = None
            worker.look_for_jobs()
