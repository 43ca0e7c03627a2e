"""Which process claimed a row, and whether it is known to be dead."""

from __future__ import annotations

import hashlib
import os
import secrets
from functools import cache
from pathlib import Path


@cache
def _neighbourhood() -> str:
    """Name those who see the same process ids as we: one boot of one machine, one container."""
    parts = [os.uname().nodename]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        parts.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    except OSError:
        # No such files, so nobody can be sure of anybody: this name is ours alone.
        parts.append(secrets.token_hex(8))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def new_token() -> str:
    """Return a token that names this process, and no other one before or after it."""
    return f"{_neighbourhood()}:{os.getpid()}:{secrets.token_hex(4)}"


def is_dead(token: str) -> bool:
    """Return True where the process of ``token`` is certainly gone.

    False means nothing: it may live elsewhere, or another process may have its id by now.
    """
    neighbourhood, _, rest = token.partition(":")
    if neighbourhood != _neighbourhood():
        return False
    pid, _, _ = rest.partition(":")
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
