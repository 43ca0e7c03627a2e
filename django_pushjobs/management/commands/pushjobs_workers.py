"""``manage.py pushjobs_workers``: what runs where."""

from __future__ import annotations

import json
import time
from typing import Any

import django_rq
from django.core.management.base import BaseCommand, CommandError, CommandParser
from redis import Redis

from ...broker import Unavailable
from ...conf import conf
from ...worker import vitals
from ...worker.vitals import Vitals

COLUMNS = ("NAME", "HOST", "PID", "STATE", "JOBS", "DONE", "AGE", "RSS", "QUEUES")


class Command(BaseCommand):
    help = "Show the processes of rqgeventworker: where they run, how busy and how large they are."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="as a list of JSON objects")
        parser.add_argument(
            "--watch",
            type=float,
            nargs="?",
            const=2.0,
            metavar="SECONDS",
            help="show it again and again, every SECONDS (2), until Ctrl-C",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        connection = django_rq.get_connection(conf().QUEUES["normal"])
        try:
            self._show(connection, as_json=options["json"])
            while options["watch"]:
                time.sleep(options["watch"])
                if not options["json"]:
                    self.stdout.write("\x1b[H\x1b[2J", ending="")
                self._show(connection, as_json=options["json"])
        except Unavailable as error:
            raise CommandError(f"Redis is not reachable: {error}") from None
        except KeyboardInterrupt:
            pass
        finally:
            connection.close()

    def _show(self, connection: Redis, *, as_json: bool) -> None:
        workers = vitals.read(connection)
        if as_json:
            self.stdout.write(json.dumps([vitals.as_dict(worker) for worker in workers]))
        elif workers:
            self.stdout.write(table([COLUMNS, *(_row(worker) for worker in workers)]))
        else:
            self.stdout.write("No process of rqgeventworker is alive.")


def _row(worker: Vitals) -> tuple[str, ...]:
    return (
        worker.name,
        worker.host,
        str(worker.pid),
        worker.state,
        f"{worker.busy}/{worker.slots}",
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
