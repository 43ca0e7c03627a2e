"""When a token of ours was made, by two clocks, since either may be wrong.

A token says when it was made or when it ends, by the wall clock. If that is set while a process
runs, the token is from the future, or lasts much longer than it may.
"""

from __future__ import annotations

from typing import Final, NamedTuple

#: Seconds that the wall clock may go back without consequences: it is adjusted all the time.
SLACK: Final = 30.0


class Made(NamedTuple):
    """When a token was made.

    :param wall: in the seconds of ``time.time()``.
    :param steady: in the seconds of ``time.monotonic()``.
    """

    wall: float
    steady: float

    def is_younger(self, lifetime: float, *, wall: float, steady: float) -> bool:
        """Return whether the token may still be used: by both clocks it is less than ``lifetime``
        seconds old, and the wall clock has not been set back since.

        :param wall: the time now.
        :param steady: the time now.
        """
        return -SLACK <= wall - self.wall < lifetime and steady - self.steady < lifetime
