"""The relay of a process: sweeps every second while it holds the lease, otherwise looks on."""

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

    def turn(self) -> None:
        """Sweep once if the lease is ours. Errors of the database and of Redis are logged."""
        began = time.monotonic()
        try:
            if self._lease.hold():
                self._sweep()
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

    def _sweep(self) -> None:
        now = time.monotonic()
        if now - self._seen_at > conf().RELAY_INTERVAL + conf().LEASE / 2:
            # The database was away, or we were: nobody could renew a lease, or we could not have
            # seen it.
            self._lenient_until = now + RENEWED_WITHIN
        prune = now >= self._prune_at
        lenient = now < self._lenient_until
        done = read(partial(sweep, lenient=lenient, forgetful=self._lease.is_new, prune=prune))
        if done:
            logger.info("Relay: %s", done)
        if prune and not done.pruned:
            self._prune_at = now + PRUNE_AGAIN

    def close(self) -> None:
        """Give the lease back, so that the next relay need not wait for it to expire."""
        self._lease.drop()
        connections.close_all()


def run(stop: threading.Event) -> None:
    """Sweep every ``RELAY_INTERVAL`` seconds until ``stop`` is set. Errors are reported.

    Of all relays of a site one sweeps. If its process dies, those on the same machine see that and
    take over at once; the others do when its lease has expired.
    """
    relay = Relay()
    with sentry.background("relay"):
        while not stop.is_set():
            relay.turn()
            stop.wait(conf().RELAY_INTERVAL)
        relay.close()
