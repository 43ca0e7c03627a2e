"""Keeps RQ's records of the worker and its running jobs alive, and ends jobs that overrun."""

from __future__ import annotations

from collections.abc import Sequence

import gevent
from rq.job import Job
from rq.utils import now

from .endings import Killed
from .pool import Pool
from .resilient_worker import UNREACHABLE
from .taken import Started

#: Seconds between two rounds at most; RQ's ``job_monitoring_interval`` if that is shorter.
EVERY = 30


class Keepalive:
    """Sends RQ's heartbeats for a worker and all its jobs.

    RQ considers a job abandoned once its heartbeats have stopped.
    """

    def __init__(self, worker: Pool) -> None:
        self.worker = worker

    def run(self) -> None:
        """Send heartbeats now and then, for ever."""
        worker = self.worker
        while True:
            gevent.sleep(min(worker.job_monitoring_interval, EVERY))
            self._kill_overdue()
            try:
                self.beat([run.started for run in worker.running.values()])
            except UNREACHABLE as error:
                worker.log.warning("Worker %s: could not send heartbeats: %s", worker.name, error)

    def _kill_overdue(self) -> None:
        """End the jobs that caught their timeout and never came to an end."""
        worker = self.worker
        at = now()
        for run in worker.running.values():
            if run.is_overdue(at):
                worker.log.warning(
                    "Worker %s: job %s is still running long after its timeout; killing it",
                    worker.name,
                    run.started.job.id,
                )
                run.end(Killed)

    def beat(self, running: Sequence[Started]) -> None:
        """Tell RQ that the worker and all its running jobs are alive, in two round trips.

        :raises redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: Redis does not
            answer.
        """
        worker = self.worker
        at = now()
        places: dict[int, Job] = {}
        with worker.connection.pipeline(transaction=False) as pipeline:
            worker.heartbeat(worker.job_monitoring_interval + 60, pipeline=pipeline)
            for started in running:
                job, execution = started.job, started.execution
                worked = (at - job.started_at).total_seconds() if job.started_at else 0.0
                ttl = worker.get_heartbeat_ttl(job, working_time=worked)
                execution.heartbeat(job.started_job_registry, ttl, pipeline=pipeline)
                places[len(pipeline)] = job
                job.heartbeat(at, ttl, pipeline=pipeline)
            created = pipeline.execute()
            for place, job in places.items():
                if created[place] == 1:
                    # It was deleted meanwhile: leave no hash that holds nothing but a heartbeat.
                    pipeline.delete(job.key)
            if created[0] == 1:
                # The hash had expired, perhaps while Redis was away: write it whole again.
                pipeline.hset(worker.key, mapping=worker.serialize())
                pipeline.expire(worker.key, worker.worker_ttl + 60)
            pipeline.execute()
