"""How much of a process one backend, or one large request, may take up."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable

from ..conf import conf
from ..runtime import greenlets
from .requests import ClaimedRequest

#: Addresses of parts that a process works on at a time, but at least one part: it holds the result
#: of each address in memory until all of the part are pushed.
MAX_PART_ADDRESSES = 20_000


class Bulkhead:
    """Limits how many requests a process takes of one backend while others need its slots, and
    how many parts of large requests.

    Otherwise a slow gateway would fill all slots; a backend on its own may have them all. A large
    request would fill them too, and the memory as well.
    """

    #: Seconds for which a backend counts as being in use.
    MEMORY = 60.0

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}

    def excess(
        self, rows: Iterable[ClaimedRequest], held: Iterable[ClaimedRequest]
    ) -> list[ClaimedRequest]:
        """Return those of ``rows`` that there is no room for.

        :param held: the requests that are being pushed.
        """
        rows = list(rows)
        room = self._room(rows)
        if room is None and not any(row.is_part for row in rows):
            return []
        held = list(held)
        taken = Counter(row.backend for row in held)
        addresses = sum(row.total for row in held if row.is_part)
        left = []
        for row in rows:
            if (room is not None and taken[row.backend] >= room) or (
                row.is_part and addresses >= MAX_PART_ADDRESSES
            ):
                left.append(row)
            else:
                taken[row.backend] += 1
                addresses += row.total if row.is_part else 0
        return left

    def _room(self, rows: Iterable[ClaimedRequest]) -> int | None:
        """Return how many requests of one backend there may be, or None for any number."""
        now = time.monotonic()
        self._seen |= dict.fromkeys((row.backend for row in rows), now)
        slots = greenlets.slots()
        in_use = sum(now - seen < self.MEMORY for seen in self._seen.values())
        return None if slots is None or in_use < 2 else max(1, int(slots * conf().BULKHEAD))
