"""The socket that an answer is read from: so many bytes, and no longer than the others can wait."""

from __future__ import annotations

from typing import Any

from .pace import Pace


class TooLong(Exception):
    """The peer has sent more than an answer may have."""


class Intake:
    """Reads a socket for one answer, at a :class:`.Pace`.

    It counts every byte, whatever the parser takes it for: status lines, headers, interim answers,
    the lengths and extensions of chunks, trailers.

    :param room: the bytes that may come.
    """

    __slots__ = ("_is_first", "_pace", "room", "sock")

    def __init__(self, sock: Any, room: int) -> None:
        self.sock = sock
        self.room = room
        self._is_first = True
        self._pace: Pace | None = None

    def recv(self, size: int) -> bytes:
        """Return at most ``size`` bytes, or b"" at the end.

        :raises TooLong: as many bytes as there was room for have come already.
        """
        if self.room <= 0:
            raise TooLong
        size = min(size, self.room)
        if self._is_first:  # most answers come in one piece
            self._is_first = False
            data: bytes = self.sock.recv(size)
        else:
            pace = self._pace = self._pace or Pace()
            data = pace.read(self.sock.recv, size)
        self.room -= len(data)
        return data

    def close(self) -> None:
        self.sock.close()
