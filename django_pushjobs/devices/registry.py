"""Register devices, forget them, drop them and revive them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.db import IntegrityError, connections, router, transaction
from django.db.models import Case, F, Q, Value, When
from django.utils import timezone

from ..backends import backends
from ..db.deadlocks import atomically
from ..exceptions import FieldError, InvalidDevice, ProofRequired
from ..models import Device, DeviceState, DeviceTag, address_hash
from .proofs import code_for, proved
from .validation import backend_for, device_errors, proof_errors

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
    trusted: bool = True,
    proof: str = "",
) -> tuple[Device, bool]:
    """Store a device of ``user``, or renew an existing one; return it, and whether it is new.

    Renewing makes a dropped device active again. It also moves a device that somebody else has
    registered, or that was registered for another app: whoever holds the address is the one who
    uses the device now. Two spellings of an address are one address, see
    ``BasePushBackend.canonical``.

    :param user: a user of the project, or None for a device that is reached only by its tags.
    :param tags: all tags the device has from now on.
    :param trusted: whether the caller vouches that ``user`` holds the address. If not, an active
        device of another user is only moved with a ``proof``.
    :param proof: the code that was pushed to the address, see :exc:`.ProofRequired`.
    :raises InvalidDevice: with an error for every field that is wrong.
    :raises ProofRequired: the address is in use by another user, and there is no proof.
    """
    errors = [*device_errors(platform, address, app, locale, tags), *proof_errors(proof)]
    if errors:
        raise InvalidDevice(errors)
    now = timezone.now()
    backend = backends[backend_for(platform, app) or ""]
    key = address_hash(backend.canonical(address))
    values = {
        "user": user,
        "platform": platform,
        "app": app,
        "backend": backend.alias,
        "address": address,
        "locale": locale,
        "state": DeviceState.ACTIVE,
        "reason": "",
        "evidence": {},
        "registered_at": now,
        "last_seen_at": now,
    }
    using = router.db_for_write(Device)

    def store() -> tuple[Device, bool]:
        if user is not None:
            _queue_up(user, using)
        is_new = _store(key, values, using, _movable(user, trusted, proof))
        if isinstance(is_new, Device):
            raise _refusal(is_new, backend.alias, user, proof)
        if user is not None:
            _check_room(user, key, using)
        device = Device.objects.using(using).get(address_hash=key)
        _set_tags(device, tags, using)
        return device, is_new

    return atomically(store, using=using)


def _queue_up(user: Any, using: str) -> None:
    """Wait for the other registrations of ``user``: they count one after the other.

    It comes first: a new device takes a weaker lock on its user, and of many who have that none
    could get this one. SQLite has one writer anyway.
    """
    if connections[using].features.has_select_for_update:
        users = get_user_model()._base_manager.using(using)
        users.select_for_update().filter(pk=user.pk).first()


def _check_room(user: Any, key: str, using: str) -> None:
    others = Device.objects.using(using).filter(user=user, state=DeviceState.ACTIVE)
    if others.exclude(address_hash=key).count() >= MAX_DEVICES:
        detail = f"this user already has {MAX_DEVICES} devices"
        raise InvalidDevice([FieldError("", detail, "too_many")])


def _movable(user: Any, trusted: bool, proof: str) -> Q:
    """Return the condition for devices that may become those of ``user``."""
    if trusted:
        return Q()
    free = Q(user=user) | Q(user=None) | ~Q(state=DeviceState.ACTIVE)
    moved = proved(proof, user) if proof else None
    return free if moved is None else free | moved


def _refusal(device: Device, backend: str, user: Any, proof: str) -> InvalidDevice | ProofRequired:
    """Return what to say if ``device`` stays with its owner."""
    if proof:
        detail = "is wrong or too old; register without it to get another one"
        return InvalidDevice([FieldError("/proof", detail, "invalid_proof")])
    return ProofRequired(device.pk, backend, code_for(device, user))


def _store(key: str, values: Mapping[str, Any], using: str, movable: Q) -> bool | Device:
    """Write the one row of an address, and return whether it is new; or the row that is there, if
    it is not ``movable``.

    It writes before it reads: so SQLite waits for its turn, and in the other databases whoever
    registers the same address at the same time waits for this transaction to end.

    :raises IntegrityError: other processes register and delete it all the time.
    """
    now = values["registered_at"]
    # First, because MariaDB evaluates the assignments of an UPDATE one after the other.
    since = Case(When(state=DeviceState.DROPPED, then=Value(now)), default=F("state_changed_at"))
    rows = Device.objects.using(using).filter(address_hash=key)
    for attempts_left in (2, 1, 0):
        if rows.filter(movable).update(state_changed_at=since, **values):
            return False
        if (taken := rows.first()) is not None:
            if attempts_left and rows.filter(movable).exists():
                # It has come, or become movable, in between.
                continue
            return taken
        try:
            with transaction.atomic(using=using):
                Device.objects.using(using).create(address_hash=key, state_changed_at=now, **values)
            return True
        except IntegrityError:
            # Somebody else was faster, or the user is gone.
            if not attempts_left:
                raise
    raise AssertionError("unreachable")


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
    using = router.db_for_write(Device)
    mine = Device.objects.using(using).filter(user=user, pk=device_id)

    def forget() -> bool:
        # Locks the row, so that nobody who registers the address meanwhile gives it new tags. As in
        # _store(), SQLite has to write first.
        if not mine.update(state_changed_at=F("state_changed_at")):
            return False
        mine.delete()
        return True

    return atomically(forget, using=using)


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
