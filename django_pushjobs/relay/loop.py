"""The relay of a process: sweeps while it holds the lease, every second or at once if it must."""

from __future__ import annotations

import logging
import threading
import time
from functools import partial

from django.db import DatabaseError, connections

from .. import sentry
from ..broker import Unavailable
from ..broker.lease import Lease
from ..conf import conf
from ..db.readers import read
from ..runtime.greenlets import set_slots, slots
from .sweep import sweep

logger = logging.getLogger(__name__)

#: Seconds until it looks again for what to delete after it found nothing.
PRUNE_AGAIN = 10.0
#: Seconds after an outage of the database within which the living have renewed their leases.
RENEWED_WITHIN = 10.0
#: Sweeps for which the lease of the active relay holds.
LEASE_SWEEPS = 3


class Relay:
    """Sweeps, and remembers between two sweeps what the next one has to know.

    All times are of the monotonic clock, in seconds.
    """

    def __init__(self) -> None:
        self._lease = Lease("relay", conf().RELAY_INTERVAL * LEASE_SWEEPS)
        #: When the database was last known to be there.
        self._seen_at = time.monotonic()
        #: Until when leases count as held although they have expired.
        self._lenient_until = 0.0
        #: When to prune again.
        self._prune_at = 0.0
        #: When to let out the next bit of what an outage has held back.
        self._step_at = 0.0
        #: The last sweep was full.
        self._is_busy = False

    def turn(self) -> bool:
        """Sweep once if the lease is ours. Errors of the database and of Redis are logged.

        :returns: whether there is more to do at once.
        """
        has_more = False
        began = time.monotonic()
        try:
            if self._lease.hold():
                has_more = self._sweep()
            # If it hung meanwhile, it was there before that, and the next sweep finds a gap.
            self._seen_at = began
        except (DatabaseError, Unavailable) as error:
            logger.error("Relay: %s", error)
            if isinstance(error, DatabaseError):
                # However short we were away: nobody else could renew a lease either.
                self._seen_at = float("-inf")
            connections.close_all()
        except Exception as error:
            logger.exception("Relay: unexpected error")
            sentry.capture(error)
        return has_more

    def _sweep(self) -> bool:
        now = time.monotonic()
        if now - self._seen_at > conf().RELAY_INTERVAL + conf().LEASE / 2:
            # The database was away, or we were: nobody could renew a lease, or we could not have
            # seen it.
            self._lenient_until = now + RENEWED_WITHIN
        # A wait may end a moment early.
        is_step = now >= self._step_at - conf().RELAY_INTERVAL / 10
        if is_step:
            self._step_at = now + conf().RELAY_INTERVAL
        # As long as much is due, what is kept no longer gets its share once in a while.
        prune = now >= self._prune_at and (is_step or not self._is_busy)
        lenient = now < self._lenient_until
        is_new = self._lease.is_new
        done = read(partial(sweep, lenient=lenient, forgetful=is_new, prune=prune, step=is_step))
        if done:
            logger.info("Relay: %s", done)
        if prune and not done.pruned:
            self._prune_at = now + PRUNE_AGAIN
        self._is_busy = done.is_full
        return done.is_full or not done.is_pruned

    def close(self) -> None:
        """Give the lease back, so that the next relay need not wait for it to expire."""
        self._lease.drop()
        connections.close_all()


def run(stop: threading.Event) -> None:
    """Sweep every ``RELAY_INTERVAL`` seconds until ``stop`` is set. Errors are reported.

    After a sweep that has left something to do the next one follows at once.

    Of all relays of a site one sweeps. If its process dies, those on the same machine see that and
    take over at once; the others do when its lease has expired.
    """
    if slots() is None:
        # On its own: nobody waits for this process, so it is as patient with Redis as a worker.
        set_slots(1)
    relay = Relay()
    with sentry.background("relay"):
        while not stop.is_set():
            has_more = relay.turn()
            stop.wait(0 if has_more else conf().RELAY_INTERVAL)
        relay.close()
