"""RQ's own way to record the end of a job, made to outlive an outage of Redis."""

from __future__ import annotations

from typing import Any

import gevent
import redis.exceptions
from rq import Worker
from rq.executions import Execution
from rq.job import Job
from rq.queue import Queue
from rq.rate_limit import release_slot

UNREACHABLE = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)

#: How often a failure that cannot be written, though Redis is there, is tried.
TRIES = 3


class PersistentWorker(Worker):
    """Does not give up what it has to record because a connection broke.

    RQ's worker marks a job as failed that has finished, and leaves one that failed to be found
    abandoned. What it writes in the end is one transaction, which also deletes the record of the
    execution: as long as that is there, nothing was written.
    """

    def handle_execution_ended(self, job: Job, queue: Queue, heartbeat_ttl: int) -> None:
        try:
            super().handle_execution_ended(job, queue, heartbeat_ttl)
        except UNREACHABLE as error:
            # What is lost is a heartbeat. RQ would take the job for one that failed.
            self.log.warning("Worker %s: no heartbeat of %s: %s", self.name, job.id, error)

    def handle_job_success(
        self, job: Job, queue: Queue, started_job_registry: Any, execution: Execution
    ) -> None:
        repeats = job.repeats_left, job.repeat_intervals
        while True:
            try:
                super().handle_job_success(job, queue, started_job_registry, execution)
                return
            except UNREACHABLE as error:
                self.log.error("Worker %s: %s waits for Redis: %s", self.name, job.id, error)
            if not self._is_open(execution):
                release_slot(job)
                return
            job.repeats_left, job.repeat_intervals = repeats

    def handle_job_failure(
        self,
        job: Job,
        queue: Queue,
        started_job_registry: Any = None,
        exc_string: str = "",
        execution: Execution | None = None,
    ) -> None:
        retries_left, stopped = job.retries_left, self._stopped_job_id == job.id
        for _ in range(TRIES):
            try:
                super().handle_job_failure(job, queue, started_job_registry, exc_string, execution)
            except UNREACHABLE as error:
                self.log.error("Worker %s: %s waits for Redis: %s", self.name, job.id, error)
            # RQ logs what goes wrong with the transaction, and returns.
            if execution is None or not self._is_open(execution):
                return
            job.retries_left = retries_left
            if stopped:
                self._stopped_job_id = job.id

    def _is_open(self, execution: Execution) -> bool:
        """Return whether the end of an execution is not recorded yet, as soon as Redis answers."""
        while True:
            self.wait_for_redis()
            try:
                return bool(self.connection.exists(execution.key))
            except UNREACHABLE:
                continue

    def wait_for_redis(self) -> None:
        """Return as soon as Redis answers."""
        delay = 0.1
        while True:
            try:
                self.connection.ping()
                return
            except UNREACHABLE:
                gevent.sleep(delay)
                delay = min(delay * 2, 5.0)
