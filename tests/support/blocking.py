"""A backend that blocks its whole process for some addresses, as a broken one may."""

from __future__ import annotations

import re
import time

from gevent.monkey import get_original

from django_pushjobs.backends import BasePushBackend, Message, Outcome, OutcomeClass, Target

#: Addresses begin with the way in which a push to them blocks.
SPINS, SEARCHES, WAITS = "spin", "regex", "sleep"


class BlockingBackend(BasePushBackend):
    """Accepts a message after a moment, unless the address says that it blocks instead."""

    def push(self, message: Message, target: Target) -> Outcome:
        how = target.address.partition("-")[0]
        if how == SPINS:
            while True:
                pass
        elif how == SEARCHES:
            # Never lets go of the interpreter lock.
            re.fullmatch("(a|aa)+$", "a" * 200 + "b")
        elif how == WAITS:
            get_original("time", "sleep")(3_600)
        time.sleep(0.5)
        return Outcome(kind=OutcomeClass.OK)
