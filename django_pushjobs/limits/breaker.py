"""Backends that refuse our credentials or settings, or that are away, are left alone meanwhile.

A refusal that is certain says nothing about the message, so it burns no attempt: what is addressed
there waits. One refusal is not certain: anybody can register an address that a provider refuses in
the same words. So a pause is announced first, see :func:`announce`, and stands only if nothing is
accepted for :data:`NOTICE` seconds, by any process. The same holds for a provider that nobody can
reach: an outage.

While a backend is paused its requests stay PENDING and due, and none of them is enqueued except for
one now and then, the probe. If only one origin of a backend is paused, what is addressed there
waits, and the rest of each request is pushed; of those that have waited long enough, one push is
the probe. What the provider answers to a probe ends the pause or prolongs it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial, reduce
from operator import or_
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from .. import sentry
from ..conf import conf
from ..db import clock
from ..models import Pause
from ..models.push_requests import PushRequestQuerySet
from ..signals import backend_paused, backend_resumed

logger = logging.getLogger(__name__)

#: The error code of a pause because most addresses came back dead. No credentials were refused.
DEAD_WAVE = "dead_wave"

#: Seconds for which a process relies on what it knows about the pauses.
BELIEF = 1.0
#: Seconds between the announcement of a pause and the moment from which it stands: every process
#: hears of it meanwhile, and can tell that its own pushes are accepted.
NOTICE = 2 * BELIEF


class Place(NamedTuple):
    """What is paused.

    :param origin: "" for the whole backend.
    :param client_id: of the only client that it is paused for; 0 for everybody.
    """

    backend: str
    origin: str = ""
    client_id: int = 0


class Breaker:
    """What this process knows about the pauses."""

    def __init__(self) -> None:
        self.pauses: Mapping[Place, Pause] = {}
        self._known_until = 0.0

    def refresh(self, *, using: str) -> None:
        if time.monotonic() >= self._known_until:
            rows = Pause.objects.using(using)
            self.pauses = {Place(p.backend, p.origin, p.client_id): p for p in rows}
            self._known_until = time.monotonic() + BELIEF

    def forget(self) -> None:
        self._known_until = 0.0


_breaker = Breaker()


def pauses(*, using: str) -> Mapping[Place, Pause]:
    """Return all pauses, also those that do not stand yet, as they were a second ago at most."""
    _breaker.refresh(using=using)
    return _breaker.pauses


def paused_backends(*, using: str) -> list[Pause]:
    """Return the pauses of whole backends that stand now, those for everybody first."""
    known = pauses(using=using)
    if not known:
        return []
    now = clock.now()
    found = [p for place, p in known.items() if not place.origin and p.since <= now]
    return sorted(found, key=lambda pause: pause.client_id)


def paused_origins(backend: str, client_id: int | None) -> dict[str, Pause]:
    """Return what stands now of the pauses of ``backend`` that concern a client, by origin; "" is
    the whole backend.

    It makes no query: a process that claims push requests knows.
    """
    if not _breaker.pauses:
        return {}
    now = clock.now()
    found = [
        pause
        for place, pause in _breaker.pauses.items()
        if place.backend == backend and place.client_id in (0, client_id) and pause.since <= now
    ]
    return {pause.origin: pause for pause in sorted(found, key=lambda pause: -pause.client_id)}


def unreported(now: datetime, *, using: str) -> QuerySet[Pause]:
    """Return the pauses that stand and that nobody has heard of."""
    return Pause.objects.using(using).order_by().filter(is_reported=False, since__lte=now)


def report(now: datetime, *, using: str) -> None:
    """Tell people of each pause once, whichever process is the first to call this."""
    for pause in unreported(now, using=using):
        if unreported(now, using=using).filter(pk=pause.pk).update(is_reported=True):
            announce_begin(pause)


def announce_begin(pause: Pause) -> None:
    """Tell people that a pause has begun: a line in the log, an event, and a signal."""
    level = logging.WARNING if pause.is_outage else logging.ERROR
    logger.log(level, "Backend %s is paused: %s, %s", pause, pause.error_code, pause.error)
    if pause.is_outage:
        # An error that is logged is an event already.
        sentry.report(
            "A backend is paused: its provider cannot be reached",
            logger=__name__,
            tags={"push_request.backend": pause.backend, "pushjobs.error_code": pause.error_code},
        )
    backend_paused.send_robust(
        Pause, **_facts(pause), error_code=pause.error_code, error=pause.error
    )


def _announce_end(pause: Pause) -> None:
    seconds = (clock.now() - pause.since).total_seconds()
    logger.warning("Backend %s is no longer paused, after %.0f s", pause, seconds)
    backend_resumed.send_robust(Pause, **_facts(pause), seconds=seconds)


def _facts(pause: Pause) -> dict[str, Any]:
    names = ("backend", "origin", "client_id", "is_outage")
    return {name: getattr(pause, name) for name in names}


def forget() -> None:
    """Ask the database again at the next question."""
    _breaker.forget()


def shut_out(paused: Collection[Pause]) -> Q:
    """Return which push requests may not be claimed: those of paused backends except the probes."""
    concerned = reduce(or_, map(concerns, paused))
    probes = [pause.probe for pause in paused if pause.probe is not None]
    return concerned & ~Q(pk__in=probes)


def concerns(pause: Pause) -> Q:
    """Return which push requests wait for the end of the pause of a whole backend."""
    of_backend = Q(backend=pause.backend)
    return of_backend & Q(client=pause.client_id) if pause.client_id else of_backend


def announce(
    place: Place, error_code: str, error: str, *, using: str, is_outage: bool = False
) -> None:
    """Say that a place will be paused unless something is accepted there; harmless if it is."""
    pause(place, error_code, error, using=using, notice=NOTICE, is_outage=is_outage)


def pause(
    place: Place,
    error_code: str,
    error: str,
    *,
    using: str,
    notice: float = 0.0,
    is_outage: bool = False,
) -> bool:
    """Pause a place.

    :param notice: seconds until the pause stands.
    :param is_outage: it cannot be reached; otherwise it refuses us.
    :returns: whether it was not paused before.
    """
    since = clock.now() + timedelta(seconds=notice)
    _, is_new = Pause.objects.using(using).get_or_create(
        backend=place.backend,
        origin=place.origin[:255],
        client_id=place.client_id,
        defaults={
            "error_code": error_code[:64],
            "error": error,
            "since": since,
            "until": since + _first_wait(is_outage),
            "is_outage": is_outage,
        },
    )
    _breaker.forget()
    return is_new


def _first_wait(is_outage: bool) -> timedelta:
    return timedelta(seconds=conf().PROBE_EVERY if is_outage else conf().PAUSE_BASE)


def prolong(pause: Pause, error_code: str, error: str, *, using: str) -> None:
    """Leave a place alone for longer: its probe was refused, or nobody was there."""
    wait = timedelta(seconds=conf().PAUSE_CAP)
    if pause.is_outage:
        # It may be back at any moment, and one push now and then is nothing to it.
        wait = _first_wait(is_outage=True)
    elif pause.failures < 32:
        wait = min(wait, _first_wait(is_outage=False) * 2**pause.failures)
    Pause.objects.using(using).filter(pk=pause.pk, probe=pause.probe).update(
        failures=pause.failures + 1,
        until=clock.now() + wait,
        probe=None,
        error_code=error_code[:64],
        error=error,
    )
    _breaker.forget()


def resume(backend: str, origin: str | None = None, *, using: str) -> bool:
    """End the pause of a backend, or of one origin of it; return whether there was one.

    Whoever has heard that it began hears of its end, once, after the commit.

    :param origin: None for all pauses of the backend.
    """
    rows = Pause.objects.using(using).filter(backend=backend)
    if origin is not None:
        rows = rows.filter(origin=origin)
    # Another process may do the same.
    ended = [pause for pause in rows if rows.filter(pk=pause.pk).delete()[0]]
    _breaker.forget()
    for pause in ended:
        if pause.is_reported:
            transaction.on_commit(partial(_announce_end, pause), using=using)
    return bool(ended)


def probe(
    paused: Iterable[Pause], due: PushRequestQuerySet, now: datetime, *, using: str
) -> list[UUID]:
    """Let one request through of each backend whose pause has expired; return which.

    :param due: the requests to choose from.
    """
    chosen: list[UUID] = []
    for pause in paused:
        if pause.until > now:
            continue
        first = due.filter(concerns(pause)).order_by("next_attempt_at")
        request_id = first.values_list("pk", flat=True).first()
        if request_id is not None and become_probe(pause, request_id, using=using):
            chosen.append(request_id)
    return chosen


def become_probe(pause: Pause, request_id: UUID, *, using: str) -> bool:
    """Return whether a request is the one that finds out if a pause is over.

    If the probe is lost, or says nothing about what is wrong, there will be another one.
    """
    now = clock.now()
    moved = (
        Pause.objects.using(using)
        .filter(pk=pause.pk, until=pause.until, until__lte=now)
        .update(probe=request_id, until=now + _first_wait(pause.is_outage))
    )
    _breaker.forget()
    return bool(moved)
