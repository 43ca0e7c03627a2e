"""An RQ worker that runs many jobs at once, each in a greenlet."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import gevent
import redis.exceptions
from django.db import connections
from gevent.event import Event
from rq import Worker
from rq.callbacks import execute_stopped_callback
from rq.command import handle_command, parse_payload
from rq.defaults import DEFAULT_LOGGING_DATE_FORMAT, DEFAULT_LOGGING_FORMAT
from rq.exceptions import DeserializationError, StopRequested
from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.queue import Queue
from rq.suspension import is_suspended
from rq.timeouts import JobTimeoutException
from rq.utils import now
from rq.worker import DequeueStrategy, WorkerStatus

from .. import sentry
from .bookkeeping import BATCH, Bookkeeping, Finished, Started, Unreadable, is_plain
from .launcher import is_patched
from .timeouts import GeventDeathPenalty

UNREACHABLE = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)

#: Seconds a cold stop gives to greenlets that were told to end.
COLD_GRACE = 1.0


class StopJob(gevent.GreenletExit):
    """Thrown into the greenlet of a job that RQ's stop-job command named."""


class GeventWorker(Worker):
    """Stands wherever RQ takes a worker class, and runs ``concurrency`` jobs at a time.

    gevent must have patched the process from its start, as ``rqgeventworker`` sees to.

    :raises RuntimeError: it has not.
    """

    death_penalty_class = GeventDeathPenalty

    def __init__(self, *args: Any, concurrency: int = 100, **kwargs: Any) -> None:
        if not is_patched():
            raise RuntimeError(
                "GeventWorker needs gevent to patch first: use 'manage.py rqgeventworker', or "
                "start the program with 'python -m gevent.monkey'"
            )
        super().__init__(*args, **kwargs)
        self.concurrency = concurrency
        pool = self.connection.connection_pool
        # The loop, the flusher, pub/sub, a watcher for each queue, and jobs that go RQ's way.
        pool.max_connections = max(pool.max_connections, concurrency + len(self.queues) + 16)
        self.bookkeeping = Bookkeeping(self)
        #: What runs, by execution id.
        self.running: dict[str, tuple[Started, gevent.Greenlet[..., None]]] = {}
        #: Called once the worker is registered and about to take jobs.
        self.on_ready: Callable[[], None] | None = None
        self._finished: list[tuple[Finished, Event]] = []
        self._wake = Event()
        self._flush_wake = Event()
        self._hungry = Event()
        self._taken = 0
        self._cold = False
        self._signals: list[Any] = []
        self._suspension_checked_at = 0.0

    # The loop.

    def work(
        self,
        burst: bool = False,
        logging_level: str | None = None,
        date_format: str = DEFAULT_LOGGING_DATE_FORMAT,
        log_format: str = DEFAULT_LOGGING_FORMAT,
        max_jobs: int | None = None,
        max_idle_time: int | None = None,
        with_scheduler: bool = False,
        dequeue_strategy: DequeueStrategy = DequeueStrategy.DEFAULT,
    ) -> bool:
        """Run jobs until told to stop; see :meth:`rq.Worker.work` for the arguments.

        :returns: whether any job was run.
        """
        self.bootstrap(logging_level, date_format, log_format)
        self._dequeue_strategy = dequeue_strategy
        if with_scheduler:
            self._start_scheduler(burst, logging_level, date_format, log_format)
        self._install_signal_handlers()
        helpers: list[gevent.Greenlet[..., None]] = [
            gevent.spawn(self._flush_loop),
            gevent.spawn(self._heartbeat_loop),
        ]
        helpers += [gevent.spawn(self._watch_queue, key) for key in self.queue_keys()]
        try:
            if self.on_ready is not None:
                self.on_ready()
            self._loop(burst, max_jobs, max_idle_time)
            self._drain()
        finally:
            gevent.killall(helpers)
            for watcher in self._signals:
                watcher.cancel()
            self.teardown()
        return bool(self._taken)

    def _loop(self, burst: bool, max_jobs: int | None, max_idle_time: int | None) -> None:
        idle_since = time.monotonic()
        delay = 1.0
        while not self._stop_requested:
            self._wake.clear()
            free = self.concurrency - len(self.running)
            if max_jobs is not None:
                free = min(free, max_jobs - self._taken)
                if self._taken >= max_jobs:
                    self.log.info("Worker %s: took %d jobs, quitting", self.name, self._taken)
                    return
            try:
                self._keep_house(burst)
                taken = self._take(free) if free else 0
                delay = 1.0
            except StopRequested:
                return
            except UNREACHABLE as error:
                self.log.error(
                    "Worker %s: Redis is not reachable, next try in %d s: %s",
                    self.name,
                    delay,
                    error,
                )
                gevent.sleep(delay)
                delay = min(delay * self.exponential_backoff_factor, self.max_connection_wait_time)
                continue
            if taken or self.running:
                idle_since = time.monotonic()
            if taken:
                continue
            if burst and not self.running:
                self.log.info("Worker %s: done, quitting", self.name)
                return
            if max_idle_time is not None and time.monotonic() - idle_since >= max_idle_time:
                self.log.info("Worker %s: idle for %d s, quitting", self.name, max_idle_time)
                return
            if free:
                self._hungry.set()
            # Woken by a job on a queue, a slot that gets free, a signal; the rest can wait.
            self._wake.wait(1.0)

    def _keep_house(self, burst: bool) -> None:
        """What RQ's loop does between two jobs, but not more often than once a second."""
        if time.monotonic() - self._suspension_checked_at >= 1.0:
            if is_suspended(self.connection):
                self.check_for_suspension(burst)
            self._suspension_checked_at = time.monotonic()
        if self.should_run_maintenance_tasks:
            self.run_maintenance_tasks()

    def _take(self, limit: int) -> int:
        """Take jobs off the queues and start them; return how many."""
        batch = self.bookkeeping.pop(self._ordered_queues, limit)
        for taken in batch:
            if isinstance(taken, Unreadable):
                self._bury(taken)
                continue
            self._taken += 1
            self.executions[taken.execution.id] = taken.execution
            greenlet = gevent.spawn(self._run, taken)
            self.running[taken.execution.id] = taken, greenlet
            self.reorder_queues(reference_queue=taken.queue)
        return len(batch)

    def _watch_queue(self, key: str) -> None:
        """Wake the loop when there is a job on one queue, without taking it.

        Moving the first id to where it is already is a way to wait for it.
        """
        while True:
            self._hungry.wait()
            try:
                found = self.connection.blmove(key, key, self.dequeue_timeout, "LEFT", "LEFT")
            except UNREACHABLE:
                gevent.sleep(1.0)  # the loop notices and reports it
                continue
            if found is not None:
                self._hungry.clear()
                self._wake.set()

    def _heartbeat_loop(self) -> None:
        while True:
            gevent.sleep(min(self.job_monitoring_interval, 30))
            try:
                self.bookkeeping.heartbeat([started for started, _ in self.running.values()])
            except UNREACHABLE as error:
                self.log.warning("Worker %s: no heartbeat: %s", self.name, error)

    # One job.

    def _run(self, started: Started) -> None:
        """The life of one job greenlet."""
        job, execution = started.job, started.execution
        try:
            with sentry.job_scope(job.id, queue=job.origin, function=_function_of(job)):
                self._perform(started)
        except StopJob:
            self._handle_stopped(started)
        except Exception as error:
            self.log.exception("Worker %s: job %s could not be recorded", self.name, job.id)
            sentry.capture(error)
        finally:
            self.executions.pop(execution.id, None)
            self.running.pop(execution.id, None)
            for connection in connections.all(initialized_only=True):
                connection.close()
            if not self.running:
                self._idle()
            self._wake.set()

    def _perform(self, started: Started) -> None:
        """RQ's ``perform_job`` for a job that is registered as started already."""
        job, queue, execution = started.job, started.queue, started.execution
        try:
            job.started_at = now()
            timeout = job.timeout or self.queue_class.DEFAULT_TIMEOUT
            with self.death_penalty_class(timeout, JobTimeoutException, job_id=job.id):
                return_value = job.perform()
            result_ttl = job.get_result_ttl(self.default_result_ttl)
            if is_plain(job, return_value, result_ttl):
                job._result, job._status, job.ended_at = return_value, JobStatus.FINISHED, now()
                self._finish(Finished(started, result_ttl, return_value))
            else:
                self._finalize_success(job, queue, execution, return_value)
            self.log.debug("Worker %s: job %s done", self.name, job.id)
        except gevent.GreenletExit:
            raise
        except BaseException as error:
            sentry.capture(error)
            self._finalize_failure(job, queue, execution, sys.exc_info())

    def _finish(self, finished: Finished) -> None:
        """Hand a plain job to the flusher and wait until its end is recorded."""
        done = Event()
        self._finished.append((finished, done))
        self._flush_wake.set()
        done.wait()

    def _flush_loop(self) -> None:
        while True:
            self._flush_wake.wait()
            self._flush_wake.clear()
            while self._finished:
                batch, self._finished = self._finished[:BATCH], self._finished[BATCH:]
                self._flush([finished for finished, _ in batch])
                for _, done in batch:
                    done.set()

    def _flush(self, batch: list[Finished]) -> None:
        """Record a batch, however long Redis takes to come back: the jobs are done."""
        delay = 0.1
        while True:
            try:
                for started in self.bookkeeping.finish(batch):
                    # It got dependents while it ran: RQ knows what to do with them.
                    job, queue = started.job, started.queue
                    self.handle_job_success(
                        job, queue, queue.started_job_registry, started.execution
                    )
            except UNREACHABLE as error:
                self.log.error(
                    "Worker %s: %d finished jobs wait for Redis: %s", self.name, len(batch), error
                )
                gevent.sleep(delay)
                delay = min(delay * 2, 5.0)
            except Exception as error:
                self.log.exception("Worker %s: %d jobs not recorded", self.name, len(batch))
                sentry.capture(error)
                return
            else:
                return

    def _bury(self, unreadable: Unreadable) -> None:
        """Fail a job whose record cannot be read; the worker lives on."""
        self.log.error("Worker %s: job %s is unreadable", self.name, unreadable.job_id)
        job = Job(unreadable.job_id, connection=self.connection, serializer=self.serializer)
        job.origin = unreadable.queue.name
        job._data = b""
        self.handle_job_failure(
            job,
            unreadable.queue,
            exc_string=f"The job cannot be read: {unreadable.error!r}",
            execution=unreadable.execution,
        )

    def _idle(self) -> None:
        try:
            self.set_state(WorkerStatus.IDLE)
        except UNREACHABLE:
            self._state = WorkerStatus.IDLE

    # Being told things.

    def _install_signal_handlers(self) -> None:
        """Let the hub deliver TERM and INT (warm, then cold) and QUIT (cold).

        RQ's own handlers raise in whichever greenlet happens to run.
        """
        handlers = {
            signal.SIGTERM: self.request_stop,
            signal.SIGINT: self.request_stop,
            signal.SIGQUIT: self.request_force_stop,
        }
        self._signals = [
            gevent.signal_handler(signum, handler, signum, None)
            for signum, handler in handlers.items()
        ]

    def request_stop(self, signum: int, frame: Any) -> None:
        """Warm stop: take no more jobs, let the running ones end. A second one is cold."""
        if self._stop_requested:
            self.request_force_stop(signum, frame)
            return
        self._shutdown_requested_date = now()
        self._stop_requested = True
        self.log.info("Worker %s: warm stop, %d jobs run", self.name, len(self.running))
        self._wake.set()
        try:
            self.set_shutdown_requested_date()
        except UNREACHABLE:
            pass

    def request_force_stop(self, signum: int, frame: Any) -> None:
        """Cold stop: end the running jobs where they are."""
        self.log.warning("Worker %s: cold stop, %d jobs are ended", self.name, len(self.running))
        self._stop_requested = self._cold = True
        self._wake.set()

    def _drain(self) -> None:
        """Wait for the jobs that run, unless the stop is or becomes a cold one."""
        while self.running and not self._cold:
            self._wake.clear()
            self._wake.wait(1.0)
        if self.running:
            greenlets = [greenlet for _, greenlet in self.running.values()]
            gevent.killall(greenlets, timeout=COLD_GRACE)

    def handle_payload(self, message: Any) -> None:
        """Obey a command that RQ sent over pub/sub."""
        payload = parse_payload(message)
        command = payload.get("command")
        if command == "stop-job":
            self._stop_jobs(lambda s: s.job.id == payload.get("job_id"))
        elif command == "stop-execution":
            self._stop_jobs(lambda s: s.execution.id == payload.get("execution_id"))
        elif command == "kill-horse":
            self._stop_jobs(lambda s: True)
        elif command == "shutdown":
            self.request_stop(signal.SIGINT, None)
        else:
            handle_command(self, payload)

    def _stop_jobs(self, wanted: Callable[[Started], bool]) -> None:
        matches = [g for started, g in self.running.values() if wanted(started)]
        if not matches:
            self.log.warning("Worker %s: that job does not run here, ignored", self.name)
        gevent.killall(matches, exception=StopJob, block=False)

    def _handle_stopped(self, started: Started) -> None:
        """Mark a job STOPPED, as RQ does when it has killed the horse of one."""
        job, queue, execution = started.job, started.queue, started.execution
        self.log.warning("Worker %s: job %s stopped by user", self.name, job.id)
        job.ended_at = now()
        try:
            execute_stopped_callback(job, self.death_penalty_class)
        except Exception:
            self.log.exception("Worker %s: stopped callback of job %s", self.name, job.id)
        # handle_job_failure looks at it before it first waits, so no other greenlet can see it.
        self._stopped_job_id = job.id
        self.handle_job_failure(
            job, queue, exc_string="Job stopped by user, greenlet ended.", execution=execution
        )

    def kill_horse(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """There is no horse: RQ's version would kill our own process group."""

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run one job here and now, as :class:`rq.SimpleWorker` does."""
        execution: Execution = self.prepare_execution(job)
        self.perform_job(job, queue, execution)
        self._idle()


def _function_of(job: Job) -> str:
    try:
        return job.func_name or ""
    except DeserializationError:
        return ""
