"""The job of an endpoint: claim it, and send what is due until nothing is left."""

from __future__ import annotations

import time
from functools import partial
from typing import Final
from uuid import UUID

from ..broker.queues import note_started
from ..db.readers import read
from ..transport import lookups
from ..transport.lookups import Lookup
from .attempts import attempt
from .batches import next_batch
from .claims import EndpointClaim
from .settlements import settle

#: Seconds after which a job leaves the rest to the next one, so that other jobs get to run.
TIME_SLICE: Final = 20.0


def send(endpoint_id: UUID, *, lookup: Lookup | None = None) -> int:
    """Send an endpoint the events that are due; return how many attempts were made.

    Returns 0 at once if another job calls the endpoint, or if it is paused, disabled or resting.

    :param lookup: see :func:`~django_pushjobs.transport.destinations.resolve`.
    """
    note_started(endpoint_id)
    claim = read(partial(EndpointClaim.take, endpoint_id))
    if claim is None:
        return 0
    lookups.client.set(claim.endpoint.client_id)
    made, ends_at = 0, time.monotonic() + TIME_SLICE
    try:
        while time.monotonic() < ends_at and (batch := read(partial(next_batch, claim))):
            results = attempt(claim.endpoint, batch, lookup=lookup, ends_at=ends_at)
            made += len(results)
            if not read(partial(settle, claim, results)):
                break
    finally:
        # Events that have come in since the last look get a job of their own.
        read(claim.release)
    return made
