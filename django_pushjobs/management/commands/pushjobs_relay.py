"""``manage.py pushjobs_relay``: the relay on its own, for sites whose workers do not run it."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ... import relay

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Command(BaseCommand):
    help = (
        "Enqueue push requests that are due or whose job was lost, release those whose worker is "
        "gone, and end those that have expired. Every rqgeventworker does this already. Only one "
        "relay of a site is active; if it goes away, another one takes over."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="do one round, print what was done, and stop"
        )

    def handle(self, *args: Any, once: bool, **options: Any) -> None:
        if once:
            done = relay.sweep()
            self.stdout.write(
                f"recovered {done.recovered}, expired {done.expired}, enqueued {done.enqueued}, "
                f"pruned {done.pruned}"
            )
            return
        stop = threading.Event()
        for signum in STOP_SIGNALS:
            signal.signal(signum, lambda *_: stop.set())
        # Whatever started us may have blocked or ignored them, as a shell does in the background.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        self.stdout.write("Relay: started")
        relay.run(stop)
