"""The timeline of one push request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ..models import Attempt, PushRequest
from ..states import Status
from .formatting import duration, moment


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that has happened, or that is going to happen.

    :param gap: the time since the step before; for a step that is still to come, the time until it.
    """

    label: str
    at: datetime
    gap: str
    to_come: bool

    @property
    def moment(self) -> SafeString | None:
        return moment(self.at, fine=True)


def timeline(request: PushRequest, now: datetime) -> list[Step]:
    """Return the steps of ``request`` in chronological order, with the attempts in its journal."""
    steps: list[Step] = []
    before: datetime | None = None
    # Sorting is stable: simultaneous steps keep the order in which they happen.
    for label, at in sorted(_moments(request), key=_time):
        if at > now:
            gap = _("in %(duration)s") % {"duration": duration(at - now)}
        elif before is not None:
            gap = f"+ {duration(at - before)}"
        else:
            gap = ""
        steps.append(Step(label, at, gap, to_come=at > now))
        before = at
    return steps


def _time(labelled: tuple[str, datetime]) -> datetime:
    return labelled[1]


def _moments(request: PushRequest) -> Iterator[tuple[str, datetime]]:
    attempt: dict[str, Any] = {"attempt": request.counted_attempts, "limit": request.attempt_limit}
    started = (
        _("started attempt %(attempt)s")
        if request.attempt_limit is None
        else _("started attempt %(attempt)s of %(limit)s")
    )
    for entry in request.journal.all():
        yield _attempt_label(entry), entry.finished_at
    times = [
        (_("created"), request.created_at),
        # Once it is queued, it no longer matters that it had to wait.
        (_("not before"), request.send_at if request.queued_at is None else None),
        (_("queued"), request.queued_at),
        (started % attempt, request.started_at),
        (_("cancellation requested"), request.cancel_requested_at),
        (_("next attempt"), _unless_same(request.next_attempt_at, request.send_at)),
        (_("the worker's claim expires unless it is renewed"), request.lease_expires_at),
        (request.get_status_display(), request.finished_at),
    ]
    if not request.is_final or request.status == Status.EXPIRED:
        times.append((_("expires"), request.expires_at))
    for label, at in times:
        if at is not None:
            yield label, at


def _unless_same(at: datetime | None, other: datetime | None) -> datetime | None:
    return None if at == other else at


def _attempt_label(entry: Attempt) -> str:
    words = {"number": entry.number, "end": entry.get_end_display(), "code": entry.error_code}
    if entry.error_code:
        return _("attempt %(number)d: %(end)s (%(code)s)") % words
    return _("attempt %(number)d: %(end)s") % words
