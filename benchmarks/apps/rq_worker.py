"""RQ's workers: ``python -m benchmarks.apps.rq_worker fork|simple|pool|naive``.

The module with the jobs is loaded beforehand, as RQ recommends: else each fork would load it.
"""

from __future__ import annotations

import sys

from rq import Queue, SimpleWorker, Worker
from rq.job import Job
from rq.timeouts import BaseDeathPenalty
from rq.worker_pool import WorkerPool

from .. import jobs  # noqa: F401
from .rq_app import queue


class GreenletDeathPenalty(BaseDeathPenalty):
    """A timeout for one greenlet."""

    def setup_death_penalty(self) -> None:
        import gevent

        self.timer = gevent.Timeout.start_new(self._timeout, self._exception())

    def cancel_death_penalty(self) -> None:
        self.timer.close()


class NaiveGeventWorker(SimpleWorker):
    """A greenlet for each job, and RQ's own code around it: what subclassing RQ is good for.

    It waits for the greenlet before it takes the next job, because RQ's loop does.
    """

    death_penalty_class = GreenletDeathPenalty

    def execute_job(self, job: Job, queue: Queue) -> None:
        import gevent

        gevent.spawn(super().execute_job, job, queue).get()


def main(kind: str) -> None:
    if kind == "pool":
        WorkerPool([queue], connection=queue.connection, num_workers=1).start(
            logging_level="WARNING"
        )
        return
    worker = {"fork": Worker, "simple": SimpleWorker, "naive": NaiveGeventWorker}[kind]
    worker([queue], connection=queue.connection).work(logging_level="WARNING")


if __name__ == "__main__":
    main(sys.argv[1])
