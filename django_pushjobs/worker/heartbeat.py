"""Proof of life of a child: a clock in memory that both sides of the fork can see."""

from __future__ import annotations

import mmap
import struct
import time

_LAYOUT = struct.Struct("d?")


class Heart:
    """Made before the fork; the child beats, the arbiter looks.

    Anonymous shared memory needs no file, no descriptor to pass and no system call to read, and
    a child that is stopped, stuck in C or out of its mind simply does not beat.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _LAYOUT.size)
        self._write(ready=False)

    def beat(self) -> None:
        """Say that the child lives and does its work."""
        self._write(ready=True)

    @property
    def silence(self) -> float:
        """Seconds since the last beat, or since the child was forked."""
        return time.monotonic() - self._read()[0]

    @property
    def ready(self) -> bool:
        """The child has booted."""
        return self._read()[1]

    def _read(self) -> tuple[float, bool]:
        last, ready = _LAYOUT.unpack_from(self._memory)
        return last, ready

    def _write(self, *, ready: bool) -> None:
        _LAYOUT.pack_into(self._memory, 0, time.monotonic(), ready)

    def close(self) -> None:
        self._memory.close()
