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

#: Seconds that a callback may be old, or that the clocks of both sides may differ.
TOLERANCE = 300
#: Bytes; the specification allows no secret with fewer.
MIN_SECRET = 24
_PREFIX = "whsec_"
_VERIFICATION = "push.endpoint.verification"


class InvalidCallback(PushError):
    """Not from the service, too old, or changed on the way: answer 400."""


@dataclass(frozen=True, slots=True)
class Callback:
    """A callback that was verified.

    :param id: the same at every attempt: remember it, so that you do the work only once.
    :param type: such as ``push.request.completed``.
    :param sent_at: when this attempt was made.
    """

    id: str
    type: str
    sent_at: datetime
    data: Mapping[str, Any] = field(repr=False)

    @property
    def reply(self) -> str:
        """The body of the answer, as plain text: the code that is asked for, to find out whether
        this URL wants to be called; empty for all other callbacks."""
        return str(self.data["challenge"]) if self.type == _VERIFICATION else ""


def verify_callback(
    body: bytes,
    headers: Mapping[str, str],
    secret: str | Sequence[str],
    *,
    tolerance: float = TOLERANCE,
    now: float | None = None,
) -> Callback:
    """Verify the signature of a callback (Standard Webhooks 1.0.0), and return the callback.

    :param body: exactly as it arrived, before any parsing.
    :param headers: names in any case.
    :param secret: ``whsec_...``, or several of which one must match.
    :param tolerance: seconds that its time may differ from ours.
    :param now: our time in seconds since the epoch; by default that of the clock.
    :raises InvalidCallback: it cannot be trusted.
    :raises ValueError: a secret is malformed. An empty one, such as that of a setting that is not
        set, would let anybody sign.
    """
    keys = [_key(one) for one in ([secret] if isinstance(secret, str) else secret)]
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        id_, stamp, signatures = (
            lower[f"webhook-{name}"] for name in ("id", "timestamp", "signature")
        )
    except KeyError as error:
        raise InvalidCallback(f"The header {error} is missing.") from None
    if not stamp.isascii() or not stamp.isdecimal() or len(stamp) > 12:
        raise InvalidCallback("webhook-timestamp is not a number of seconds.")
    if abs((time.time() if now is None else now) - int(stamp)) > tolerance:
        raise InvalidCallback("The callback is too old, or from the future.")
    message = b".".join([id_.encode(), stamp.encode(), body])
    given = [
        signature
        for version, _, signature in (one.partition(",") for one in signatures.split())
        if version == "v1"
    ]
    expected = [base64.b64encode(hmac.digest(key, message, hashlib.sha256)) for key in keys]
    if not any(hmac.compare_digest(e, g.encode()) for e in expected for g in given):
        raise InvalidCallback("No signature matches.")
    try:
        content = json.loads(body)
        type_, data = content["type"], content["data"]
        if type_ == _VERIFICATION:
            data["challenge"]
    except (ValueError, KeyError, TypeError):
        raise InvalidCallback("The body is not a callback.") from None
    return Callback(id_, type_, datetime.fromtimestamp(int(stamp), UTC), data)


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("The secret is not base64.") from None
    if len(key) < MIN_SECRET:
        raise ValueError(f"The secret is empty, or has fewer than {MIN_SECRET} bytes.")
    return key
