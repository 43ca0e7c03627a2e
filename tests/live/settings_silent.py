"""Callbacks to hosts of which some have name servers that do not answer while a file is there."""

import _socket
import os
from pathlib import Path

from gevent.monkey import get_original

from tests.live.settings_callbacks import *  # noqa: F403

_SILENT = Path(os.environ["TEST_SILENT"])
_getaddrinfo = _socket.getaddrinfo


def _answer(host, *args, **options):  # type: ignore[no-untyped-def]
    if "silent" in str(host):
        while _SILENT.exists():
            get_original("time", "sleep")(0.05)
    return _getaddrinfo(host, *args, **options)


_socket.getaddrinfo = _answer
