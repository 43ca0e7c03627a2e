"""The devices of our own users: register, unregister, drop and revive.

Apps and pages tell us where their users can be reached; resolvers make addresses of users and tags;
what a provider says of an address comes back in :mod:`.verdicts`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.db import router, transaction
from django.utils import timezone

from ..backends import backends
from ..conf import conf
from ..exceptions import FieldError, InvalidDevice
from ..models import Device, DeviceState, DeviceTag, Platform, address_hash

#: Characters; a Web Push subscription as JSON fits.
MAX_ADDRESS: Final = 4_096
#: Active devices of one user; nobody has so many, and each of them gets every message.
MAX_DEVICES: Final = 100
MAX_TAGS: Final = 50

_TAG: Final = re.compile(r"[\w.:/-]{1,64}")
_LOCALE: Final = re.compile(r"[A-Za-z0-9]{1,8}(?:[-_][A-Za-z0-9]{1,8})*")
_APP: Final = re.compile(r"[\w.-]{1,100}")

#: The reason of a device that a person has dropped.
OPERATOR: Final = "operator"


def backend_for(platform: str, app: str) -> str | None:
    """Return the alias that reaches devices of a platform, or None where there is none.

    ``DEVICE_BACKENDS`` is asked for ``platform:app`` first.
    """
    aliases = conf().DEVICE_BACKENDS
    return aliases.get(f"{platform}:{app}") or aliases.get(platform)


def register(
    user: Any,
    *,
    platform: str,
    address: str,
    app: str = "",
    locale: str = "",
    tags: Sequence[str] = (),
) -> tuple[Device, bool]:
    """Store a device of ``user``, or renew one that is there; return it, and whether it is new.

    Renewing makes a dropped device active again, and moves one that was registered by somebody
    else: whoever holds the address is who uses the device now.

    :param user: of the project; None for a device of nobody in particular, reached by its tags.
    :param tags: all tags it has from now on.
    :raises InvalidDevice: something about it is wrong; every field at fault is named.
    """
    if errors := list(_errors(platform, address, app, locale, tags)):
        raise InvalidDevice(errors)
    now = timezone.now()
    key: dict[str, Any] = {"address_hash": address_hash(address), "platform": platform, "app": app}
    using = router.db_for_write(Device)
    with transaction.atomic(using=using):
        if user is not None:
            others = Device.objects.using(using).filter(user=user, state=DeviceState.ACTIVE)
            if others.exclude(**key).count() >= MAX_DEVICES:
                error = FieldError("", f"there are {MAX_DEVICES} devices already", "too_many")
                raise InvalidDevice([error])
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
    """Forget a device of ``user``; return False where the user has no such device."""
    deleted, _ = Device.objects.filter(user=user, pk=device_id).delete()
    return bool(deleted)


def drop(device_ids: Sequence[int]) -> int:
    """Push no more to these devices, by an operator's word; return how many were active."""
    active = Device.objects.filter(pk__in=device_ids, state=DeviceState.ACTIVE)
    return active.update(
        state=DeviceState.DROPPED, reason=OPERATOR, evidence={}, state_changed_at=timezone.now()
    )


def revive(device_ids: Sequence[int]) -> int:
    """Push to these devices again; return how many were dropped."""
    dropped = Device.objects.filter(pk__in=device_ids, state=DeviceState.DROPPED)
    return dropped.update(
        state=DeviceState.ACTIVE, reason="", evidence={}, state_changed_at=timezone.now()
    )


def _errors(platform: Any, address: Any, app: Any, locale: Any, tags: Any) -> Iterator[FieldError]:
    app_is_fine = app == "" or (isinstance(app, str) and _APP.fullmatch(app) is not None)
    if not app_is_fine:
        yield FieldError("/app", "is a name such as com.example.shop", "invalid")
    alias = None
    if platform not in Platform.values:
        known = ", ".join(Platform.values)
        yield FieldError("/platform", f"must be one of {known}", "invalid_choice")
    elif app_is_fine and (alias := backend_for(platform, app)) is None:
        yield FieldError("/platform", "is not pushed to by this server", "no_backend")
    yield from _address_errors(address, alias)
    if locale != "" and not (isinstance(locale, str) and _LOCALE.fullmatch(locale)):
        yield FieldError("/locale", "is a language tag such as de-AT", "invalid")
    elif len(locale) > 35:
        yield FieldError("/locale", "has more than 35 characters", "too_long")
    if isinstance(tags, str) or not isinstance(tags, Sequence):
        yield FieldError("/tags", "must be a list", "invalid_type")
    elif len(tags) > MAX_TAGS:
        yield FieldError("/tags", f"has more than {MAX_TAGS} tags", "too_many")
    else:
        for index, tag in enumerate(tags):
            if problem := tag_problem(tag):
                yield FieldError(f"/tags/{index}", problem, "invalid")


def _address_errors(address: Any, alias: str | None) -> Iterator[FieldError]:
    if not isinstance(address, str) or not address.strip():
        yield FieldError("/address", "must be a string that is not blank", "invalid_type")
    elif len(address) > MAX_ADDRESS:
        yield FieldError("/address", f"has more than {MAX_ADDRESS} characters", "too_long")
    elif not address.isprintable():
        yield FieldError("/address", "may not hold control characters", "control_characters")
    elif alias is not None and (problem := backends[alias].problem_with(address)):
        yield FieldError("/address", problem, "invalid_address")


def tag_problem(tag: Any) -> str | None:
    """Return in a sentence what is wrong with the name of a tag, or None."""
    if isinstance(tag, str) and _TAG.fullmatch(tag):
        return None
    return "a tag has 1 to 64 letters, digits and any of _ . : / -"
