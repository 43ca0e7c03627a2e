"""``manage.py pushjobs_workers``: which workers are running, where, and how busy they are."""

from __future__ import annotations

import json
import signal
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from ...broker import Unavailable
from ...broker.queues import connection
from ...worker import vitals
from ...worker.vitals import Vitals

COLUMNS = ("NAME", "HOST", "PID", "STATE", "JOBS", "DONE", "AGE", "RSS", "QUEUES")


class Command(BaseCommand):
    help = "Show the processes of rqgeventworker: where they run, how busy and how large they are."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print a list of JSON objects")
        parser.add_argument(
            "--watch",
            type=float,
            nargs="?",
            const=2.0,
            metavar="SECONDS",
            help="show them again every SECONDS (2), until Ctrl-C",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._show(as_json=options["json"])
            if options["watch"]:
                # Whatever started us may ignore or block it, and Python leaves it at that.
                signal.signal(signal.SIGINT, signal.default_int_handler)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            while options["watch"]:
                time.sleep(options["watch"])
                if not options["json"]:
                    self.stdout.write("\x1b[H\x1b[2J", ending="")
                self._show(as_json=options["json"])
        except Unavailable as error:
            raise CommandError(f"cannot reach Redis: {error}") from None
        except DatabaseError as error:
            raise CommandError(f"cannot read the id of this site: {error}") from None
        except KeyboardInterrupt:
            pass

    def _show(self, *, as_json: bool) -> None:
        workers = vitals.read(connection())
        if as_json:
            self.stdout.write(json.dumps([vitals.as_dict(worker) for worker in workers]))
        elif workers:
            self.stdout.write(table([COLUMNS, *(_row(worker) for worker in workers)]))
        else:
            self.stdout.write("No rqgeventworker process is running.")


def _row(worker: Vitals) -> tuple[str, ...]:
    return (
        worker.name,
        worker.host,
        str(worker.pid),
        worker.state,
        f"{worker.busy}/{worker.concurrency}",
        f"{worker.done:,}",
        duration(worker.age),
        f"{worker.rss / 1024 / 1024:.0f} MiB",
        worker.queues,
    )


def duration(seconds: float) -> str:
    """Return a time span in its two largest units: ``3d 4h``, ``12m 5s``."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    units = [(days, "d"), (hour, "h"), (minute, "m"), (second, "s")]
    while len(units) > 1 and not units[0][0]:
        del units[0]
    return " ".join(f"{value}{unit}" for value, unit in units[:2])


def table(rows: list[tuple[str, ...]]) -> str:
    """Return rows of text as columns of equal width."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
