"""The VAPID key of the demo: generated on the first start, and kept in a file."""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def private_key(path: Path) -> str:
    """Return the private key in ``path``, base64url of its 32 bytes; generate it if missing."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        number = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
        mine = path.with_name(f"{path.name}.{os.getpid()}")
        mine.touch(mode=0o600)
        mine.write_text(_text(number.to_bytes(32, "big")))
        try:
            # If several processes start at once, the key of the first one counts.
            os.link(mine, path)
        except FileExistsError:
            pass
        mine.unlink()
    return path.read_text()


def public_key(private: str) -> str:
    """Return the public half: what a browser calls ``applicationServerKey``."""
    number = int.from_bytes(urlsafe_b64decode(private + "=" * (-len(private) % 4)), "big")
    public = ec.derive_private_key(number, ec.SECP256R1()).public_key()
    return _text(public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
