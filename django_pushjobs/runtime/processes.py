"""What a process has for itself, and how to tell it from other processes, dead or alive."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Something that each process makes for itself when it first asks for it.

    A forked process forgets what it has inherited: threads do not survive the fork, and connections
    belong to the parent.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        #: What was made in this process, or None as long as nobody has asked for it.
        self.made: T | None = None
        os.register_at_fork(after_in_child=self._forget)

    def __call__(self) -> T:
        if self.made is None:
            with self._lock:
                if self.made is None:
                    self.made = self._make()
        return self.made

    def _forget(self) -> None:
        self.made, self._lock = None, threading.Lock()


@cache
def _neighbourhood() -> str:
    """Return a name shared by processes that see the same process ids: one boot, one container."""
    parts = [os.uname().nodename]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        parts.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    except OSError:
        # No such files, so no process can be sure of another: this name is ours alone.
        parts.append(secrets.token_hex(8))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


#: The process that replaces this one if it dies; 0 if there is none.
_guardian = 0


def set_guardian(pid: int) -> None:
    """Let the tokens of this process say who replaces it if it dies."""
    global _guardian
    _guardian = pid


def new_token() -> str:
    """Return a token that names this process, and no other one before or after it."""
    return f"{tokens_of(os.getpid())}{_guardian}-{secrets.token_hex(4)}"


def tokens_of(pid: int) -> str:
    """Return how all tokens of the process with this id begin; it is, or was, on this machine."""
    return f"{_neighbourhood()}:{pid}:"


def is_dead(token: str) -> bool:
    """Return True if the process of ``token`` is certainly gone.

    False proves nothing: it may live elsewhere, or another process may have its id by now.
    """
    neighbourhood, _, rest = token.partition(":")
    pid, _, _ = rest.partition(":")
    return neighbourhood == _neighbourhood() and _is_gone(int(pid))


def is_abandoned(token: str) -> bool:
    """Return True if the process of ``token`` is certainly gone and leaves no heir.

    What a child of an arbiter held is for its successor to take over, who is told what it died of.
    """
    if not is_dead(token):
        return False
    guardian, dash, _ = token.rpartition(":")[2].partition("-")
    return not dash or guardian == "0" or _is_gone(int(guardian))


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
