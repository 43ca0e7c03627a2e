"""Faults of clocks: those of two machines disagree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import ClassVar
from uuid import UUID

from django.utils import timezone

from django_pushjobs.exceptions import InvalidTransition
from django_pushjobs.states import Status

from ..audit import Row
from ..world import World
from .fault import Fault
from .gateway import GatewayErrors
from .servers import RedisFlush

WORKER_LOST = "worker_lost"
#: Seconds by which a clock is ahead, and after which something is to be sent.
AHEAD = 300
LATER = 120
#: How many push requests are to be sent then.
LATE = 20


class Clocks(Fault):
    name = "clocks"
    summary = f"the clock of one of two workers is {AHEAD} s ahead: nothing is taken over or early"
    workers = 2
    odd: ClassVar = {
        "LD_PRELOAD": "libfaketime.so.1",
        "FAKETIME": f"+{AHEAD}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }

    def __init__(self) -> None:
        library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
        if library is not None:
            self.odd = Clocks.odd | {"LD_PRELOAD": str(library)}
        self._is_there = library is not None

    def missing(self) -> str:
        return "" if self._is_there else "there is no libfaketime"

    def parts(self, world: World) -> list[tuple[Fault, float]]:
        # The lease of the relay is gone now and then, so that both of them sweep.
        return [(RedisFlush(), 0.7), (GatewayErrors(), 0.5)]

    @contextmanager
    def stage(self, world: World) -> Iterator[dict[str, str]]:
        # These need the settings.
        from django_pushjobs.models import PushRequest
        from django_pushjobs.services import Submission, cancel, submit_many

        send_at = timezone.now() + timedelta(seconds=LATER)
        rows = submit_many(
            Submission(recipients=[f"later-{number}"], title="Chaos", send_at=send_at)
            for number in range(LATE)
        )
        self._later = PushRequest.objects.filter(pk__in=[row.pk for row in rows])
        try:
            yield {"CHAOS_CLOCKS": "1"}
        finally:
            for row in self._later:
                with suppress(InvalidTransition):
                    cancel(row.pk)

    def audit(self, world: World, rows: Mapping[UUID, Row]) -> Iterator[str]:
        if lost := [key for key, row in rows.items() if WORKER_LOST in chain(*(row.journal or ()))]:
            yield f"{len(lost)} push requests were taken from the living: {lost[:3]}"
        if early := self._later.exclude(status=Status.PENDING).count():
            yield f"{early} push requests were sent before their time"
