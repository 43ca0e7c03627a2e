"""Refused credentials pause a backend; an answer that shows that they are good ends the pause."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ..limits import breaker
from ..models import AttemptEnd, Pause
from .results import Settlement

logger = logging.getLogger(__name__)


def note(settlements: Sequence[Settlement], *, using: str) -> None:
    """Draw conclusions about backends from what was settled, in the same transaction."""
    refused = {s.backend: s for s in settlements if s.end is AttemptEnd.PAUSED}
    for backend, settlement in refused.items():
        code, reason = settlement.error_code, settlement.error
        if breaker.pause(backend, code, reason, using=using, probe=settlement.request_id):
            logger.error("Backend %r is paused: %s, %s", backend, code, reason)
    answered = {s.backend for s in settlements if s.is_authorized} - refused.keys()
    pauses = breaker.pauses(using=using)
    for backend in answered & pauses.keys():
        if _is_over(pauses[backend], settlements):
            breaker.resume(backend, using=using)


def _is_over(pause: Pause, settlements: Sequence[Settlement]) -> bool:
    if pause.error_code != breaker.DEAD_WAVE:
        return True
    return any(s.backend == pause.backend and s.counts["accepted"] for s in settlements)
