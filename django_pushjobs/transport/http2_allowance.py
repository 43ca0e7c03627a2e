"""How many frames a peer may send that bring no answer on."""

from __future__ import annotations

from time import monotonic
from typing import Final

#: Frames that a new connection may bring, and the most that are saved up. An honest peer needs two
#: per request, as it opens its flow control windows again.
START: Final = 2_000
MOST: Final = 4_000
#: Frames that each request and each second add.
PER_REQUEST: Final = 16
PER_SECOND: Final = 100
#: Bytes of one such frame that count as another frame: an interim answer has to be decoded.
BYTES: Final = 1_024


class Flood(Exception):
    """A peer has spent its :class:`Allowance`."""


class Allowance:
    """The frames without progress that one connection may still bring.

    PING, SETTINGS, WINDOW_UPDATE, interim answers, empty DATA, resets of streams that have ended,
    frames of unknown types: each is allowed (RFC 9113, section 10.5, says which may be abused), and
    a peer that sends nothing else keeps us busy for nothing.
    """

    __slots__ = ("_at", "_left")

    def __init__(self) -> None:
        self._left: float = START
        self._at = monotonic()

    def add_request(self) -> None:
        self._left = min(MOST, self._left + PER_REQUEST)

    def spend(self, size: int) -> None:
        """Take note of a frame.

        :param size: bytes that have to be decoded.
        :raises Flood: it is one too many.
        """
        self._left -= 1 + size // BYTES
        if self._left < 0:
            now = monotonic()
            self._left = min(MOST, self._left + (now - self._at) * PER_SECOND)
            self._at = now
            if self._left < 0:
                raise Flood
