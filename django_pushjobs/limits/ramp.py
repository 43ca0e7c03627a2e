"""What has gathered while a provider was away is let out bit by bit, and not all at once.

The relay lets a few requests of the backend out at first, and twice as many in each step that
follows, until it lets them out twice as fast as they have gathered. A step takes
``RELAY_INTERVAL``, however often the relay sweeps meanwhile. There is one relay that sweeps, so
this is known to its process alone; the next one would begin without a ramp.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ..conf import conf

#: Requests of a backend that are let out by the first step after an outage.
FIRST: Final = 10
#: The time in which those who have waited come back, as a share of that for which the provider was
#: away: the longer that was, the more they are.
RETURN: Final = 0.5


@dataclass(slots=True)
class Ramp:
    """How fast the requests of one backend are let out.

    :param room: how many this step may let out.
    :param left: how many of them it has not let out yet.
    :param most: how many a step may let out in the end.
    :param ends: of the monotonic clock, in seconds: when there is nothing to hold back any longer,
        whatever has come since.
    """

    room: int
    left: int
    most: int
    ends: float


#: Backends that were away at the last look -> since when.
_away: dict[str, datetime] = {}
#: Backends that are back.
_ramps: dict[str, Ramp] = {}


def look(away: Mapping[str, datetime]) -> dict[str, datetime]:
    """Take note of which backends are away now, and since when; return those that are back."""
    back = {backend: since for backend, since in _away.items() if backend not in away}
    for backend in away:
        _ramps.pop(backend, None)
    _away.clear()
    _away.update(away)
    return back


def begin(backend: str, count: int, away_for: float) -> None:
    """Begin to hold back.

    :param count: how many requests wait.
    :param away_for: seconds in which they have gathered.
    """
    steps = RETURN * away_for / conf().RELAY_INTERVAL
    most = max(FIRST, math.ceil(count / max(steps, 1.0)))
    _ramps[backend] = Ramp(FIRST, FIRST, most, ends=time.monotonic() + away_for)


def is_on() -> bool:
    """Return whether there is a ramp for any backend."""
    return bool(_ramps)


def step() -> None:
    """Begin the next step."""
    for ramp in _ramps.values():
        if not ramp.left:
            ramp.room = min(2 * ramp.room, ramp.most)
        ramp.left = ramp.room


def room(backend: str, limit: int) -> int:
    """Return how many requests of ``backend`` may be let out now, ``limit`` at most."""
    ramp = _ramps.get(backend)
    return limit if ramp is None else min(limit, ramp.left)


def take(backend: str, count: int, asked: int) -> None:
    """Take note that ``count`` requests are let out; there were no more if ``asked`` is more."""
    if (ramp := _ramps.get(backend)) is None:
        return
    if count < asked or time.monotonic() >= ramp.ends:
        del _ramps[backend]
    else:
        ramp.left -= count


def forget() -> None:
    """Hold nothing back."""
    _away.clear()
    _ramps.clear()
