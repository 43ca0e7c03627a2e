"""``manage.py rqgeventworker``: options in, arbiter, exit code out."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import setproctitle
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django_rq.queues import get_queues
from rq.worker import DequeueStrategy

from ... import sentry
from ...broker import Unavailable
from ...conf import conf
from ...worker import logs, siblings
from ...worker.supervisor.arbiter import PROBE, VETERANS, Arbiter
from ...worker.supervisor.launcher import MARKER, exec_patched, is_patched
from ...worker.supervisor.options import OptionError, WorkerOptions

RELAY = "django_pushjobs.relay.run"
HEIR = "django_pushjobs.relay.inherit"
RELOADER = "django_pushjobs.worker.reloader.run"
LOG_LEVELS = {0: "WARNING", 1: "INFO", 2: "DEBUG", 3: "DEBUG"}

DEFAULTS = WorkerOptions(queues=(), name="defaults")


class Command(BaseCommand):
    help = (
        "Run RQ jobs on gevent: pre-forked processes that each run many jobs at once. "
        "Signals to the first process: TERM or INT stops it once the running jobs have ended, a "
        "second one stops it at once; HUP loads new code without an interruption; TTIN adds a "
        "process, TTOU removes one; USR1 writes the stacks of all greenlets and threads to the log."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("queues", nargs="*", metavar="queue", help="RQ queues, the most important first "
            "(default: the queues of PUSHJOBS)")  # fmt: skip
        add("--processes", type=int, default=DEFAULTS.processes, metavar="N",
            help="number of processes to keep running (default: %(default)s)")  # fmt: skip
        add("--concurrency", type=int, default=DEFAULTS.concurrency, metavar="M",
            help="number of jobs one process runs at once (default: %(default)s)")  # fmt: skip
        add("--burst", action="store_true", help="stop when the queues are empty")
        add("--name", help="first part of the workers' names in RQ (default: host and process id)")
        add("--pid", metavar="FILE", help="write the id of the first process to this file")
        add("--max-jobs", type=int, metavar="N", help="replace a process after it has run N jobs")
        add("--max-idle-time", type=int, metavar="SECONDS",
            help="end a process that has been idle for this long")  # fmt: skip
        add("--with-scheduler", action="store_true",
            help="move RQ's scheduled jobs to their queues when they are due")  # fmt: skip
        add("--dequeue-strategy", choices=[strategy.value for strategy in DequeueStrategy],
            default=DEFAULTS.dequeue_strategy, help="which queue jobs are taken from next "
            "(default: %(default)s, the first queue with jobs)")  # fmt: skip
        add("--worker-ttl", type=int, default=DEFAULTS.worker_ttl, metavar="SECONDS",
            help="how long RQ considers a silent worker alive (default: %(default)s)")  # fmt: skip
        add("--graceful-timeout", type=float, default=DEFAULTS.graceful_timeout, metavar="SECONDS",
            help="how long a stop waits for running jobs (default: %(default)s)")  # fmt: skip
        add("--hang-timeout", type=float, default=DEFAULTS.hang_timeout, metavar="SECONDS",
            help="how long a process may be unresponsive before it is killed and replaced "
            "(default: %(default)s)")  # fmt: skip
        add("--job-class", metavar="PATH", help="dotted path of the RQ job class")
        add("--queue-class", metavar="PATH", help="dotted path of the RQ queue class")
        add("--max-memory", type=int, metavar="MIB",
            help="replace a process that uses more memory, once its jobs have ended")  # fmt: skip
        add("--log-format", choices=logs.FORMATS, default="text",
            help="text, or json for one object per line (default: %(default)s)")  # fmt: skip
        add("--reload", action="store_true",
            help="load new code as soon as it is saved; for development")  # fmt: skip
        add("--no-relay", action="store_true", help="leave running the relay to other workers")

    def handle(self, *args: Any, **options: Any) -> None:
        worker_options = self._worker_options(options)
        if not is_patched():
            if sys.argv[1:2] != ["rqgeventworker"]:
                raise CommandError(
                    "gevent must patch first: start this program with 'python -m gevent.monkey'"
                )
            exec_patched()
        os.environ.pop(MARKER, None)
        # What the children run can only be imported once gevent has patched.
        from ...worker.child import come_to_rest, live

        try:
            logs.set_up(worker_options.log_level, options["log_format"])
        except ImportError as error:
            raise CommandError(f"--log-format json needs python-json-logger: {error}") from None
        if os.environ.pop(PROBE, None):
            return  # this code starts, which is all that the arbiter wanted to know
        self._check(worker_options)
        setproctitle.setproctitle(f"rqgeventworker: {worker_options.name} (arbiter)")
        come_to_rest()
        # An event that the arbiter has not sent before it forks would be sent by the child, too.
        sentry.ignore("django_pushjobs.worker.supervisor.arbiter")
        with _pid_file(worker_options.pid):
            sys.exit(Arbiter(worker_options, partial(live, options=worker_options)).run())

    def _worker_options(self, options: dict[str, Any]) -> WorkerOptions:
        given = {
            name: options[name]
            for name in WorkerOptions.__dataclass_fields__
            if options.get(name) is not None and name != "queues"
        }
        ours = [conf().QUEUES[priority] for priority in ("high", "normal", "low")]
        queues = tuple(dict.fromkeys(options["queues"] or ours))
        if unknown := [queue for queue in queues if queue not in settings.RQ_QUEUES]:
            known = ", ".join(settings.RQ_QUEUES)
            raise CommandError(f"queue {unknown[0]!r} is not in RQ_QUEUES (known: {known})")
        try:
            return WorkerOptions(
                queues=queues,
                services=() if options["no_relay"] else (RELAY,),
                single_services=(RELOADER,) if options["reload"] else (),
                heir=HEIR,
                log_level=LOG_LEVELS[options["verbosity"]],
                **given,
            )
        except OptionError as error:
            raise CommandError(str(error)) from None

    def _check(self, options: WorkerOptions) -> None:
        """
        :raises CommandError: Redis does not answer, or the name is in use.
        """
        try:
            connection = get_queues(*options.queues)[0].connection
        except ValueError as error:
            raise CommandError(str(error)) from None
        try:
            namesakes = siblings.alive(connection, options.name)
        except Unavailable as error:
            raise CommandError(f"cannot reach Redis: {error}") from None
        finally:
            connection.close()
        # After a reload the children from before it have our name.
        if namesakes and VETERANS not in os.environ:
            raise CommandError(f"--name {options.name} is taken: {namesakes[0]} is alive")


@contextmanager
def _pid_file(path: str | None) -> Iterator[None]:
    if path is None:
        yield
        return
    file = Path(path).expanduser()
    try:
        file.write_text(f"{os.getpid()}\n")
    except OSError as error:
        raise CommandError(f"--pid {path}: {error.strerror}") from None
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
