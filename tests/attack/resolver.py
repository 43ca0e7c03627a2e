"""Name servers that never answer, for every look-up of a process, whichever thread it runs in."""

from __future__ import annotations

import _socket
import sys
from typing import Any

#: Hosts below it have a name server that says nothing.
SILENT = "silent.example"
#: Seconds until the C library gives up: two servers, two attempts, five seconds each.
GIVES_UP = 20.0


def install() -> None:
    """Put the name servers below all look-ups: gevent's threads and Python's ``socket`` call this
    function."""
    found: Any = _socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode("idna") if isinstance(host, bytes) else str(host)
        if not name.endswith(SILENT):
            return found(host, *args, **kwargs)
        _sleep(GIVES_UP)
        raise _socket.gaierror(-3, "Temporary failure in name resolution")

    _socket.getaddrinfo = getaddrinfo  # type: ignore[assignment]


def _sleep(seconds: float) -> None:
    """Block this native thread, as the C library does, whether or not gevent has patched."""
    if "gevent.monkey" in sys.modules:
        from gevent.monkey import get_original

        get_original("time", "sleep")(seconds)
    else:
        import time

        time.sleep(seconds)
