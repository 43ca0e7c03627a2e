"""Dead addresses drop their devices, unless there are too many of them to be true.

A dropped device keeps the evidence. But if most of what a backend pushes comes back dead, it is not
the devices that died: somebody has mixed up the provider's sandbox and production, or the keys of
two apps. Then no device is dropped, those dropped in the last minutes are revived, and the backend
is paused as if its credentials had been refused.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.utils import timezone

from ..backends import backends
from ..conf import conf
from ..devices import OPERATOR
from ..limits import breaker
from ..limits.breaker import Place
from ..models import Device, DeviceState, address_hash
from ..states import DeliveryStatus
from .results import DeliveryResult, Settlement

logger = logging.getLogger(__name__)

#: Seconds of pushes that are judged together.
WINDOW: Final = 300.0
#: Users of whom a device has to die in a window before that can be a wave: one who registers many
#: dead addresses is none.
WAVE_MINIMUM: Final = 20

WAVE_DETAIL: Final = (
    "the provider says that most addresses are dead: are its sandbox and production, or the "
    "credentials of two apps, mixed up?"
)


class Tally:
    """Pushes of one backend by this process in the last :data:`WINDOW` seconds."""

    def __init__(self) -> None:
        self._entries: deque[tuple[float, int, int, Collection[object]]] = deque()
        self.pushes = self.dead = 0
        self.owners: Counter[object] = Counter()

    def add(self, pushes: int, dead: int, owners: Collection[object]) -> None:
        """Count pushes, the addresses among them that are dead, and whose devices those are."""
        now = time.monotonic()
        self._entries.append((now, pushes, dead, owners))
        self.pushes += pushes
        self.dead += dead
        self.owners.update(owners)
        while self._entries[0][0] < now - WINDOW:
            _, pushes, dead, owners = self._entries.popleft()
            self.pushes -= pushes
            self.dead -= dead
            self.owners -= Counter(owners)

    @property
    def is_wave(self) -> bool:
        share = conf().DEAD_WAVE_SHARE
        return len(self.owners) >= WAVE_MINIMUM and self.dead > share * self.pushes


_tallies: dict[str, Tally] = {}


def forget() -> None:
    """Start counting afresh."""
    _tallies.clear()


def note(settlements: Sequence[Settlement], *, using: str) -> None:
    """Draw conclusions about devices from what was settled, in the same transaction. If nothing is
    dropped this costs a few additions and no query."""
    registered = set(conf().DEVICE_BACKENDS.values())
    if not registered:
        return
    for backend in {s.backend for s in settlements} & registered:
        mine = [s for s in settlements if s.backend == backend]
        canonical = backends[backend].canonical
        dead = {
            address_hash(canonical(result.address)): (settlement.root_id, result)
            for settlement in mine
            if settlement.counts["dropped"]
            for result in settlement.deliveries
            if result.status is DeliveryStatus.DROPPED
        }
        devices = _devices(backend, dead, using) if dead else []
        tally = _tallies.setdefault(backend, Tally())
        origin_of = backends[backend].origin_of
        # A provider for which nobody vouches may call as many addresses dead as it likes.
        vouched = [device for device in devices if origin_of(device.address) is not None]
        owners = {device.user_id or f"device {device.pk}" for device in vouched}
        unvouched = len(devices) - len(vouched)
        tally.add(sum(len(s.deliveries) for s in mine), len(dead) - unvouched, owners)
        if not devices:
            continue
        pause = breaker.pauses(using=using).get(Place(backend))
        if tally.is_wave or (pause is not None and pause.error_code == breaker.DEAD_WAVE):
            _stop(backend, using)
        else:
            _drop(devices, dead, using)


def _devices(
    backend: str, dead: Mapping[str, tuple[UUID, DeliveryResult]], using: str
) -> list[Device]:
    """Return the active devices with these addresses, locked, that were registered before."""
    rows = Device.objects.using(using).filter(
        address_hash__in=list(dead), backend=backend, state=DeviceState.ACTIVE
    )
    locked = (
        rows.select_for_update()
        .order_by("pk")
        .only("address", "address_hash", "registered_at", "user_id")
    )
    return [d for d in locked if _is_meant(d.registered_at, dead[d.address_hash][1])]


def _is_meant(registered_at: datetime, result: DeliveryResult) -> bool:
    """Return False if a device has registered since: while the push was under way, or after the
    provider found its address to be dead."""
    found_before = result.dead_at is not None and result.dead_at <= registered_at
    return registered_at <= result.started_at and not found_before


def _drop(
    devices: Sequence[Device], dead: Mapping[str, tuple[UUID, DeliveryResult]], using: str
) -> None:
    now = timezone.now()
    for device in devices:
        request_id, result = dead[device.address_hash]
        device.state = DeviceState.DROPPED
        device.reason = result.error_code[:64] or "dropped"
        device.evidence = _evidence(request_id, result)
        device.state_changed_at = now
    fields = ["state", "reason", "evidence", "state_changed_at"]
    Device.objects.using(using).bulk_update(devices, fields, batch_size=500)
    logger.info("Dropped %d devices: their addresses are dead", len(devices))


def _evidence(request_id: UUID, result: DeliveryResult) -> dict[str, Any]:
    return {
        "detail": result.error,
        "push_request": str(request_id),
        "delivery": str(result.delivery_id),
    }


def _stop(backend: str, using: str) -> None:
    revived = _revive(backend, timezone.now() - timedelta(seconds=WINDOW), using)
    if breaker.pause(Place(backend), breaker.DEAD_WAVE, WAVE_DETAIL, using=using):
        logger.error("Backend %r: %s Revived %d devices", backend, WAVE_DETAIL, revived)
    _tallies.pop(backend, None)


def _revive(backend: str, since: datetime, using: str) -> int:
    """Make devices active again that were dropped since then because of what the provider said."""
    dropped = Device.objects.using(using).filter(
        backend=backend, state=DeviceState.DROPPED, state_changed_at__gte=since
    )
    return dropped.exclude(reason=OPERATOR).update(
        state=DeviceState.ACTIVE, reason="", evidence={}, state_changed_at=timezone.now()
    )
