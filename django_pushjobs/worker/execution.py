"""One job in its greenlet, from its start until its end is recorded."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from datetime import datetime
from typing import Any
from weakref import WeakSet

import gevent
from django.db import connections
from django.db.backends.signals import connection_created
from django.dispatch import receiver
from rq.callbacks import execute_stopped_callback
from rq.exceptions import DeserializationError
from rq.job import Job, JobStatus
from rq.timeouts import JobTimeoutException
from rq.utils import now

from .. import sentry
from .endings import Abandoned, Ended, Killed, Stopped
from .pool import Pool
from .recorder import Recorder, is_plain
from .taken import Finished, Started, current

#: Seconds that a job may run on after its timeout, for example because it caught the exception.
#: RQ's worker gives its horses the same.
PATIENCE = 60.0


class JobRun:
    """One job that was registered as started, and the greenlet that runs it."""

    __slots__ = ("_inside", "ending", "greenlet", "recorder", "started", "worker")

    def __init__(self, worker: Pool, recorder: Recorder, started: Started) -> None:
        self.worker = worker
        self.recorder = recorder
        self.started = started
        self.ending: type[Ended] | None = None
        #: The greenlet, while it is inside the function of the job: only there may it be ended.
        self._inside: gevent.Greenlet[..., Any] | None = None
        self.greenlet: gevent.Greenlet[..., Any] = gevent.spawn(self._run)

    def end(self, how: type[Ended]) -> None:
        """End the job at the point where it waits; one that has returned is left alone."""
        self.ending = how
        gevent.get_hub().loop.run_callback(self._throw)

    def _throw(self) -> None:
        if self._inside is not None and self.ending is not None:
            self._inside.throw(self.ending)

    def is_overdue(self, at: datetime) -> bool:
        """Return whether the job is still running although its timeout passed long ago."""
        job = self.started.job
        if not job.timeout or job.timeout < 0 or job.started_at is None:
            return False
        return (at - job.started_at).total_seconds() > job.timeout + PATIENCE

    def _run(self) -> None:
        # The watchdog looks for this variable to name the job that blocks the hub, and in the
        # contexts of greenlets that work for it.
        started = self.started
        current.set(started)
        try:
            with sentry.job_scope(
                started.job.id, queue=started.job.origin, function=_function_of(started.job)
            ):
                self._perform()
        except Stopped:
            self._guarded(self._record_stopped)
        except Killed:
            self._guarded(lambda: self._record_killed("the job was ended from outside"))
        except Abandoned:
            self.worker.log.warning("Worker %s: abandoned job %s", self.worker.name, started.job.id)
        except BaseException as error:
            # The code around the job raised, perhaps an exception handler. Here RQ's worker would
            # have lost its horse.
            self.worker.log.exception(
                "Worker %s: the code around job %s failed", self.worker.name, started.job.id
            )
            reason = repr(error)
            self._guarded(lambda: self._record_killed(reason))
        finally:
            _disconnect()
            self.worker.job_ended(started.execution.id)

    def _perform(self) -> None:
        """RQ's ``perform_job`` for a job that is registered as started already."""
        worker, job = self.worker, self.started.job
        queue, execution = self.started.queue, self.started.execution
        try:
            job.started_at = now()
            timeout = job.timeout or worker.queue_class.DEFAULT_TIMEOUT
            with worker.death_penalty_class(timeout, JobTimeoutException, job_id=job.id):
                return_value = self._call()
            result_ttl = job.get_result_ttl(worker.default_result_ttl)
            if not is_plain(job, return_value, result_ttl):
                worker.wait_for_redis()
                worker._finalize_success(job, queue, execution, return_value)
                return
            job._result, job._status, job.ended_at = return_value, JobStatus.FINISHED, now()
            if not self.recorder.record(Finished(self.started, result_ttl, return_value)):
                # It got dependents while it ran, or was deleted: RQ's code knows what to do.
                worker.handle_job_success(job, queue, queue.started_job_registry, execution)
        except Ended:
            raise
        except BaseException as error:
            exc_info = sys.exc_info()
            sentry.capture(error)
            worker.wait_for_redis()
            worker._finalize_failure(job, queue, execution, exc_info)

    def _call(self) -> Any:
        """Call the function; if the job was told to end, it ends whatever the function does."""
        job = self.started.job
        self._inside = gevent.getcurrent()  # type: ignore[assignment]
        try:
            return_value = job.perform() if self.ending is None else None
        except BaseException:
            if self.ending is None:
                raise
        finally:
            self._inside = None
        if self.ending is not None:
            raise self.ending
        return return_value

    # Ends of which RQ's worker learns by the death of its horse.

    def _guarded(self, record: Any) -> None:
        try:
            self.worker.wait_for_redis()
            record()
        except BaseException:
            self.worker.log.exception(
                "Worker %s: could not record the end of job %s",
                self.worker.name,
                self.started.job.id,
            )

    def _record_stopped(self) -> None:
        worker, job = self.worker, self.started.job
        worker.log.warning("Worker %s: job %s stopped by user", worker.name, job.id)
        job.ended_at = now()
        try:
            execute_stopped_callback(job, worker.death_penalty_class)
        except BaseException:
            worker.log.exception(
                "Worker %s: the stopped callback of job %s failed", worker.name, job.id
            )
        # handle_job_failure reads it before it first waits, so no other greenlet can see it.
        worker._stopped_job_id = job.id
        self._record_failure("Job stopped by user, greenlet ended.")

    def _record_killed(self, reason: str) -> None:
        worker, job = self.worker, self.started.job
        job.ended_at = now()
        try:
            worker.handle_work_horse_killed(job, 0, signal.SIGKILL.value, None)
        except BaseException:
            worker.log.exception("Worker %s: the work horse killed handler failed", worker.name)
        self._record_failure(f"Work-horse terminated unexpectedly; {reason}")

    def _record_failure(self, reason: str) -> None:
        started = self.started
        self.worker.handle_job_failure(
            started.job, started.queue, exc_string=reason, execution=started.execution
        )


#: Greenlets that have connected to a database: most jobs do not, and asking Django costs more.
_connected: WeakSet[Any] = WeakSet()


@receiver(connection_created, dispatch_uid="django_pushjobs.worker.execution")
def _note_connection(**kwargs: object) -> None:
    _connected.add(gevent.getcurrent())


def _disconnect() -> None:
    """Close the database connections of this greenlet: under gevent they are its own."""
    if gevent.getcurrent() in _connected:
        for connection in connections.all(initialized_only=True):
            connection.close()


def _function_of(job: Job) -> str:
    with suppress(DeserializationError):
        return job.func_name or ""
    return ""
