"""The life of one forked child: open connections, run jobs, drain, leave."""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import random
import signal
import threading
import time

import gevent
import setproctitle
from django.db import DatabaseError, connections
from django.utils.module_loading import import_string
from django_rq.jobs import get_job_class
from django_rq.queues import get_queues
from django_rq.workers import get_exception_handlers
from redis.exceptions import RedisError
from rq.worker import DequeueStrategy

from .. import sentry
from ..runtime.processes import set_guardian
from . import siblings, vitals
from .gevent_worker import GeventWorker
from .supervisor.arbiter import SIGNALS
from .supervisor.children import Fallen, Seat
from .supervisor.exitcodes import ExitCode
from .supervisor.options import WorkerOptions
from .watchdog import Watchdog, dump_stacks

logger = logging.getLogger(__name__)

#: Seconds between two beats of the heart.
BEAT = 1.0
#: New objects after which Python searches for cyclic garbage.
GARBAGE = 50_000
#: Seconds for which gevent runs greenlets that are ready before it looks at the sockets again. With
#: its 5 ms a busy child would leave connections unused that were answered long ago.
SWITCH = 0.001
#: Part of the time within which a child has to respond that it waits for what it takes over.
INHERIT_WITHIN = 1 / 3
#: Seconds to hand over what Sentry has not sent yet.
SENTRY_TIMEOUT = 2.0


def come_to_rest() -> None:
    """End what the parent has started so far and must not share with its children.

    That is database connections with their pools, the event loop, and gevent's native threads:
    only the calling thread lives on in a child, where any lock that another one held stays locked.
    """
    connections.close_all()
    for connection in connections.all(initialized_only=True):
        if close_pool := getattr(connection, "close_pool", None):
            close_pool()
    gevent.get_hub().destroy(destroy_loop=True)
    # What is loaded by now stays: the collector of a child need not visit it, and by doing so copy
    # the memory that all children share.
    gc.collect()
    gc.freeze()


def live(seat: Seat, options: WorkerOptions) -> int:
    """Be a child of the arbiter until there is nothing more to do; return the exit code."""
    # The hub, and any connection that the parent had, stay on its side of the fork.
    gevent.reinit()
    set_guardian(seat.arbiter_pid)
    # Where each greenlet was spawned: gevent inspects the stack each time to find that out.
    gevent.config.track_greenlet_tree = False
    # A busy child makes a thousand objects a millisecond, and hardly any cycle among them. With
    # Python's 700 it would search for cycles all the time.
    gc.set_threshold(GARBAGE, 20, 20)
    gevent.setswitchinterval(SWITCH)
    random.seed()
    faulthandler.enable()
    _set_signals()
    try:
        worker = make_worker(seat.worker_name(os.getpid()), options)
        return Child(seat, options, worker).run()
    except Exception:
        logger.exception("Process %d failed", os.getpid())
        return ExitCode.CRASHED if seat.heart.ready else ExitCode.BOOT_FAILED


