"""The life of one forked child: connect anew, run jobs, drain, leave."""

from __future__ import annotations

import faulthandler
import logging
import os
import random
import signal
import threading

import gevent
import setproctitle
from django.db import connections
from django.utils.module_loading import import_string
from django_rq.jobs import get_job_class
from django_rq.queues import get_queues
from django_rq.workers import get_exception_handlers

from .. import sentry
from .arbiter import SIGNALS, Seat
from .exitcodes import ExitCode
from .gevent_worker import GeventWorker
from .options import WorkerOptions

logger = logging.getLogger(__name__)

#: Seconds between two beats of the heart.
BEAT = 1.0
#: Seconds to hand over what Sentry has not sent yet.
SENTRY_TIMEOUT = 2.0


def come_to_rest() -> None:
    """End what the parent has started so far and must not share with its children.

    That is database connections with their pools, the event loop, and gevent's native threads:
    of all threads only the calling one lives on in a child, and whatever lock another one held
    stays locked there.
    """
    connections.close_all()
    for connection in connections.all(initialized_only=True):
        if close_pool := getattr(connection, "close_pool", None):
            close_pool()
    gevent.get_hub().destroy(destroy_loop=True)


def live(seat: Seat, options: WorkerOptions) -> int:
    """Be a child of the arbiter until there is nothing more to do; return the exit code."""
    # The hub, and every connection that the parent may have had, stay on its side of the fork.
    gevent.reinit()
    random.seed()
    faulthandler.enable()
    setproctitle.setproctitle(f"rqgeventworker: {seat.name}")
    # Ctrl-C reaches every process of the terminal; it is the arbiter who tells us to stop. The
    # handlers we inherit are the arbiter's.
    for signum in (signal.SIGINT, signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(signum, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    try:
        worker = make_worker(seat.name, options)
    except Exception:
        logger.exception("Process %d cannot boot", os.getpid())
        return ExitCode.BOOT_FAILED
    return Child(seat, options, worker).run()


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
        self.exit_code = ExitCode.OK
        self._stop_services = threading.Event()

    def run(self) -> int:
        worker, options = self.worker, self.options
        worker.on_ready = self._ready
        try:
            worker.work(
                burst=options.burst,
                logging_level=options.log_level,
                max_jobs=options.max_jobs,
                max_idle_time=options.max_idle_time,
            )
        except ValueError:
            # A worker of this name is registered already.
            logger.exception("Process %d cannot register", os.getpid())
            return ExitCode.BOOT_FAILED
        finally:
            self._stop_services.set()
            connections.close_all()
            sentry.flush(SENTRY_TIMEOUT)
        if options.max_jobs is not None and not worker._stop_requested:
            return ExitCode.RECYCLE
        return self.exit_code

    def _ready(self) -> None:
        gevent.spawn(self._beat)
        if self.seat.slot == 0:
            for path in self.options.services:
                service = import_string(path)
                threading.Thread(target=service, args=(self._stop_services,), daemon=True).start()
        # From here on there are handlers for what the arbiter had blocked.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        logger.info("Worker %s is ready", self.seat.name)

    def _beat(self) -> None:
        while True:
            self.seat.heart.beat()
            if os.getppid() != self.seat.arbiter_pid and not self.worker._stop_requested:
                logger.error("Worker %s: the arbiter is gone, leaving", self.seat.name)
                self.exit_code = ExitCode.ORPHANED
                self.worker.request_stop(signal.SIGTERM, None)
            gevent.sleep(BEAT)
