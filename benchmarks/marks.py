"""Three clocks for every job, in a file that all processes map: sent, started, done.

A job that reported to Redis would change what is measured; to write eight bytes of shared memory
costs nothing. The clock is CLOCK_MONOTONIC, which is the same for all processes of a machine.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Sequence
from pathlib import Path

#: The environment variable that holds the path of the file.
VARIABLE = "BENCHMARK_MARKS"
#: Jobs that one trial may have at most.
CAPACITY = 200_000
#: Bytes of one time, a C double.
WIDTH = 8


class Marks:
    """The file at ``path``, which must exist; zero means that it has not happened yet."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            memory = mmap.mmap(file.fileno(), 3 * CAPACITY * WIDTH)
        view: memoryview[float] = memoryview(memory).cast("d")
        self._sent: memoryview[float] = view[:CAPACITY]
        self._started: memoryview[float] = view[CAPACITY : 2 * CAPACITY]
        self._done: memoryview[float] = view[2 * CAPACITY :]

    @classmethod
    def create(cls, path: Path) -> Marks:
        path.write_bytes(bytes(3 * CAPACITY * WIDTH))
        return cls(path)

    def send(self, index: int) -> None:
        self._sent[index] = time.monotonic()

    def start(self, index: int) -> None:
        self._started[index] = time.monotonic()

    def finish(self, index: int) -> None:
        self._done[index] = time.monotonic()

    # For the harness.

    def clear(self) -> None:
        nothing = memoryview(bytes(CAPACITY * WIDTH)).cast("d")
        for part in (self._sent, self._started, self._done):
            part[:] = nothing

    def started_count(self, count: int) -> int:
        """How many of the first ``count`` jobs have started."""
        return count - self._started[:count].tolist().count(0)

    def done_count(self, count: int) -> int:
        """How many of the first ``count`` jobs are done."""
        return count - self._done[:count].tolist().count(0)

    def sent_times(self, count: int) -> Sequence[float]:
        return self._sent[:count].tolist()

    def started_times(self, count: int) -> Sequence[float]:
        return self._started[:count].tolist()

    def done_times(self, count: int) -> Sequence[float]:
        return self._done[:count].tolist()


def opened() -> Marks:
    """Return the marks of the trial that this process belongs to."""
    return Marks(Path(os.environ[VARIABLE]))
