"""Proof of life of a child: a few bytes of memory that both sides of the fork can see."""

from __future__ import annotations

import mmap
import struct
import time

_BEAT = struct.Struct("d")
_READY, _ALONE = _BEAT.size, _BEAT.size + 1


class Heart:
    """Made before the fork; the child beats, the arbiter watches.

    Anonymous shared memory needs no file, no descriptor to pass on and no system call to read. A
    child that is stopped, stuck in C or out of control simply does not beat.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _BEAT.size + 2)
        self._touch()

    # The child's side.

    def beat(self) -> None:
        """Report that the child has booted and is working."""
        self._touch()
        self._memory[_READY] = 1

    @property
    def alone(self) -> bool:
        """No other child has anything left to do."""
        return self._memory[_ALONE] == 1

    # The arbiter's side.

    @alone.setter
    def alone(self, alone: bool) -> None:
        self._memory[_ALONE] = alone

    @property
    def silence(self) -> float:
        """Seconds since the last beat, or since the child was forked."""
        last: float = _BEAT.unpack_from(self._memory)[0]
        return time.monotonic() - last

    @property
    def ready(self) -> bool:
        """The child has booted."""
        return self._memory[_READY] == 1

    def close(self) -> None:
        """Release the memory."""
        self._memory.close()

    def _touch(self) -> None:
        _BEAT.pack_into(self._memory, 0, time.monotonic())
