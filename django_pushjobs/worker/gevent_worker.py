"""An RQ worker that runs many jobs at once, each in a greenlet."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable
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

from ..conf import conf
from ..runtime.greenlets import set_slots
from . import commands
from .allowed_jobs import guard, problem_with
from .coroutines import CoroutineThreads
from .dequeuing import Dequeuer, refuse_own_dequeuing
from .endings import Abandoned, Killed
from .execution import JobRun
from .housekeeping import Housekeeper
from .intake import Intake
from .keepalive import Keepalive
from .recorder import Recorder
from .resilient_worker import UNREACHABLE, ResilientWorker
from .scheduler import GreenletScheduler
from .supervisor.launcher import is_patched
from .taken import Taken, Unfit
from .timeouts import GeventDeathPenalty

#: Seconds after which an idle loop checks the queues although no watcher has seen a job.
LOOK_AGAIN = 1.0
#: Seconds before the first retry when Redis does not answer.
RETRY_AFTER = 1.0
#: Seconds that a cold stop gives to greenlets that were told to end.
COLD_GRACE = 1.0


class GeventWorker(ResilientWorker):
    """Can be used wherever RQ takes a worker class, and runs ``concurrency`` jobs at a time.

    gevent must have patched the process from its start, as ``rqgeventworker`` makes sure.

    :raises RuntimeError: it has not.
    :raises TypeError: a queue class hands out jobs in its own way, which would be bypassed.
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
            guard(queue)
        self.concurrency = concurrency
        pool = self.connection.connection_pool
        # The loop, the recorder, pub/sub, a watcher for each queue, and jobs that go RQ's way.
        pool.max_connections = max(pool.max_connections, concurrency + len(self.queues) + 16)
        #: The jobs that are running, by execution id.
        self.running: dict[str, JobRun] = {}
        dequeuer = Dequeuer(self)
        self.housekeeper = Housekeeper(self, dequeuer)
        self.intake = Intake(self, dequeuer, self.housekeeper)
        self.recorder = Recorder(self)
        self.keepalive = Keepalive(self)
        self.coroutines = CoroutineThreads(concurrency)
        #: Whether RQ's shutdown command was received.
        self.dismissed = False
        #: Called once the worker is registered and about to take jobs.
        self.on_ready: Callable[[], None] | None = None
        #: Asked before the worker leaves because it is idle.
        self.is_needed: Callable[[], bool] = lambda: False
        #: How many jobs were started.
        self.taken = 0
        self._burst = False
        self._max_jobs: int | None = None
        self._max_idle_time: int | None = None
        self._wake = Event()
        #: Nothing was running when the last turn began.
        self._at_rest = False
        self._active_at = 0.0
        self._retry_after = RETRY_AFTER
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
        # RQ makes this registry itself when it cleans up, and would use SIGALRM there.
        StartedJobRegistry.death_penalty_class = self.death_penalty_class  # type: ignore[assignment]
        # Raises at once if there is no such strategy.
        self._dequeue_strategy = DequeueStrategy(dequeue_strategy)
        self._burst, self._max_jobs, self._max_idle_time = burst, max_jobs, max_idle_time
        set_slots(self.concurrency)
        self.bootstrap(logging_level, date_format, log_format)
        if with_scheduler:
            self._start_scheduler(burst, logging_level, date_format, log_format)
        self._install_signal_handlers()
        helpers: list[gevent.Greenlet[..., None]] = [
            gevent.spawn(self.recorder.run),
            gevent.spawn(self.keepalive.run),
            gevent.spawn(self.housekeeper.run),
        ]
        self._active_at = time.monotonic()
        self.intake.start(ahead=max_jobs is None and not burst)
        try:
            if self.on_ready is not None:
                self.on_ready()
            with self.coroutines.in_charge():
                self._loop()
                self.intake.close()
                if self.scheduler is not None:
                    self.stop_scheduler()
                self._drain()
                if not self.running:
                    self.rest()
        finally:
            gevent.killall(helpers)
            self.housekeeper.end()
            for watcher in self._signals:
                watcher.cancel()
            self.teardown()
        return bool(self.taken)

    def _loop(self) -> None:
        """Take jobs until told to stop, or until there is a reason to leave."""
        while not self._stop_requested:
            self._wake.clear()
            try:
                took_some = self.turn()
            except StopRequested:
                return
            except UNREACHABLE as error:
                self._sit_out(error)
                continue
            if took_some:
                continue
            if self._may_leave():
                return
            self.wait()

    def turn(self) -> bool:
        """Take as many jobs as there is room for; return whether there may be more to take.

        :raises StopRequested: the workers are suspended, and a burst does not wait.
        :raises redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: Redis does not
            answer.
        """
        if self._took_all():
            return False
        if not self.housekeeper.began:
            self.housekeeper.begin(self._burst)
        # Noted before: what ends in the course of this may put more jobs on the queues.
        self._at_rest = not self.running and not self.housekeeper.maintaining
        room, ending = self._room(), self._burst and self._at_rest
        more = 0
        if room > 0 and (ending or not self.intake.dry):
            more = self.intake.take(room)
        if ending and not more:
            more = self.housekeeper.enqueue_ready()
        self._retry_after = RETRY_AFTER
        return more > 0

    def wait(self) -> None:
        """Return when there may be a job to take, or anything else to do."""
        if self._room() > 0:
            self.intake.want()
        # Woken by a job on a queue, a job that ended, a signal; everything else can wait.
        if not self._wake.wait(LOOK_AGAIN):
            self.intake.dry = False

    def _may_leave(self) -> bool:
        """Return whether this worker has done what it was started for."""
        if self._took_all():
            self.log.info("Worker %s: took %d jobs, quitting", self.name, self.taken)
            return True
        if self._burst and self._at_rest and not self.housekeeper.suspended:
            self.log.info("Worker %s: done, quitting", self.name)
            return True
        if self.running:
            self._active_at = time.monotonic()
            return False
        limit = self._max_idle_time
        if limit is None or time.monotonic() - self._active_at < limit or self.is_needed():
            return False
        self.log.info("Worker %s: idle for %d s, quitting", self.name, limit)
        return True

    def _took_all(self) -> bool:
        """Return whether it has started as many jobs as it may in its life."""
        return self._max_jobs is not None and self.taken >= self._max_jobs

    def _room(self) -> int:
        """Return how many more jobs may be started now."""
        if self.housekeeper.suspended:
            return 0
        room = self.concurrency - len(self.running)
        return room if self._max_jobs is None else min(room, self._max_jobs - self.taken)

    def _sit_out(self, error: Exception) -> None:
        """Wait for a while: Redis does not answer."""
        self.log.error(
            "Worker %s: cannot reach Redis, retrying in %d s: %s",
            self.name,
            self._retry_after,
            error,
        )
        gevent.sleep(self._retry_after)
        longer = self._retry_after * self.exponential_backoff_factor
        self._retry_after = min(longer, self.max_connection_wait_time)

    # What the parts ask for.

    def look_for_jobs(self) -> None:
        """Have the loop look at the queues: there may be jobs."""
        self.intake.dry = False
        self._wake.set()

    def stop_working(self) -> None:
        """Take no more jobs, and end when the running ones have."""
        self._stop_requested = True
        self._wake.set()

    def start_all(self, batch: Iterable[Taken]) -> None:
        """Run jobs that were taken off their queues, each in a greenlet."""
        unfit = []
        for taken in batch:
            if isinstance(taken, Unfit):
                unfit.append(taken)
                continue
            self.taken += 1
            self._state = WorkerStatus.BUSY
            self.executions[taken.execution.id] = taken.execution
            self.running[taken.execution.id] = JobRun(self, self.recorder, taken)
            self._active_at = time.monotonic()
        # By now all jobs are known: this is the first time that other greenlets get their turn.
        for taken in unfit:
            self._bury(taken)

    def job_ended(self, execution_id: str) -> None:
        """Make room for another job; called by a job as the last thing it does."""
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

    def _bury(self, unfit: Unfit) -> None:
        """Fail a job that is not run, and call nothing that it names; the worker lives on.

        Its record stays as it is: the job can be requeued once the reason is gone.
        """
        self.log.error("Worker %s: failing job %s: %s", self.name, unfit.job_id, unfit.reason)
        job = Job(unfit.job_id, connection=self.connection, serializer=self.serializer)
        job.origin = unfit.queue.name
        job._data = b""
        self.handle_job_failure(
            job, unfit.queue, exc_string=unfit.reason, execution=unfit.execution
        )

    # Signals and commands.

    def _install_signal_handlers(self) -> None:
        """Let the hub deliver TERM and INT (warm, then cold) and QUIT (cold).

        RQ's own handlers raise in whichever greenlet happens to be running.
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
            # A terminal and a pool may both signal us, and mean one stop. RQ waits that long, too.
            asked_at = self._shutdown_requested_date
            if asked_at is None or now() - asked_at >= timedelta(seconds=1):
                self.request_force_stop(signum, frame)
            return
        self._shutdown_requested_date = now()
        self._stop_requested = True
        self.log.info("Worker %s: warm stop: waiting for %d jobs", self.name, len(self.running))
        self._wake.set()
        try:
            self.set_shutdown_requested_date()
        except UNREACHABLE:
            pass

    def request_force_stop(self, signum: int, frame: Any) -> None:
        """Cold stop: end the running jobs where they are."""
        self.log.warning("Worker %s: cold stop: terminating %d jobs", self.name, len(self.running))
        self._stop_requested = self._cold = True
        self._wake.set()

    def _drain(self) -> None:
        """Wait for the running jobs, unless the stop is or becomes a cold one."""
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
        """End one of our jobs; it is ``STOPPED``."""
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
        if burst:
            scheduler.run_once()
        else:
            scheduler.start()

    def stop_scheduler(self) -> None:
        """End the scheduler, if it runs in this process."""
        if isinstance(self.scheduler, GreenletScheduler):
            self.scheduler.end()

    # One job at a time, for callers that ask for it.

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run one job here and now, as :class:`rq.SimpleWorker` does."""
        execution: Execution = self.prepare_execution(job)
        if problem := problem_with(job, conf().allowed_jobs(queue.name)):
            self._bury(Unfit(job.id, queue, execution, problem))
        else:
            self.perform_job(job, queue, execution)
        self.rest()
