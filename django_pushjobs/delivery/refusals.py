"""Refused credentials and outages pause a backend, or an origin of it; what is accepted there ends
the pause.

Anybody can make a provider refuse one address, so that one owner's addresses are refused proves
nothing. Those of two, with nothing accepted in between, are worth asking: see
:func:`..limits.breaker.announce`. An owner is a user, if the address is that of a device, or else
the client that named it; addresses that our own code named count one by one. If a single client
named all addresses that were refused, it is paused for that client alone.

A provider that does not take a message is away only if that happens to several addresses: a network
loses one now and then. One that refuses us is not away.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..backends import backends
from ..exceptions import ConfigurationError
from ..limits import breaker
from ..limits.breaker import Place
from ..models import Device, Pause, address_hash
from ..states import DeliveryStatus
from .results import Refusal, Settlement

logger = logging.getLogger(__name__)

#: Seconds for which a refusal is remembered.
WINDOW: Final = 60.0
#: Addresses of at least two owners, or of one client, that have to be refused, or not to be taken.
REFUSED: Final = 2
AWAY: Final = 5
#: The most that is remembered of one place.
MAX_WITNESSES: Final = 100


@dataclass(frozen=True, slots=True)
class Witness:
    """Somebody whose address was refused.

    :param owner: a name for whoever brought in the address.
    :param client_id: of the client, if it is one that brought it in; else 0.
    """

    owner: str
    address: str
    client_id: int = 0


#: Backend, origin, and whether nobody was there -> whose addresses were refused, and when, since
#: something was accepted.
_suspicions: dict[tuple[str, str, bool], dict[Witness, float]] = {}


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
        (place.backend for place in pauses), (backend for backend, *_ in _suspicions)
    )
    proven = _accepting([s for s in settlements if s.backend in watched])
    for backend, origin in proven:
        for is_outage in (True, False):
            _suspicions.pop((backend, origin, is_outage), None)
    for backend, origin in {(place.backend, place.origin) for place in pauses} & proven:
        breaker.resume(backend, origin, using=using)
    for settlement in refused:
        for refusal in settlement.refusals:
            place = settlement.backend, refusal.origin
            if place not in proven and _conclude(settlement, refusal, pauses, using):
                # Of what is announced nobody needs to hear more.
                proven.add(place)


def _accepting(settlements: Iterable[Settlement]) -> set[tuple[str, str]]:
    """Return where something was accepted: each backend as a whole, and each origin of it."""
    places: set[tuple[str, str]] = set()
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


def _conclude(
    settlement: Settlement, refusal: Refusal, pauses: Mapping[Place, Pause], using: str
) -> bool:
    """Return whether a pause for everybody was announced."""
    code, reason = refusal.error_code, refusal.error
    place = Place(settlement.backend, refusal.origin)
    standing = [
        pause
        for known in (place, place._replace(client_id=settlement.client_id or 0))
        if (pause := pauses.get(known)) is not None
    ]
    for pause in standing:
        if pause.probe == settlement.request_id:
            if refusal.is_outage == pause.is_outage:
                breaker.prolong(pause, code, reason, using=using)
            elif pause.is_outage:
                # Somebody is there.
                breaker.resume(pause.backend, pause.origin, using=using)
    if place in pauses:
        return False
    key = (*place[:2], refusal.is_outage)
    seen = _suspicions.setdefault(key, {})
    _remember(seen, _witness(settlement, refusal, using))
    if len(seen) < (AWAY if refusal.is_outage else REFUSED):
        return False
    if len({witness.owner for witness in seen}) > 1:
        del _suspicions[key]
        breaker.announce(place, code, reason, using=using, is_outage=refusal.is_outage)
        return True
    if not standing:
        only = place._replace(client_id=next(iter(seen)).client_id)
        breaker.announce(only, code, reason, using=using, is_outage=refusal.is_outage)
    return False


def _remember(seen: dict[Witness, float], witness: Witness) -> None:
    now = time.monotonic()
    for one in [one for one, at in seen.items() if at < now - WINDOW]:
        del seen[one]
    if len(seen) < MAX_WITNESSES or witness in seen:
        seen[witness] = now


def _witness(settlement: Settlement, refusal: Refusal, using: str) -> Witness:
    backend = settlement.backend
    key = address_hash(backends[backend].canonical(refusal.address))
    devices = Device.objects.using(using).filter(backend=backend, address_hash=key)
    user = devices.values_list("user", flat=True).first()
    if user is not None:
        # One address of a user is as good as all of them.
        return Witness(f"user {user}", "")
    if settlement.client_id is not None:
        return Witness(f"client {settlement.client_id}", key, settlement.client_id)
    return Witness(key, key)
