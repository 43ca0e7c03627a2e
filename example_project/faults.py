"""The faults of the gateway simulator, and how often each occurs."""

from __future__ import annotations

import random
from collections.abc import Mapping
from itertools import accumulate

#: Answered with success.
OK = "ok"
#: The connection is cut: after the message was taken (``lost``), or before (``reset``).
RESET, LOST = "reset", "lost"
#: Never answered.
HANG = "hang"

_WORDS = frozenset({RESET, LOST, HANG})


class FaultMix:
    """A fault for a share of the messages.

    :param shares: fault -> share of the messages from 0 to 1; a fault is an HTTP status from
        400 to 599, ``reset``, ``lost`` or ``hang``.
    :raises ValueError: a fault is unknown, or the shares or their sum are not between 0 and 1.
    """

    def __init__(self, shares: Mapping[str, float]) -> None:
        for fault, share in shares.items():
            if not is_fault(fault):
                raise ValueError(f"{fault!r} is not a status from 400 to 599, reset, lost or hang")
            if not isinstance(share, int | float) or not 0 <= share <= 1:
                raise ValueError(f"the share of {fault} must be a number from 0 to 1")
        self.shares = dict(shares)
        self._faults = list(self.shares)
        self._bounds = list(accumulate(self.shares.values()))
        if self._bounds and self._bounds[-1] > 1 + 1e-9:
            raise ValueError("the shares add up to more than 1")

    @classmethod
    def parse(cls, text: str) -> FaultMix:
        """Parse the notation of the command line: ``500:0.05,reset:0.01``; empty means no faults.

        :raises ValueError: as above, or a part is not written as ``fault:share``.
        """
        shares: dict[str, float] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            fault, _, share = part.partition(":")
            try:
                shares[fault.strip()] = float(share)
            except ValueError:
                raise ValueError(f"{part!r} is not written as fault:share") from None
        return cls(shares)

    def choose(self) -> str:
        """Return the fault of the next message, or ``ok``."""
        if not self._bounds:
            return OK
        number = random.random()
        for fault, bound in zip(self._faults, self._bounds, strict=True):
            if number < bound:
                return fault
        return OK


def is_fault(word: str) -> bool:
    """Return whether ``word`` is the name of a fault."""
    return word in _WORDS or (word.isascii() and word.isdecimal() and 400 <= int(word) <= 599)
