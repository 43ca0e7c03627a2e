"""``manage.py pushjobs_callbacks replay``: sends callbacks again that a third party has lost."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from ...callbacks import replays
from ...models import CallbackEndpoint, EndpointState


class Command(BaseCommand):
    help = "Send callbacks again, with the same ids and bodies."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        replay = actions.add_parser("replay", help="send again what happened since a given time")
        replay.add_argument(
            "--since",
            required=True,
            metavar="TIME",
            help="replay what happened at or after this time, such as 2030-01-31T12:00:00Z; "
            "without an offset the time is in TIME_ZONE",
        )
        replay.add_argument("--client", metavar="NAME", help="only to the endpoints of this client")
        replay.add_argument("--endpoint", type=UUID, metavar="ID", help="only to this endpoint")
        replay.add_argument(
            "--failed", action="store_true", help="leave out what has already been delivered"
        )

    def handle(
        self,
        *args: Any,
        since: str,
        client: str | None,
        endpoint: UUID | None,
        failed: bool,
        **options: Any,
    ) -> None:
        endpoints = CallbackEndpoint.objects.exclude(state=EndpointState.DISABLED)
        if client is not None:
            endpoints = endpoints.filter(client__name=client)
        if endpoint is not None:
            endpoints = endpoints.filter(pk=endpoint)
        found = list(endpoints)
        if not found:
            raise CommandError("no such endpoint, or it is disabled")
        replayed = replays.replay_since(_time(since), endpoints=found, failed_only=failed)
        self.stdout.write(f"replayed {replayed}")


def _time(text: str) -> datetime:
    try:
        time = parse_datetime(text)
    except ValueError:
        time = None
    if time is None:
        raise CommandError(f"--since: {text!r} is not a time such as 2030-01-31T12:00:00Z")
    return timezone.make_aware(time) if timezone.is_naive(time) else time
