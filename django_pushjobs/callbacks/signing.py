"""Secrets and signatures, as specified by Standard Webhooks 1.0.0.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets as randomness
from collections.abc import Iterable
from typing import Final

from django.views.decorators.debug import sensitive_variables

PREFIX: Final = "whsec_"
#: Bytes of a secret; the specification allows 24 to 64.
SECRET_BYTES: Final = 32


def new_secret() -> str:
    """Return a new random secret in its text form."""
    return PREFIX + base64.b64encode(randomness.token_bytes(SECRET_BYTES)).decode()


@sensitive_variables()
def sign(secret: str, *, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of one message with one secret: ``v1,`` and base64.

    :param timestamp: unix seconds of this attempt.
    :raises ValueError: ``secret`` is not a secret of 24 to 64 bytes.
    """
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    digest = hmac.digest(_key(secret), signed, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


@sensitive_variables()
def headers(
    secrets: Iterable[str], *, message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """Return the three headers of one attempt, signed with each of ``secrets``.

    :raises ValueError: see :func:`sign`.
    """
    signatures = [
        sign(secret, message_id=message_id, timestamp=timestamp, body=body) for secret in secrets
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not 24 <= len(key) <= 64:
        raise ValueError("a secret must be whsec_ followed by 24 to 64 bytes as base64")
    return key
