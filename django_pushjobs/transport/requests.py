"""HTTP/1.1 requests as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .. import __version__

USER_AGENT: Final = f"django-pushjobs/{__version__}"


def http_request(
    path: str, authority: str, headers: Mapping[str, str], body: bytes, *, method: str = "POST"
) -> bytes:
    """Return a request, head and body, for :func:`.exchanges.exchange`.

    :param path: the path of the URL with its query, in ASCII.
    :param authority: the host of the URL, with the port if it has one.
    :param headers: all but ``Host`` and ``Content-Length``.
    :raises ValueError: a line of the head contains a line break or non-Latin-1 characters.
    """
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {authority}",
        *[f"{name}: {value}" for name, value in headers.items()],
        f"Content-Length: {len(body)}",
    ]
    head = "\r\n".join(lines)
    if head.count("\n") >= len(lines) or head.count("\r") >= len(lines):
        raise ValueError("a header contains a line break")
    return f"{head}\r\n\r\n".encode("latin-1") + body
