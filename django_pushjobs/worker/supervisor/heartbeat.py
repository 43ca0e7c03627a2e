"""Proof of life of a child: a few bytes of memory that both sides of the fork can see."""

from __future__ import annotations

import mmap
import struct
import time

_BEAT = struct.Struct("d")
_READY, _ALONE = _BEAT.size, _BEAT.size + 1
#: The last beat before the note, since when what it says is so, and the length of the job's id.
_NOTE = struct.Struct("=ddH")
_NOTE_AT = 16
_ID_AT = _NOTE_AT + _NOTE.size
#: Seconds after a beat within which somebody looks for what keeps the next one from coming.
FIRST_LOOK = 3.0
#: Bytes of the longest id of a job that is noted.
MAX_ID = 512


class Heart:
    """Made before the fork; the child beats, the arbiter watches.

    Anonymous shared memory needs no file, no descriptor to pass on and no system call to read. A
    child that is stopped, stuck in C or out of control simply does not beat.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _ID_AT + MAX_ID)
        self._touch()

    # The child's side.

    def beat(self) -> None:
        """Report that the child has booted and is working."""
        self._touch()
        self._memory[_READY] = 1

    def accuse(self, job_id: str, since: float) -> None:
        """Note which job has kept the heart from beating, and was seen to do so ``since`` then.

        The note outlives the process, and is void once the heart beats again.

        :param job_id: "" if nobody can tell.
        :param since: on the monotonic clock.
        """
        name = job_id.encode()
        if len(name) > MAX_ID:
            name = b""
        # In this order: a kill in the middle must not leave half of a name.
        _NOTE.pack_into(self._memory, _NOTE_AT, self.last_beat, since, 0)
        self._memory[_ID_AT : _ID_AT + len(name)] = name
        _NOTE.pack_into(self._memory, _NOTE_AT, self.last_beat, since, len(name))

    @property
    def alone(self) -> bool:
        """No other child has anything left to do."""
        return self._memory[_ALONE] == 1

    # The arbiter's side.

    @alone.setter
    def alone(self, alone: bool) -> None:
        self._memory[_ALONE] = alone

    @property
    def last_beat(self) -> float:
        """When it beat last, or when the child was forked: on the monotonic clock."""
        last: float = _BEAT.unpack_from(self._memory)[0]
        return last

    @property
    def silence(self) -> float:
        """Seconds since the last beat, or since the child was forked."""
        return time.monotonic() - self.last_beat

    def culprit(self, timeout: float) -> str:
        """Return the id of the job that kept the heart from beating for ``timeout`` seconds.

        It is "" if nobody can tell: no job was seen to do so, or another one was as well, or it was
        first seen when half of the time had passed.
        """
        last_beat, since, length = _NOTE.unpack_from(self._memory, _NOTE_AT)
        if last_beat != self.last_beat or since > last_beat + max(timeout / 2, FIRST_LOOK):
            return ""
        return self._memory[_ID_AT : _ID_AT + length].decode()

    @property
    def ready(self) -> bool:
        """The child has booted."""
        return self._memory[_READY] == 1

    def close(self) -> None:
        """Release the memory."""
        self._memory.close()

    def _touch(self) -> None:
        _BEAT.pack_into(self._memory, 0, time.monotonic())
