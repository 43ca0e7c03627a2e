"""Backends whose credentials or settings are refused are left alone until they are mended.

A refusal says nothing about the message, so it burns no attempt: the request waits for its backend.
While a backend is paused its requests stay PENDING and due, and none of them is enqueued except for
one now and then, the probe. What the provider answers to that ends the pause or prolongs it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from ..conf import conf
from ..models import Pause
from ..models.push_requests import PushRequestQuerySet

logger = logging.getLogger(__name__)

#: The error code of a pause because most addresses came back dead. No credentials were refused, so
#: only a push that is accepted ends it.
DEAD_WAVE = "dead_wave"

#: Seconds for which a process relies on what it knows about the pauses.
BELIEF = 1.0


class Breaker:
    """What this process knows about the pauses."""

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
    """Ask the database again at the next question."""
    _breaker.forget()


def shut_out(pauses: Mapping[str, Pause]) -> Q:
    """Return which push requests may not be claimed: those of paused backends except the probes."""
    probes = [pause.probe for pause in pauses.values() if pause.probe is not None]
    return Q(backend__in=list(pauses)) & ~Q(pk__in=probes)


def pause(
    backend: str, error_code: str, error: str, *, using: str, probe: UUID | None = None
) -> bool:
    """Pause a backend; if it is paused already, prolong that if its probe is what failed.

    :param probe: the request that was refused; None if no single one was.
    :returns: whether the backend was not paused before.
    """
    now = timezone.now()
    reason = {"error_code": error_code[:64], "error": error}
    pause, is_new = Pause.objects.using(using).get_or_create(
        backend=backend,
        defaults={**reason, "until": now + timedelta(seconds=conf().PAUSE_BASE)},
    )
    if not is_new and (probe is None or pause.probe != probe):
        return False
    if not is_new:
        wait = min(conf().PAUSE_CAP, conf().PAUSE_BASE * 2 ** min(pause.failures, 32))
        pause.failures += 1
        pause.until = now + timedelta(seconds=wait)
        pause.probe = None
        pause.error_code, pause.error = reason["error_code"], reason["error"]
        pause.save(using=using)
    _breaker.forget()
    return is_new


def resume(backend: str, *, using: str) -> bool:
    """End the pause of a backend; return whether there was one."""
    deleted, _ = Pause.objects.using(using).filter(backend=backend).delete()
    _breaker.forget()
    if deleted:
        logger.warning("Backend %r is no longer paused", backend)
    return bool(deleted)


def probe(
    pauses: Iterable[Pause], due: PushRequestQuerySet, now: datetime, *, using: str
) -> list[UUID]:
    """Let one request through of each backend whose pause has expired; return which.

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
        # If the probe is lost, or says nothing about the credentials, there will be another one.
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
