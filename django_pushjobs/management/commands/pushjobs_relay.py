"""``manage.py pushjobs_relay``: the relay on its own, where no worker shall run it."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ... import relay


class Command(BaseCommand):
    help = (
        "Ring for push requests that are due or whose job was lost, free those whose worker is "
        "gone, and end what has expired. Every rqgeventworker does this already; of several "
        "relays one is active, and another one takes over where it is gone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="look once, print what was moved, and end"
        )

    def handle(self, *args: Any, once: bool, **options: Any) -> None:
        if once:
            done = relay.sweep()
            self.stdout.write(
                f"recovered {done.recovered}, expired {done.expired}, rung {done.enqueued}, "
                f"pruned {done.pruned}"
            )
            return
        stop = threading.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda *_: stop.set())
        self.stdout.write("Relay: started")
        relay.run(stop)
