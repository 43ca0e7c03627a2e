"""Jobs that are not ours, as other people's projects have them."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from gevent.monkey import get_original


def add(a: int, b: int) -> int:
    return a + b


def nothing() -> None:
    return None


def fail() -> None:
    raise ValueError("this job fails")


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def sleep_until(path: str) -> None:
    """Last until there is a file at ``path``; one beside it, ``.awaited``, says that it began."""
    Path(f"{path}.awaited").touch()
    while not os.path.exists(path):
        time.sleep(0.02)


def block_in_c() -> None:
    """Stay in C for hours, without giving away the interpreter lock or handling a signal."""
    sum(range(10**14))


def spin() -> None:
    """Compute for ever, and never wait."""
    while True:
        pass


def deadlock() -> None:
    """Take a lock of the operating system twice."""
    lock = get_original("_thread", "allocate_lock")()
    lock.acquire()
    lock.acquire()


def compute(seconds: float) -> None:
    """Compute for so long without waiting for anything."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def hoard(mebibytes: int) -> int:
    """Make the process grow, and let it stay large."""
    HOARD.append(bytearray(os.urandom(1024 * 1024)) * mebibytes)
    return mebibytes


HOARD: list[bytearray] = []


def leave_an_orphan() -> int:
    """Start a process whose parent ends at once; it ends a moment later."""
    shell = subprocess.run(
        ["/bin/sh", "-c", "sleep 0.2 & echo $!"], check=True, capture_output=True, text=True
    )
    return int(shell.stdout)


def brief() -> None:
    """Wait for a moment, as a job does that asks somebody over the network."""
    time.sleep(0.005)
