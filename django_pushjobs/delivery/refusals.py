"""Refused credentials pause a backend, or an origin of it; what is accepted there ends the pause.

Anybody can make a provider refuse one address, so that one owner's addresses are refused proves
nothing. Those of two, with nothing accepted in between, are worth asking: see
:func:`..limits.breaker.announce`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from typing import Final

from ..backends import backends
from ..exceptions import ConfigurationError
from ..limits import breaker
from ..limits.breaker import Place
from ..models import Device, address_hash
from ..states import DeliveryStatus
from .results import Refusal, Settlement

logger = logging.getLogger(__name__)

#: Seconds for which a refusal is remembered.
WINDOW: Final = 60.0

#: Whose addresses were refused, and when, since something was accepted there.
_suspicions: dict[Place, dict[str, float]] = {}


def forget() -> None:
    """Forget all refusals."""
    _suspicions.clear()


def note(settlements: Sequence[Settlement], *, using: str) -> None:
    """Draw conclusions about backends from what was settled, in the same transaction.

    If nothing is refused, paused or under suspicion this costs next to nothing.
    """
    pauses = breaker.pauses(using=using)
    refused = [s for s in settlements if s.refusals]
    if not (refused or pauses or _suspicions):
        return
    watched = {s.backend for s in refused}.union(
        (backend for backend, _ in pauses), (backend for backend, _ in _suspicions)
    )
    proven = _accepting([s for s in settlements if s.backend in watched])
    for place in proven:
        _suspicions.pop(place, None)
        if place in pauses:
            breaker.resume(*place, using=using)
    for settlement in refused:
        for refusal in settlement.refusals:
            if refusal.place in proven:
                continue
            if (pause := pauses.get(refusal.place)) is None:
                _suspect(refusal, using)
            elif pause.probe == settlement.request_id:
                breaker.prolong(pause, refusal.error_code, refusal.error, using=using)


def _accepting(settlements: Iterable[Settlement]) -> set[Place]:
    """Return where something was accepted: each backend as a whole, and each origin of it."""
    places: set[Place] = set()
    for settlement in settlements:
        for result in settlement.deliveries:
            if result.status is DeliveryStatus.ACCEPTED:
                places.add((settlement.backend, ""))
                try:
                    origin = backends[settlement.backend].origin_of(result.address)
                except ConfigurationError:
                    continue
                places.add((settlement.backend, origin or ""))
    return places


def _suspect(refusal: Refusal, using: str) -> None:
    now = time.monotonic()
    seen = _suspicions.setdefault(refusal.place, {})
    seen[_owner_of(refusal, using)] = now
    for owner in [owner for owner, at in seen.items() if at < now - WINDOW]:
        del seen[owner]
    if len(seen) > 1:
        del _suspicions[refusal.place]
        breaker.announce(refusal.place, refusal.error_code, refusal.error, using=using)


def _owner_of(refusal: Refusal, using: str) -> str:
    """Return a name for whoever brought in an address: a user, if it is that of a device."""
    backend = refusal.place[0]
    key = address_hash(backends[backend].canonical(refusal.address))
    devices = Device.objects.using(using).filter(backend=backend, address_hash=key)
    user = devices.values_list("user", flat=True).first()
    return key if user is None else f"user {user}"
