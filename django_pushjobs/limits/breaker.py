"""Backends whose credentials or settings are refused are left alone until they are mended.

A refusal says nothing of the message, so it burns no attempt: the request waits for its backend.
While a backend is paused its requests are PENDING and due, and nobody rings for them, but for one
now and then, the probe. What the provider answers to it ends the pause, or makes it longer.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from ..conf import conf
from ..models import AttemptEnd, Pause
from ..models.querysets import PushRequestQuerySet

if TYPE_CHECKING:
    from ..delivery.settlements import Settlement

logger = logging.getLogger(__name__)

#: The error code of a pause because most addresses came back dead: a refusal of nobody, so only a
#: push that is accepted ends it.
DEAD_WAVE = "dead_wave"

#: Seconds for which a process believes what it knows of the pauses.
BELIEF = 1.0


class Breaker:
    """What this process knows of the pauses."""

    def __init__(self) -> None:
        self._pauses: dict[str, Pause] = {}
        self._known_until = 0.0

    def pauses(self, *, using: str) -> Mapping[str, Pause]:
        """Return the pauses by backend, as they were a second ago at most."""
        if time.monotonic() >= self._known_until:
            self._pauses = {pause.backend: pause for pause in Pause.objects.using(using)}
            self._known_until = time.monotonic() + BELIEF
        return self._pauses

    def forget(self) -> None:
        self._known_until = 0.0


_breaker = Breaker()


def pauses(*, using: str) -> Mapping[str, Pause]:
    """Return the pauses by backend, as they were a second ago at most."""
    return _breaker.pauses(using=using)


def forget() -> None:
    """Look anew at the next question."""
    _breaker.forget()


def shut_out(pauses: Mapping[str, Pause]) -> Q:
    """Return which push requests may not be claimed: those of paused backends but the probes."""
    probes = [pause.probe for pause in pauses.values() if pause.probe is not None]
    return Q(backend__in=list(pauses)) & ~Q(pk__in=probes)


def note(settlements: Sequence[Settlement], *, using: str) -> None:
    """Draw conclusions from what was settled, in the same transaction."""
    refused = {s.backend: s for s in settlements if s.end is AttemptEnd.PAUSED}
    for settlement in refused.values():
        _pause(settlement, using)
    heard = {s.backend for s in settlements if s.heard} - refused.keys()
    pauses = _breaker.pauses(using=using)
    for backend in heard & pauses.keys():
        if _ends(pauses[backend], settlements):
            resume(backend, using=using)


def _ends(pause: Pause, settlements: Iterable[Settlement]) -> bool:
    if pause.error_code != DEAD_WAVE:
        return True
    return any(s.backend == pause.backend and s.counts["accepted"] for s in settlements)


def pause(backend: str, error_code: str, error: str, *, using: str) -> bool:
    """Pause a backend, and return whether it was not paused before."""
    _, is_new = Pause.objects.using(using).get_or_create(
        backend=backend,
        defaults={
            "error_code": error_code,
            "error": error,
            "until": timezone.now() + timedelta(seconds=conf().PAUSE_BASE),
        },
    )
    _breaker.forget()
    return is_new


def _pause(settlement: Settlement, using: str) -> None:
    now = timezone.now()
    pause, is_new = Pause.objects.using(using).get_or_create(
        backend=settlement.backend,
        defaults={
            "error_code": settlement.error_code[:64],
            "error": settlement.error,
            "until": now + timedelta(seconds=conf().PAUSE_BASE),
        },
    )
    if is_new:
        _breaker.forget()
        logger.error(
            "Backend %r is paused: %s, %s",
            settlement.backend,
            settlement.error_code,
            settlement.error,
        )
    elif pause.probe == settlement.request_id:
        wait = min(conf().PAUSE_CAP, conf().PAUSE_BASE * 2 ** min(pause.failures, 32))
        pause.failures += 1
        pause.until = now + timedelta(seconds=wait)
        pause.probe = None
        pause.error_code, pause.error = settlement.error_code[:64], settlement.error
        pause.save(using=using)
        _breaker.forget()


def resume(backend: str, *, using: str) -> bool:
    """End the pause of a backend; return whether there was one."""
    deleted, _ = Pause.objects.using(using).filter(backend=backend).delete()
    _breaker.forget()
    if deleted:
        logger.warning("Backend %r is not paused any more", backend)
    return bool(deleted)


def probe(
    pauses: Iterable[Pause], due: PushRequestQuerySet, now: datetime, *, using: str
) -> list[UUID]:
    """Let one request of each backend through whose pause has run out; return which.

    :param due: the requests to choose from.
    """
    chosen: list[UUID] = []
    for pause in pauses:
        if pause.until > now:
            continue
        first = due.filter(backend=pause.backend).order_by("next_attempt_at")
        request_id = first.values_list("pk", flat=True).first()
        if request_id is None:
            continue
        # Where the probe is lost, or says nothing about the credentials, there is another one.
        moved = (
            Pause.objects.using(using)
            .filter(backend=pause.backend, until=pause.until)
            .update(probe=request_id, until=now + timedelta(seconds=conf().PAUSE_BASE))
        )
        if moved:
            chosen.append(request_id)
    if chosen:
        _breaker.forget()
    return chosen
