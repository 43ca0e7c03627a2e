"""Callbacks as they arrive: `Standard Webhooks <https://www.standardwebhooks.com>`_ 1.0.0."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .errors import PushError

#: Seconds that the clocks of both sides may differ, on top of the way.
TOLERANCE = 300
_PREFIX = "whsec_"


class InvalidCallback(PushError):
    """It does not come from the service, is too old, or was changed on its way: answer 400."""


@dataclass(frozen=True, slots=True)
class Callback:
    """A callback that is genuine.

    :param id: the same at every attempt: remember it to do the work once.
    :param type: such as ``push.request.completed``.
    :param sent_at: when this attempt was made.
    """

    id: str
    type: str
    sent_at: datetime
    data: Mapping[str, Any] = field(repr=False)


def verify_callback(
    body: bytes,
    headers: Mapping[str, str],
    secret: str | Sequence[str],
    *,
    tolerance: float = TOLERANCE,
    now: float | None = None,
) -> Callback:
    """Return the callback, once its signature has been checked.

    :param body: exactly as it came, before any parsing.
    :param headers: names in any case.
    :param secret: ``whsec_...``, or several of which one has to fit.
    :param tolerance: seconds that its time may differ from ours.
    :param now: our time in seconds since the epoch; the clock's where not given.
    :raises InvalidCallback: it is not genuine.
    :raises ValueError: a secret is none.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        id_, stamp, signatures = (
            lower[f"webhook-{name}"] for name in ("id", "timestamp", "signature")
        )
    except KeyError as error:
        raise InvalidCallback(f"The header {error} is missing.") from None
    if not stamp.isascii() or not stamp.isdecimal() or len(stamp) > 12:
        raise InvalidCallback("webhook-timestamp is no number of seconds.")
    if abs((time.time() if now is None else now) - int(stamp)) > tolerance:
        raise InvalidCallback("It is too old, or from the future.")
    message = b".".join([id_.encode(), stamp.encode(), body])
    given = [
        signature
        for version, _, signature in (one.partition(",") for one in signatures.split())
        if version == "v1"
    ]
    secrets = [secret] if isinstance(secret, str) else secret
    expected = [base64.b64encode(_sign(message, one)) for one in secrets]
    if not any(hmac.compare_digest(e, g.encode()) for e in expected for g in given):
        raise InvalidCallback("No signature fits.")
    try:
        content = json.loads(body)
        type_, data = content["type"], content["data"]
    except (ValueError, KeyError, TypeError):
        raise InvalidCallback("The body is no callback.") from None
    return Callback(id_, type_, datetime.fromtimestamp(int(stamp), UTC), data)


def _sign(message: bytes, secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("The secret is no base64.") from None
    return hmac.new(key, message, hashlib.sha256).digest()
