"""Encrypt secrets that have to be read again, such as signing keys, with the SECRET_KEY."""

from __future__ import annotations

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from ..exceptions import SecretUnreadable


@sensitive_variables()
def encrypt(secret: str) -> str:
    """Return ``secret`` encrypted, for storage."""
    return _cipher().encrypt(secret.encode()).decode()


@sensitive_variables()
def decrypt(stored: str) -> str:
    """Return the secret that was given to :func:`encrypt`.

    :raises SecretUnreadable: it was encrypted with a key that is neither ``SECRET_KEY`` nor one of
        ``SECRET_KEY_FALLBACKS``.
    """
    try:
        return _cipher().decrypt(stored.encode()).decode()
    except InvalidToken:
        raise SecretUnreadable from None


def _cipher() -> MultiFernet:
    return MultiFernet(
        [Fernet(_derived(key)) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]
    )


def _derived(key: str | bytes) -> bytes:
    # SECRET_KEY has many uses; this one gets a key of its own.
    data = key if isinstance(key, bytes) else key.encode()
    digest = hashlib.blake2b(data, digest_size=32, person=b"pushjobs.secrets").digest()
    return base64.urlsafe_b64encode(digest)
