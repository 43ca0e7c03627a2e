"""Ask an address who holds it: push a code there, which only an app on that device can read."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone

from .. import services
from ..devices.proofs import CHALLENGE, LIFETIME
from ..exceptions import FieldError, InvalidDevice, InvalidPushRequest, ProofRequired
from ..models import PushRequest

#: Seconds in which a user can have one address asked once: it is somebody's device.
EVERY: Final = 30


def challenge(user: Any, address: str, required: ProofRequired) -> datetime:
    """Push the code to ``address``, unless that was done just now; return when it expires.

    :raises InvalidDevice: nothing can be pushed to it.
    """
    now = timezone.now()
    reference = f"{CHALLENGE}-{required.device_id}-{user.pk}"
    recent = PushRequest.objects.filter(reference=reference, client=None)
    expires_at = (
        recent.filter(created_at__gt=now - timedelta(seconds=EVERY))
        .values_list("expires_at", flat=True)
        .first()
    )
    if expires_at is not None:
        return expires_at
    expires_at = now + timedelta(seconds=LIFETIME)
    try:
        services.submit(
            recipients=[address],
            data={CHALLENGE: required.code},
            backend=required.backend,
            priority="high",
            expires_at=expires_at,
            reference=reference,
        )
    except InvalidPushRequest:
        detail = "is in use by another user, and nothing can be pushed to it"
        raise InvalidDevice([FieldError("/address", detail, "unprovable")]) from None
    return expires_at
