"""Counts Redis commands: those that clients sent, and those that scripts ran for them.

Redis counts both in one number (``INFO commandstats``), so this listens to MONITOR, which tells
where a command came from. It slows the server: a trial that is timed goes without it.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

#: Time, and either the client's address or ``lua``.
LINE = re.compile(rb"^\+(\d+\.\d+) \[\d+ (lua|[^\]]+)\]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Commands:
    """How many commands came from clients, and how many from scripts."""

    sent: int
    scripted: int


class Monitor:
    """Listens from its creation on; it must be the harness's only connection that is busy."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._socket = socket.create_connection((parts.hostname, parts.port or 6379))
        self._socket.sendall(b"MONITOR\r\n")
        assert self._socket.recv(16) == b"+OK\r\n"
        self._heard = bytearray()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while data := self._socket.recv(1_048_576):
            self._heard += data

    def stop(self, since: float) -> Commands:
        """Return what was heard from ``since``, a time of the monotonic clock, until now."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
        since += time.time() - time.monotonic()
        sent = scripted = 0
        for at, source in LINE.findall(self._heard):
            if float(at) >= since:
                scripted += source == b"lua"
                sent += source != b"lua"
        return Commands(sent, scripted)
