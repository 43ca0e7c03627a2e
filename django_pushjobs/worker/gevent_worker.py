"""An RQ worker that runs many jobs at once, each in a greenlet."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import gevent
from gevent.event import Event
from rq.command import parse_payload
from rq.defaults import DEFAULT_LOGGING_DATE_FORMAT, DEFAULT_LOGGING_FORMAT
from rq.exceptions import StopRequested
from rq.executions import Execution
from rq.job import Job
from rq.queue import Queue
from rq.registry import StartedJobRegistry
from rq.suspension import is_suspended
from rq.utils import now
from rq.worker import DequeueStrategy, WorkerStatus

from ..concurrency import set_slots
from . import commands
from .bookkeeping import BATCH, Bookkeeping, Started, Unreadable, refuse_own_dequeuing
from .coroutines import CoroutineThreads
from .execution import Abandoned, JobRun, Killed
from .launcher import is_patched
from .persistence import UNREACHABLE, PersistentWorker
from .recorder import Recorder
from .scheduler import GreenletScheduler
from .timeouts import GeventDeathPenalty

#: Seconds between two looks at what is no job: suspension, strays, maintenance.
HOUSEKEEPING = 1.0
#: Jobs that are asked for where there were fewer than asked for the last time.
FEW = 4
#: Seconds a cold stop gives to greenlets that were told to end.
COLD_GRACE = 1.0


class GeventWorker(PersistentWorker):
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
        refuse_own_dequeuing(self.queue_class)
        for queue in self.queues:
            refuse_own_dequeuing(type(queue))
            queue.death_penalty_class = self.death_penalty_class
        self.concurrency = concurrency
        pool = self.connection.connection_pool
        # The loop, the flusher, pub/sub, a watcher for each queue, and jobs that go RQ's way.
        pool.max_connections = max(pool.max_connections, concurrency + len(self.queues) + 16)
        self.bookkeeping = Bookkeeping(self)
        self.recorder = Recorder(self)
        #: What runs, by execution id.
        self.running: dict[str, JobRun] = {}
        self.coroutines = CoroutineThreads(concurrency)
        #: Whether RQ's shutdown command was received.
        self.dismissed = False
        #: Called once the worker is registered and about to take jobs.
        self.on_ready: Callable[[], None] | None = None
        self._wake = Event()
        self._hungry = Event()
        #: The queues were empty at the last look, and no watcher has seen a job since.
        self._dry = False
        self._appetite = BATCH
        self.taken = 0
        self._cold = False
        self._signals: list[Any] = []
        self._housekept_at = 0.0
        self._maintenance: gevent.Greenlet[..., None] | None = None

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
        # RQ makes this registry itself where it cleans up, and would use SIGALRM there.
        StartedJobRegistry.death_penalty_class = self.death_penalty_class  # type: ignore[assignment]
        # Raises at once where the strategy is none.
        self._dequeue_strategy = DequeueStrategy(dequeue_strategy)
        set_slots(self.concurrency)
        self.bootstrap(logging_level, date_format, log_format)
        if with_scheduler:
            self._start_scheduler(burst, logging_level, date_format, log_format)
        self._install_signal_handlers()
        helpers: list[gevent.Greenlet[..., None]] = [
            gevent.spawn(self.recorder.run),
            gevent.spawn(self._heartbeat_loop),
        ]
        helpers += [gevent.spawn(self._watch_queue, key) for key in self.queue_keys()]
        try:
            if self.on_ready is not None:
                self.on_ready()
            with self.coroutines.in_charge():
                self._loop(burst, max_jobs, max_idle_time)
                if self.scheduler is not None:
                    self.stop_scheduler()
                self._drain()
                if not self.running:
                    self._idle()
        finally:
            if self._maintenance is not None:
                helpers.append(self._maintenance)
            gevent.killall(helpers)
            for watcher in self._signals:
                watcher.cancel()
            self.teardown()
        return bool(self.taken)

    def _loop(self, burst: bool, max_jobs: int | None, max_idle_time: int | None) -> None:
        idle_since = time.monotonic()
        delay = 1.0
        while not self._stop_requested:
            self._wake.clear()
            if max_jobs is not None and self.taken >= max_jobs:
                self.log.info("Worker %s: took %d jobs, quitting", self.name, self.taken)
                return
            try:
                if not self._housekept_at:
                    self._keep_house(burst)
                # Looked at before: what ends meanwhile may put more jobs on the queues.
                at_rest = not self.running and not self._maintenance
                free = self.concurrency - len(self.running)
                if max_jobs is not None:
                    free = min(free, max_jobs - self.taken)
                taken = 0
                if free > 0 and (not self._dry or (burst and at_rest)):
                    taken = self._take(free)
                # Behind the jobs, so that none of them waits for it.
                if time.monotonic() - self._housekept_at >= (
                    HOUSEKEEPING * 2 if taken else HOUSEKEEPING
                ):
                    self._keep_house(burst)
                if burst and at_rest and not taken:
                    taken = self._enqueue_ready()
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
            if burst and at_rest:
                self.log.info("Worker %s: done, quitting", self.name)
                return
            if max_idle_time is not None and time.monotonic() - idle_since >= max_idle_time:
                self.log.info("Worker %s: idle for %d s, quitting", self.name, max_idle_time)
                return
            if free > 0:
                self._hungry.set()
            # Woken by a job on a queue, a slot that gets free, a signal; the rest can wait.
            if not self._wake.wait(HOUSEKEEPING):
                self._dry = False

    def _keep_house(self, burst: bool) -> None:
        """What RQ's loop does between two jobs."""
        if is_suspended(self.connection):
            self.check_for_suspension(burst)
            if not self.running:
                self._idle()
        if not self.running and self._state == WorkerStatus.BUSY:
            self._idle()
        self._start_all(self.bookkeeping.strays())
        self._enqueue_ready()
        if self.should_run_maintenance_tasks and not self._maintenance:
            # It runs callbacks of jobs that were abandoned: ours do not wait for those.
            self._maintenance = gevent.spawn(self._maintain)
        self._housekept_at = time.monotonic()

    def _enqueue_ready(self) -> int:
        """Enqueue the jobs that became ready when several parents ended at the same moment.

        RQ's code passes over those, and looks again in its maintenance, every ten minutes: that
        many jobs seldom end at once there.
        """
        return sum(len(queue.ready_job_registry.cleanup()) for queue in self.queues)

    def _maintain(self) -> None:
        try:
            self.run_maintenance_tasks()
        except UNREACHABLE as error:
            self.log.warning("Worker %s: no maintenance: %s", self.name, error)
        except Exception:
            self.log.exception("Worker %s: maintenance failed", self.name)
            self.last_cleaned_at = now()  # type: ignore[assignment]
        finally:
            # A greenlet is true until it is dead, which this one is a moment after it wakes us.
            self._maintenance = None
            self._wake.set()

    def _take(self, limit: int) -> int:
        """Take jobs off the queues and start them; return how many."""
        limit = min(limit, self._appetite)
        batch = self.bookkeeping.pop(
            self._ordered_queues,
            limit,
            in_turn=self._dequeue_strategy != DequeueStrategy.DEFAULT,
        )
        self._dry = len(batch) < limit
        # Asking for many costs time that a single job would wait for.
        self._appetite = FEW if self._dry else BATCH
        self._start_all(batch)
        for taken in batch:
            self.reorder_queues(reference_queue=taken.queue)
        return len(batch)

    def _start_all(self, batch: list[Started | Unreadable]) -> None:
        for taken in batch:
            if isinstance(taken, Unreadable):
                self._bury(taken)
                continue
            self.taken += 1
            self._state = WorkerStatus.BUSY
            self.executions[taken.execution.id] = taken.execution
            self.running[taken.execution.id] = JobRun(self, taken)

    def job_ended(self, run: JobRun) -> None:
        """Called by a job in its last moment."""
        execution_id = run.started.execution.id
        self.executions.pop(execution_id, None)
        self.running.pop(execution_id, None)
        self._wake.set()

    def _watch_queue(self, key: str) -> None:
        """Wake the loop when there is a job on one queue, without taking it.

        Moving the first id to where it is already is a way to wait for it.
        """
        connection = self.connection.client()
        while True:
            self._hungry.wait()
            try:
                found = connection.blmove(key, key, self.dequeue_timeout, "LEFT", "LEFT")
            except UNREACHABLE:
                gevent.sleep(1.0)  # the loop notices and reports it
                continue
            if found is not None:
                self._dry = False
                self._hungry.clear()
                self._wake.set()

    def _heartbeat_loop(self) -> None:
        while True:
            gevent.sleep(min(self.job_monitoring_interval, 30))
            self._end_overdue()
            try:
                self.bookkeeping.heartbeat([run.started for run in self.running.values()])
            except UNREACHABLE as error:
                self.log.warning("Worker %s: no heartbeat: %s", self.name, error)

    def _end_overdue(self) -> None:
        """End the jobs that caught their timeout and never came to an end."""
        for run in self.running.values():
            if run.is_overdue(now()):
                job_id = run.started.job.id
                self.log.warning("Worker %s: job %s is past its timeout", self.name, job_id)
                run.end(Killed)

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
        if self._state == WorkerStatus.SUSPENDED:
            return
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
            # A terminal and a pool may both tell us, and mean one stop. RQ waits that long, too.
            asked_at = self._shutdown_requested_date
            if asked_at is None or now() - asked_at >= timedelta(seconds=1):
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
        runs = list(self.running.values())
        for run in runs:
            run.end(Abandoned)
        gevent.joinall([run.greenlet for run in runs], timeout=COLD_GRACE)

    def handle_payload(self, message: Any) -> None:
        """Obey a command that RQ sent over pub/sub."""
        commands.obey(self, parse_payload(message))

    def request_stop_execution(self, execution_id: str) -> None:
        """End one of our jobs; it is STOPPED then."""
        commands.stop_execution(self, execution_id)

    def kill_horse(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """End all running jobs: they fail, or are retried. There is no process to kill."""
        commands.end(self, Killed, lambda run: True)

    # RQ's scheduler.

    def _start_scheduler(
        self,
        burst: bool = False,
        logging_level: str | None = "INFO",
        date_format: str = DEFAULT_LOGGING_DATE_FORMAT,
        log_format: str = DEFAULT_LOGGING_FORMAT,
    ) -> None:
        self.scheduler = scheduler = GreenletScheduler(
            self.queues,
            connection=self.connection,
            logging_level=self.log.level if logging_level is None else logging_level,
            date_format=date_format,
            log_format=log_format,
            serializer=self.serializer,
        )
        if not burst:
            scheduler.start()
        elif scheduler.acquire_locks():
            try:
                scheduler.register_birth()
                scheduler.enqueue_scheduled_jobs()
            finally:
                scheduler.release_locks()
                scheduler.register_death()

    def stop_scheduler(self) -> None:
        if isinstance(self.scheduler, GreenletScheduler):
            self.scheduler.end()

    # One job at a time, for those who ask for it.

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run one job here and now, as :class:`rq.SimpleWorker` does."""
        execution: Execution = self.prepare_execution(job)
        self.perform_job(job, queue, execution)
        self._idle()
