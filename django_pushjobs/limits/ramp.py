"""What has gathered while a provider was away is let out bit by bit, and not all at once.

The relay lets a few requests of the backend out at first, and twice as many in each sweep that
follows, until there is nothing left or no reason to hold back. There is one relay that sweeps, so
this is known to its process alone; the next one would begin without a ramp.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

#: Requests of a backend that are let out by the first sweep after an outage.
FIRST: Final = 10

#: Backends that were away at the last look.
_away: set[str] = set()
#: Backend that is back -> how many of its requests the next sweep may let out.
_room: dict[str, int] = {}


def look(away: Collection[str]) -> None:
    """Take note of which backends are away now: a ramp begins for those that are no longer."""
    for backend in _away.difference(away):
        _room[backend] = FIRST
    for backend in away:
        _room.pop(backend, None)
    _away.clear()
    _away.update(away)


def is_on() -> bool:
    """Return whether there is a ramp for any backend."""
    return bool(_room)


def room(backend: str, limit: int) -> int:
    """Return how many requests of ``backend`` this sweep may let out, ``limit`` at most."""
    return min(limit, _room.get(backend, limit))


def take(backend: str, count: int, limit: int) -> None:
    """Take note that a sweep lets out ``count`` requests, as many as there are and may be."""
    if backend not in _room:
        return
    if count < _room[backend] or _room[backend] >= limit:
        del _room[backend]
    else:
        _room[backend] *= 2


def forget() -> None:
    """Hold nothing back."""
    _away.clear()
    _room.clear()
