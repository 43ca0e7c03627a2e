"""Whether a URL that somebody else chose may be posted to, and at which addresses.

A third party chooses where its callbacks go, and a browser chooses where its pushes go. Neither may
make us talk to our own network (server-side request forgery). So the URL itself is checked
(:func:`parse`), its host is looked up, all of its addresses must be on the public internet
(:func:`resolve`), and we connect to an address that was checked: a second look-up could return a
different one (DNS rebinding).
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from ..conf import conf
from ..exceptions import DestinationRefused
from .lookups import AddressInfo, Lookup, lookups

MAX_URL: Final = 2_048
#: The most addresses of a host that are checked and tried. A name server can give thousands, and
#: checking those takes a tenth of a second.
MAX_ADDRESSES: Final = 64

#: RFC 3986 without anything that parsers disagree about: no userinfo, no fragment, no backslash, no
#: percent sign in the host.
_URL = re.compile(
    r"https?://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
    r"(?:[/?][A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]*)?"
)
#: Some resolvers take a host whose last label is a number for an IPv4 address, in any notation:
#: 2130706433, 0x7f.1, 0177.0.0.1 (https://url.spec.whatwg.org/#ends-in-a-number-checker).
_ENDS_IN_A_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?")

#: RFC 6052, section 2.1: the last 32 bits are the IPv4 address.
_NAT64 = IPv6Network("64:ff9b::/96")
#: The only part of IPv6 that public addresses are assigned from (RFC 4291, section 2.4).
_GLOBAL_UNICAST = IPv6Network("2000::/3")


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL that may be posted to, as far as the URL alone can tell."""

    url: str
    scheme: str
    host: str
    port: int


def parse(url: str) -> Destination:
    """Return the parts of ``url``.

    :raises DestinationRefused: it is not the URL of a web server, contains a user name or a
        password, has an address in an unusual notation, or is not https although
        ``INSECURE_DESTINATIONS`` is off.
    """
    if not isinstance(url, str) or len(url) > MAX_URL:
        raise DestinationRefused("invalid_url", f"A URL has at most {MAX_URL} characters.")
    authority = re.split(r"[/?#\\]", url.partition("://")[2], maxsplit=1)[0]
    if "@" in authority:
        raise DestinationRefused("credentials", "The URL contains a user name or a password.")
    match = _URL.fullmatch(url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        match = None
    if match is None or not host or port == 0:
        raise DestinationRefused("invalid_url", "This is not the URL of a web server.")
    if parts.scheme != "https" and not conf().INSECURE_DESTINATIONS:
        raise DestinationRefused("https_required", "The URL must start with https://.")
    _check_host(host)
    return Destination(url, parts.scheme, host, port or (443 if parts.scheme == "https" else 80))


def _check_host(host: str) -> None:
    if ":" in host:
        _check_address(host)
    elif _ENDS_IN_A_NUMBER.fullmatch(host):
        try:
            IPv4Address(host)  # takes four decimal numbers without leading zeros only
        except ValueError:
            raise DestinationRefused(
                "numeric_host", "The host looks like an address in an unusual notation."
            ) from None
        _check_address(host)


def resolve(host: str, port: int, *, lookup: Lookup | None = None) -> list[AddressInfo]:
    """Look up ``host`` and return its addresses, at most :data:`MAX_ADDRESSES`. All of them have
    been checked.

    :param lookup: called instead of those of :mod:`.lookups`.
    :raises DestinationRefused: the host has no address, or one outside the public internet, or it
        could not be looked up within :data:`.lookups.DEADLINE` seconds.
    """
    try:
        found = list((lookup or lookups())(host, port, type=socket.SOCK_STREAM))
    except TimeoutError:
        raise DestinationRefused(
            "unresolvable", "The host could not be looked up in time.", transient=True
        ) from None
    except (OSError, UnicodeError):
        found = []
    if not found:
        raise DestinationRefused("unresolvable", "The host has no address.", transient=True)
    del found[MAX_ADDRESSES:]
    for *_, address in found:
        _check_address(address[0])
    return found


def check(url: str, *, lookup: Lookup | None = None) -> Destination:
    """Check ``url`` and the current addresses of its host.

    :raises DestinationRefused: see :func:`parse` and :func:`resolve`.
    """
    destination = parse(url)
    resolve(destination.host, destination.port, lookup=lookup)
    return destination


def is_public(address: str) -> bool:
    """Return True if ``address`` is an IP address on the public internet.

    An IPv6 address that stands for an IPv4 address (IPv4-mapped, NAT64) is judged by the latter.
    """
    try:
        meant = _unwrapped(ip_address(address))
    except ValueError:  # such as one with a zone
        return False
    if isinstance(meant, IPv6Address) and meant not in _GLOBAL_UNICAST:
        return False
    return meant.is_global and not any(meant in network for network in _special_networks())


def _check_address(address: str) -> None:
    if is_public(address):
        return
    if conf().INSECURE_DESTINATIONS and _is_loopback(address):
        return
    # Not naming the address: it may come from our own name server.
    raise DestinationRefused("forbidden_address", "The host is not on the public internet.")


def _is_loopback(address: str) -> bool:
    try:
        return _unwrapped(ip_address(address)).is_loopback
    except ValueError:
        return False


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


@cache
def _special_networks() -> list[IPv4Network | IPv6Network]:
    """Return the networks that are not public, from a list that is maintained for this purpose."""
    # Imported on first use: it brings in an HTTP client that we do not need.
    from AntiSSRF import IPAddressRanges

    return [ip_network(network) for network in IPAddressRanges.recommended_latest]
