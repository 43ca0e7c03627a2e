"""Web Push subscriptions: what a browser hands out so that it can be pushed to."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from ..transport import destinations

#: The most subscriptions per process whose endpoints are kept.
KEPT: Final = 4_096

_DEFAULT_PORTS = {"https": ":443", "http": ":80"}
_PERCENT = re.compile("%([0-9A-Fa-f]{2})")
#: RFC 3986, section 2.3.
_UNRESERVED = re.compile("[A-Za-z0-9._~-]")


class NoSubscription(ValueError):
    """An address is not a subscription. The message never contains the address."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """The endpoint and the keys of one browser.

    :param origin: the endpoint's origin, such as ``https://push.example``.
    :param authority: the endpoint's host, with the port if it has one.
    :param path: the endpoint's path with the query.
    :param key: the browser's public key on P-256.
    :param auth: the authentication secret that the browser shares with us.
    """

    origin: str
    authority: str
    path: str
    key: Any
    auth: bytes

    @classmethod
    def parse(cls, address: str) -> Subscription:
        """Return the subscription in ``address``, the result of ``JSON.stringify(subscription)``.

        https://www.w3.org/TR/push-api/#dom-pushsubscription-tojson

        :raises NoSubscription: it is not one.
        :raises DestinationRefused: its endpoint may not be posted to.
        """
        from cryptography.hazmat.primitives.asymmetric import ec

        try:
            given = json.loads(address)
            endpoint, keys = given["endpoint"], given["keys"]
            point, auth = _decoded(keys["p256dh"]), _decoded(keys["auth"])
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            raise NoSubscription("is not a Web Push subscription") from None
        # RFC 8291, section 3.2.
        if len(auth) != 16:
            raise NoSubscription("is a subscription whose secret does not have 16 bytes")
        destination = destinations.parse(endpoint)
        try:
            key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        except ValueError:
            raise NoSubscription("is a subscription whose key is not on the curve") from None
        parts = urlsplit(destination.url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        # Made from the parts that were checked, so nothing can be parsed differently later.
        return cls(
            f"{parts.scheme}://{parts.netloc}".lower(), parts.netloc.lower(), path, key, auth
        )


@lru_cache(KEPT)
def endpoint_of(address: str) -> str:
    """Return the endpoint of a subscription, normalized (RFC 3986, section 6.2), or ``address``
    unchanged if it has none.

    The endpoint identifies a subscription; the order of members, white space, the padding of keys
    and further members do not matter. Nothing else is checked: this is called for every push.
    """
    try:
        endpoint = json.loads(address)["endpoint"]
        if not isinstance(endpoint, str) or not endpoint.isascii():
            return address
        parts = urlsplit(endpoint)
    except (ValueError, TypeError, LookupError, RecursionError):
        return address
    netloc = parts.netloc.lower()
    if default := _DEFAULT_PORTS.get(parts.scheme):
        netloc = netloc.removesuffix(default)
    path = _normalized(parts.path or "/") + (f"?{_normalized(parts.query)}" if parts.query else "")
    return f"{parts.scheme}://{netloc}{path}"


def _normalized(text: str) -> str:
    """Return a path or a query in which only what must be percent-encoded is, in upper case."""
    return _PERCENT.sub(_unescaped, text) if "%" in text else text


def _unescaped(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if _UNRESERVED.fullmatch(character) else match[0].upper()


def _decoded(text: str) -> bytes:
    """Return base64url, padded or not, as bytes.

    :raises ValueError: it is not base64url.
    """
    raw = text.encode("ascii").rstrip(b"=")
    try:
        return base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error
