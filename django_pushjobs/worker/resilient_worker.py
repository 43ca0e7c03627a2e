"""RQ's own way to record the end of a job, made to survive an outage of Redis."""

from __future__ import annotations

from typing import Any

import gevent
import redis.exceptions
from rq import Worker
from rq.executions import Execution
from rq.job import Job
from rq.queue import Queue
from rq.rate_limit import release_slot

#: What is raised when Redis does not answer.
UNREACHABLE = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)

#: How often a failure is written if Redis answers, but the write fails.
TRIES = 3


class ResilientWorker(Worker):
    """Does not give up recording an end because a connection broke.

    RQ's worker marks a job as failed that has finished, and leaves one that failed to be found
    abandoned. What it writes at the end is one transaction, which also deletes the record of the
    execution: as long as that record is there, nothing was written.
    """

    def handle_execution_ended(self, job: Job, queue: Queue, heartbeat_ttl: int) -> None:
        try:
            super().handle_execution_ended(job, queue, heartbeat_ttl)
        except UNREACHABLE as error:
            # All that is lost is a heartbeat. RQ would consider the job failed.
            self.log.warning(
                "Worker %s: could not send the heartbeat of job %s: %s", self.name, job.id, error
            )

    def handle_job_success(
        self, job: Job, queue: Queue, started_job_registry: Any, execution: Execution
    ) -> None:
        repeats = job.repeats_left, job.repeat_intervals
        while True:
            try:
                super().handle_job_success(job, queue, started_job_registry, execution)
                return
            except UNREACHABLE as error:
                self._log_waiting(job, error)
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
                self._log_waiting(job, error)
            # If the transaction fails, RQ logs it and returns.
            if execution is None or not self._is_open(execution):
                return
            job.retries_left = retries_left
            if stopped:
                self._stopped_job_id = job.id

    def _log_waiting(self, job: Job, error: Exception) -> None:
        self.log.error("Worker %s: job %s is waiting for Redis: %s", self.name, job.id, error)

    def _is_open(self, execution: Execution) -> bool:
        """Return whether the end of an execution is still to be recorded, once Redis answers."""
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
