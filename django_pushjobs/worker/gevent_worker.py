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
from rq.utils import now
from rq.worker import DequeueStrategy, WorkerStatus

from ..runtime.greenlets import set_slots
from . import commands
from .bookkeeping import Bookkeeping, Taken, Unreadable, refuse_own_dequeuing
from .coroutines import CoroutineThreads
from .execution import Abandoned, JobRun, Killed
from .housekeeping import Housekeeper
from .intake import Intake
from .persistence import UNREACHABLE, PersistentWorker
from .recorder import Recorder
from .scheduler import GreenletScheduler
from .supervisor.launcher import is_patched
from .timeouts import GeventDeathPenalty

#: Seconds after which an idle loop looks at the queues although nobody has seen a job.
LOOK_AGAIN = 1.0
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
        self.intake = Intake(self)
        self.recorder = Recorder(self)
        self.house = Housekeeper(self)
        #: What runs, by execution id.
        self.running: dict[str, JobRun] = {}
        self.coroutines = CoroutineThreads(concurrency)
        #: Whether RQ's shutdown command was received.
        self.dismissed = False
        #: Called once the worker is registered and about to take jobs.
        self.on_ready: Callable[[], None] | None = None
        #: Asked before the worker leaves because it is idle.
        self.is_needed: Callable[[], bool] = lambda: False
        #: Jobs that were started.
        self.taken = 0
        self._wake = Event()
        self._active_at = 0.0
        self._cold = False
        self._signals: list[Any] = []

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
            gevent.spawn(self.house.run),
        ]
        self._active_at = time.monotonic()
        self.intake.start(ahead=max_jobs is None and not burst)
        try:
            if self.on_ready is not None:
                self.on_ready()
            with self.coroutines.in_charge():
                self._loop(burst, max_jobs, max_idle_time)
                self.intake.close()
                if self.scheduler is not None:
                    self.stop_scheduler()
                self._drain()
                if not self.running:
                    self.rest()
        finally:
            gevent.killall(helpers)
            self.house.end()
            for watcher in self._signals:
                watcher.cancel()
            self.teardown()
        return bool(self.taken)

    def _loop(self, burst: bool, max_jobs: int | None, max_idle_time: int | None) -> None:
        delay = 1.0
        while not self._stop_requested:
            self._wake.clear()
            if max_jobs is not None and self.taken >= max_jobs:
                self.log.info("Worker %s: took %d jobs, quitting", self.name, self.taken)
                return
            try:
                if not self.house.began:
                    self.house.begin(burst)
                # Looked at before: what ends meanwhile may put more jobs on the queues.
                at_rest = not self.running and not self.house.maintaining
                free = 0 if self.house.suspended else self.concurrency - len(self.running)
                if max_jobs is not None:
                    free = min(free, max_jobs - self.taken)
                taken = 0
                if free > 0 and (not self.intake.dry or (burst and at_rest)):
                    taken = self.intake.take(free)
                if burst and at_rest and not taken:
                    taken = self.house.enqueue_ready()
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
            if taken:
                continue
            if burst and at_rest and not self.house.suspended:
                self.log.info("Worker %s: done, quitting", self.name)
                return
            if self.running:
                self._active_at = time.monotonic()
            elif (
                max_idle_time is not None
                and time.monotonic() - self._active_at >= max_idle_time
                and not self.is_needed()
            ):
                self.log.info("Worker %s: idle for %d s, quitting", self.name, max_idle_time)
                return
            if free > 0:
                self.intake.want()
            # Woken by a job on a queue, a slot that gets free, a signal; the rest can wait.
            if not self._wake.wait(LOOK_AGAIN):
                self.intake.dry = False

    def look_for_jobs(self) -> None:
        """Have the loop look at the queues: there may be jobs."""
        self.intake.dry = False
        self._wake.set()

    def stop_working(self) -> None:
        """Take no more jobs, and end when the running ones have."""
        self._stop_requested = True
        self._wake.set()

    def start_all(self, batch: list[Taken]) -> None:
        """Run jobs that were taken, each in a greenlet."""
        unreadable = []
        for taken in batch:
            if isinstance(taken, Unreadable):
                unreadable.append(taken)
                continue
            self.taken += 1
            self._state = WorkerStatus.BUSY
            self.executions[taken.execution.id] = taken.execution
            self.running[taken.execution.id] = JobRun(self, taken)
            self._active_at = time.monotonic()
        # All jobs are known by now: this is the first time that others get their turn.
        for taken in unreadable:
            self._bury(taken)

    def job_ended(self, run: JobRun) -> None:
        """Called by a job in its last moment."""
        execution_id = run.started.execution.id
        self.executions.pop(execution_id, None)
        self.running.pop(execution_id, None)
        self._active_at = time.monotonic()
        self._wake.set()

    def rest(self) -> None:
        """Tell RQ that this worker is idle."""
        if self._state == WorkerStatus.SUSPENDED:
            return
        try:
            self.set_state(WorkerStatus.IDLE)
            if self.running:  # since a moment ago
                self.set_state(WorkerStatus.BUSY)
        except UNREACHABLE:
            self._state = WorkerStatus.BUSY if self.running else WorkerStatus.IDLE

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
        self.rest()
