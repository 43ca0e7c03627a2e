"""How long a greenlet that reads what a peer sends may keep the others of its thread waiting."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final

from ..runtime.turns import STRETCH, give_way

#: Bytes that are read, and seconds that pass, until the other greenlets get their turn.
STRETCH_BYTES: Final = 65_536
STRETCH_SECONDS: Final = STRETCH
#: Seconds; a read that took longer has waited, and while it did, the others ran.
_WAITED: Final = 0.001


class Pace:
    """Shares the thread with the other greenlets while a peer sends faster than we read.

    A socket of gevent switches to the hub only if there is nothing to read. As long as a peer
    keeps it full, no timer of the process fires, deadlines included, and no other greenlet runs.
    So every loop that reads a socket reads it by :meth:`read`, and calls :meth:`breathe` between
    pieces of work on what it has read.

    :param stretch: seconds between the turns at which it reads.
    """

    __slots__ = ("_began", "_bytes", "_stretch")

    def __init__(self, stretch: float | None = None) -> None:
        self._bytes = 0
        self._began = monotonic()
        self._stretch = STRETCH_SECONDS if stretch is None else stretch

    def read(self, recv: Callable[[int], bytes], size: int) -> bytes:
        """Return what ``recv(size)`` returns, after the others have had their turn if it is due.

        The turn comes first, so that an interrupt never loses what has been read.
        """
        asked = monotonic()
        if asked - self._began >= self._stretch or self._bytes >= STRETCH_BYTES:
            self._give_way()
            asked = monotonic()
        data = recv(size)
        now = monotonic()
        if now - asked > _WAITED:
            self._bytes, self._began = 0, now
        self._bytes += len(data)
        return data

    def breathe(self, *, gained: bool = False) -> None:
        """Let the others run if their turn is due.

        :param gained: the work was worth a whole ``stretch``.
        """
        if monotonic() - self._began >= (self._stretch if gained else STRETCH_SECONDS):
            self._give_way()

    def _give_way(self) -> None:
        give_way()
        self._bytes, self._began = 0, monotonic()
