"""VAPID: how we identify ourselves to a push service (RFC 8292)."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

from .options import missing_extra
from .subscriptions import NoSubscription
from .token_age import Made

if TYPE_CHECKING:
    from py_vapid import Vapid02

#: Seconds that a token is valid; at most 24 hours (RFC 8292, section 2).
LIFETIME: Final = 43_200
#: Seconds after which a token is replaced; Apple asks for at most one per hour.
RENEW_AFTER: Final = 21_600
MIN_LIFETIME: Final = 3_600
#: The most tokens that are kept, one per origin.
KEPT: Final = 1_000

#: https: or mailto: with a host on the public internet: Apple refuses all others.
_SUBJECT = re.compile(
    r"(?:mailto:[^@\s]+@|https://)(?P<host>[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)(?P<rest>[:/][^\s]*)?"
)
_UNRESOLVABLE = re.compile(r".*\.(?:local|localhost|invalid|test|internal)", re.IGNORECASE)


class Vapid:
    """Signs with one key, one token per origin.

    :param private_key: base64url of the 32 bytes or of the DER, or a PEM.
    :param subject: whom a push service can contact: ``mailto:`` or ``https:`` with a public host.
    :raises ValueError: one of them is wrong, or py-vapid is not installed.
    """

    def __init__(self, private_key: str, subject: str) -> None:
        self._key = load(private_key)
        match = _SUBJECT.fullmatch(subject) if isinstance(subject, str) else None
        if match is None or _UNRESOLVABLE.fullmatch(match["host"]):
            raise ValueError("subject must be a mailto: or https: URL with a public host")
        self._subject = subject
        #: Maps an origin to the header, and when it was made.
        self._headers: dict[str, tuple[str, Made]] = {}
        #: Maps an origin to when it refused a token, in the seconds of ``time.monotonic()``.
        self._refused: dict[str, float] = {}

    def authorization(self, origin: str) -> str:
        """Return the header Authorization for ``origin``.

        :raises NoSubscription: no token can be signed for it.
        """
        kept = self._headers.get(origin)
        now, steady = time.time(), time.monotonic()
        if kept is not None and kept[1].is_younger(RENEW_AFTER, wall=now, steady=steady):
            return kept[0]
        from py_vapid import VapidException

        claims = {"aud": origin, "exp": int(now) + LIFETIME, "sub": self._subject}
        try:
            header: str = self._key.sign(claims)["Authorization"]
        except VapidException as error:
            raise NoSubscription("no token can be signed for this origin") from error
        if len(self._headers) >= KEPT:
            self._headers.clear()
        self._headers[origin] = header, Made(now, steady)
        return header

    def renew(self, origin: str, refused: str) -> bool:
        """Note that ``origin`` refused the header ``refused``; return whether another is worth a
        try.

        It is if another greenlet has had a new one made meanwhile, or if that has not been done
        within the last hour: if a push service refuses every token, the token is not the reason.
        """
        kept = self._headers.get(origin)
        if kept is not None and kept[0] != refused:
            return True
        now = time.monotonic()
        if (last := self._refused.get(origin)) is not None and now < last + MIN_LIFETIME:
            return False
        if len(self._refused) >= KEPT:
            self._refused.clear()
        self._refused[origin] = now
        self._headers.pop(origin, None)
        return True


def load(private_key: str) -> Vapid02:
    """Return the key in ``private_key``.

    :raises ValueError: it is not a VAPID key, or py-vapid is not installed.
    """
    try:
        from py_vapid import Vapid02
    except ImportError as error:
        raise missing_extra("webpush", error) from error
    try:
        if "-----BEGIN" in private_key:
            return Vapid02.from_pem(private_key.strip().encode())
        return Vapid02.from_string(private_key.strip())
    except Exception as error:
        # The parser's message may contain what it could not parse.
        raise ValueError(f"private_key is not a VAPID key ({type(error).__name__})") from None


def new_key() -> Vapid02:
    """Return a new key.

    :raises ValueError: py-vapid is not installed.
    """
    try:
        from py_vapid import Vapid02
    except ImportError as error:
        raise missing_extra("webpush", error) from error
    key = Vapid02()
    key.generate_keys()
    return key


def private_text(key: Vapid02) -> str:
    """Return the private key as base64url, for the option ``private_key``."""
    from py_vapid.utils import b64urlencode

    return str(b64urlencode(key.private_key.private_numbers().private_value.to_bytes(32, "big")))


def public_text(key: Vapid02) -> str:
    """Return the public key as base64url, for a browser's ``applicationServerKey``."""
    from cryptography.hazmat.primitives import serialization
    from py_vapid.utils import b64urlencode

    point = key.public_key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return str(b64urlencode(point))
