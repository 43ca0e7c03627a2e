"""Tunnels through a forward proxy (CONNECT: RFC 9110, section 9.3.6)."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from socket import MSG_PEEK
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit
from urllib.request import getproxies, proxy_bypass

from gevent.socket import socket

from .failures import ProxyFailed
from .requests import USER_AGENT

#: Instead of a URL: use the proxy that the environment names, if any.
ENVIRONMENT: Final = "environment"
#: Bytes; the most that an answer to CONNECT may have up to the end of its headers, interim answers
#: included.
MAX_HEAD: Final = 8_192

#: RFC 9112, section 4, and as section 2.2 recommends, a line may end without a CR.
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\r\n]*)?\r?\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that is spoken to over plain TCP.

    TLS to the proxy is not supported: that of the destination would have to run inside of it, and
    a TLS socket cannot be wrapped once more.

    :param authorization: the value of ``Proxy-Authorization``, or "".
    """

    host: str
    port: int
    authorization: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str, *, name: str = "proxy") -> Proxy:
        """Return the proxy at ``url``, such as ``http://user:password@proxy.example:3128``.

        :param name: what to call ``url`` in an error.
        :raises ValueError: this is not the URL of a proxy; the message does not repeat any of it.
        """
        if not isinstance(url, str):
            raise ValueError(f"{name} must be a string")
        if url.lower().startswith("https:"):
            raise ValueError(f"{name} must start with http://: TLS to a proxy is not supported")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
            host.encode("idna")  # what cannot be encoded cannot be looked up
        except ValueError:
            # Its message may contain a part of the password, if that has not been encoded.
            host, port = "", None
        else:
            if parts.scheme != "http" or parts.path.strip("/") or parts.query or parts.fragment:
                host = ""
        if not host or port == 0 or not url.isprintable() or " " in url:
            raise ValueError(
                f"{name} must be a URL such as http://user:password@proxy.example:3128, in which "
                "special characters of the user name and the password are percent-encoded"
            )
        if parts.username is None:
            return cls(host, port or 80)
        user, password = unquote_to_bytes(parts.username), unquote_to_bytes(parts.password or "")
        if b":" in user:  # RFC 7617, section 2
            raise ValueError(f"{name} must not have a user name that contains a colon")
        return cls(host, port or 80, f"Basic {b64encode(user + b':' + password).decode()}")

    def tunnel(self, sock: socket, target: str) -> None:
        """Have the proxy pass on to ``target`` what is sent over ``sock``, and the other way round.

        :param sock: is connected to the proxy. Nothing is read that comes after the head of the
            proxy's answer: it is the target's.
        :param target: see :func:`authority`.
        :raises ProxyFailed: the proxy made no connection. Other errors are those of ``sock``.
        """
        sock.sendall(self._request(target))
        status = _status(sock)
        if not 200 <= status < 300:
            raise ProxyFailed(status)

    def _request(self, target: str) -> bytes:
        # Never kept in a variable: reports of errors show those.
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", f"User-Agent: {USER_AGENT}"]
        if self.authorization:
            lines.append(f"Proxy-Authorization: {self.authorization}")
        return "\r\n".join([*lines, "", ""]).encode("ascii")


def proxy_for(option: str | None, *, scheme: str, host: str, port: int) -> Proxy | None:
    """Return the proxy through which to connect to ``host``, or None to connect directly.

    :param option: the URL of a proxy, :data:`ENVIRONMENT`, or None for no proxy.
    :raises ValueError: it is wrong; the message names the option ``proxy``.
    """
    if option is None:
        return None
    if option != ENVIRONMENT:
        return Proxy.parse(option)
    url = getproxies().get(scheme)
    if not url or proxy_bypass(authority(host, port)):
        return None
    # Most programs take one without a scheme, too.
    url = url if "://" in url else f"http://{url}"
    return Proxy.parse(url, name=f"proxy: {scheme}_proxy in the environment")


def authority(host: str, port: int) -> str:
    """Return host and port as CONNECT names them."""
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _status(sock: socket) -> int:
    """Read the head of an answer, to its last byte and no further, and return the status, or 0 if
    it is not HTTP.

    :raises ProxyFailed: it is cut off or too long.
    """
    head, room = b"", MAX_HEAD
    while room > 0:
        seen = sock.recv(room, MSG_PEEK)
        end = _HEAD_END.search(head + seen)
        part = sock.recv(len(seen) if end is None else end.end() - len(head))
        head, room = head + part, room - len(part)
        if end is not None:
            line = _STATUS_LINE.match(head)
            status = int(line[1]) if line else 0
            if not 100 <= status < 200:
                return status
            head = b""  # the final answer follows
        elif not seen:
            break
    raise ProxyFailed
