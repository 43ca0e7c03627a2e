"""Proof that a user holds an address that another user has: a code that is pushed to it.

A code is signed and holds all that it is good for, so nothing has to be stored, and the device
stays as it is until the code comes back.
"""

from __future__ import annotations

from typing import Any, Final

from django.core import signing
from django.db.models import Q

from ..models import Device

#: The member of ``data`` in which a code is pushed.
CHALLENGE: Final = "pushjobs_challenge"
#: Seconds for which a code is good.
LIFETIME: Final = 600
#: Characters; a code has about 100.
MAX_PROOF: Final = 512

_SALT: Final = "django_pushjobs.devices.proofs"


def code_for(device: Device, user: Any) -> str:
    """Return the code that lets ``user`` have ``device``, as long as its owner is the same."""
    return signing.dumps([device.pk, str(device.user_id), _name(user)], salt=_SALT)


def proved(code: str, user: Any) -> Q | None:
    """Return the condition for the device that ``code`` lets ``user`` have; None if there is none:
    the code is made up, too old, or was pushed for somebody else."""
    try:
        device_id, owner, asker = signing.loads(code, salt=_SALT, max_age=LIFETIME)
    except signing.BadSignature:
        return None
    return Q(pk=device_id, user=owner) if asker == _name(user) else None


def _name(user: Any) -> str:
    return "" if user is None else str(user.pk)
