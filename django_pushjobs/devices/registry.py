"""Register devices, forget them, drop them and revive them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db import router, transaction
from django.utils import timezone

from ..exceptions import FieldError, InvalidDevice
from ..models import Device, DeviceState, DeviceTag, address_hash
from .validation import backend_for, device_errors

#: Active devices per user. Every one of them gets every message, and nobody owns this many.
MAX_DEVICES: Final = 100

#: The reason of a device that a person has dropped.
OPERATOR: Final = "operator"


def register(
    user: Any,
    *,
    platform: str,
    address: str,
    app: str = "",
    locale: str = "",
    tags: Sequence[str] = (),
) -> tuple[Device, bool]:
    """Store a device of ``user``, or renew an existing one; return it, and whether it is new.

    Renewing makes a dropped device active again. It also moves a device that somebody else has
    registered: whoever holds the address is the one who uses the device now.

    :param user: a user of the project, or None for a device that is reached only by its tags.
    :param tags: all tags the device has from now on.
    :raises InvalidDevice: with an error for every field that is wrong.
    """
    if errors := list(device_errors(platform, address, app, locale, tags)):
        raise InvalidDevice(errors)
    now = timezone.now()
    key: dict[str, Any] = {"address_hash": address_hash(address), "platform": platform, "app": app}
    using = router.db_for_write(Device)
    with transaction.atomic(using=using):
        if user is not None:
            others = Device.objects.using(using).filter(user=user, state=DeviceState.ACTIVE)
            if others.exclude(**key).count() >= MAX_DEVICES:
                detail = f"this user already has {MAX_DEVICES} devices"
                raise InvalidDevice([FieldError("", detail, "too_many")])
        values = {
            "user": user,
            "backend": backend_for(platform, app),
            "address": address,
            "locale": locale,
            "state": DeviceState.ACTIVE,
            "reason": "",
            "evidence": {},
            "registered_at": now,
            "last_seen_at": now,
        }
        dropped = Device.objects.using(using).filter(**key, state=DeviceState.DROPPED)
        dropped.update(state_changed_at=now)
        device, is_new = Device.objects.using(using).update_or_create(**key, defaults=values)
        _set_tags(device, tags, using)
    return device, is_new


def _set_tags(device: Device, tags: Sequence[str], using: str) -> None:
    rows = DeviceTag.objects.using(using).filter(device=device)
    had = set(rows.values_list("name", flat=True))
    if gone := had - set(tags):
        rows.filter(name__in=gone).delete()
    if new := set(tags) - had:
        DeviceTag.objects.using(using).bulk_create(
            [DeviceTag(device=device, name=name) for name in sorted(new)], ignore_conflicts=True
        )


def unregister(user: Any, device_id: int) -> bool:
    """Forget a device of ``user``; return False if the user has no such device."""
    deleted, _ = Device.objects.filter(user=user, pk=device_id).delete()
    return bool(deleted)


def drop(device_ids: Sequence[int]) -> int:
    """Stop pushing to these devices, at an operator's request; return how many were active."""
    active = Device.objects.filter(pk__in=device_ids, state=DeviceState.ACTIVE)
    return active.update(
        state=DeviceState.DROPPED, reason=OPERATOR, evidence={}, state_changed_at=timezone.now()
    )


def revive(device_ids: Sequence[int]) -> int:
    """Push to these devices again; return how many had been dropped."""
    dropped = Device.objects.filter(pk__in=device_ids, state=DeviceState.DROPPED)
    return dropped.update(
        state=DeviceState.ACTIVE, reason="", evidence={}, state_changed_at=timezone.now()
    )