def _set_signals() -> None:
    """Replace what was inherited: the handlers are the arbiter's, the rest is from its parent."""
    # Ctrl-C reaches every process of the terminal, but it is for the arbiter to stop us.
    for signum in (signal.SIGINT, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(signum, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGUSR1, dump_stacks)
    # A shell ignores SIGQUIT in what it starts in the background. Until the worker handles it, a
    # cold stop must end this process.
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    # The arbiter has not blocked these, but its parent may have.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGQUIT, signal.SIGABRT})


def make_worker(name: str, options: WorkerOptions) -> GeventWorker:
    """Return the worker for ``options``, with Redis connections of its own."""
    queues = get_queues(
        *options.queues, job_class=options.job_class, queue_class=options.queue_class
    )
    return GeventWorker(
        queues,
        name=name,
        connection=queues[0].connection,
        exception_handlers=get_exception_handlers() or None,
        job_class=get_job_class(options.job_class),
        queue_class=type(queues[0]),
        serializer=queues[0].serializer,
        worker_ttl=options.worker_ttl,
        concurrency=options.concurrency,
    )


class Child:
    """One forked process: a worker, its heart, and services beside the jobs."""

    def __init__(self, seat: Seat, options: WorkerOptions, worker: GeventWorker) -> None:
        self.seat = seat
        self.options = options
        self.worker = worker
        self.watchdog = Watchdog(worker.name, seat.heart)
        #: Why it leaves without being told to.
        self.leaving: ExitCode | None = None
        self._stop_services = threading.Event()

    def run(self) -> int:
        """Run jobs until there is nothing more to do; return the exit code."""
        worker, options = self.worker, self.options
        worker.on_ready = self._ready
        if self.seat.number == 0 and options.services:
            # The services find work for the other children, as long as there are any.
            worker.is_needed = lambda: not self.seat.heart.alone
        try:
            worker.work(
                burst=options.burst,
                logging_level=options.log_level,
                max_jobs=options.max_jobs,
                max_idle_time=options.max_idle_time,
                with_scheduler=options.with_scheduler,
                dequeue_strategy=DequeueStrategy(options.dequeue_strategy),
            )
        finally:
            # We are leaving already. A second stop, for example from a systemd that signals each
            # process of a unit, must not turn that into a death.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            self._stop_services.set()
            connections.close_all()
            sentry.flush(SENTRY_TIMEOUT)
        if self.leaving is not None:
            return self.leaving
        if options.max_jobs is not None and worker.taken >= options.max_jobs:
            return ExitCode.RECYCLE
        if worker.dismissed and not options.burst:
            # As in RQ's worker pool: the command ends a worker, not the number of workers.
            return ExitCode.RECYCLE
        return ExitCode.OK

    def _ready(self) -> None:
        """Called when the worker is registered in RQ and about to take jobs."""
        for fallen in self.seat.fallen:
            self._succeed(fallen)
        gevent.spawn(self._beat)
        for path in self._services():
            service = import_string(path)
            threading.Thread(target=service, args=(self._stop_services,), daemon=True).start()
        # By now there are handlers for what the arbiter had blocked.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        logger.info("Worker %s is ready", self.worker.name)

    def _succeed(self, fallen: Fallen) -> None:
        """Take over what a child that died was doing."""
        name = fallen.name
        if self.options.heir is not None:
            # If the database does not answer, that must not keep us from being born.
            heir = gevent.spawn(import_string(self.options.heir), fallen)
            heir.join(self.options.hang_timeout * INHERIT_WITHIN)
        if count := siblings.recover(self.worker, name, fallen.culprit, fallen.silence):
            logger.warning("Worker %s: recovered %d jobs of %s", self.worker.name, count, name)

    def _services(self) -> tuple[str, ...]:
        services = self.options.services
        return (*services, *self.options.single_services) if self.seat.number == 0 else services

    def _beat(self) -> None:
        published_at = 0.0
        self.watchdog.start()
        signal.signal(signal.SIGUSR1, self.watchdog.dump)
        while True:
            self.seat.heart.beat()
            self._check_surroundings()
            if time.monotonic() - published_at >= vitals.INTERVAL:
                published_at = time.monotonic()
                gevent.spawn(self._publish)
            gevent.sleep(BEAT)

    def _check_surroundings(self) -> None:
        """Leave if the arbiter is gone, or if we have grown too large."""
        limit = self.options.max_memory
        if self.leaving is not None:
            return
        if os.getppid() != self.seat.arbiter_pid:
            logger.error("Worker %s: the arbiter is gone, quitting", self.worker.name)
            self._leave(ExitCode.ORPHANED)
        elif limit is not None and vitals.resident_memory() > limit * 1024 * 1024:
            logger.info("Worker %s: using more than %d MiB, quitting", self.worker.name, limit)
            self._leave(ExitCode.RECYCLE)

    def _leave(self, code: ExitCode) -> None:
        self.leaving = code
        self.worker.request_stop(signal.SIGTERM, None)

    def _publish(self) -> None:
        worker = self.worker
        busy = len(worker.running)
        setproctitle.setproctitle(f"rqgeventworker: {worker.name} {busy}/{worker.concurrency} jobs")
        try:
            vitals.publish(
                worker.connection, worker.name, busy=busy, concurrency=worker.concurrency
            )
        except (RedisError, DatabaseError):
            pass  # who works with them reports that they do not answer
