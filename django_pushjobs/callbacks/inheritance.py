"""What is left of calls whose process died: endpoints are free again, and one may rest."""

from __future__ import annotations

import logging
from typing import Final
from uuid import UUID

from ..db import clock
from .batches import next_batch
from .claims import EndpointClaim, release_all
from .results import AttemptResult
from .settlements import settle

logger = logging.getLogger(__name__)

#: Error code of an attempt that blocked its process until that was killed.
POISONOUS: Final = "poisonous"


def inherit(tokens: str, *, culprit: UUID | None, silence: float, rest: float) -> None:
    """Take over the endpoints that a dead process was calling: they can be called at once.

    :param tokens: how its tokens begin.
    :param culprit: the endpoint whose job had blocked the process. Its calls count as failed, and
        it is left alone for some time.
    :param silence: seconds for which the process did not respond.
    :param rest: seconds for which the culprit is left alone.
    """
    held = release_all(tokens)
    if culprit is not None and culprit in held:
        _blame(culprit, silence, rest)


def _blame(endpoint_id: UUID, silence: float, rest: float) -> None:
    claim = EndpointClaim.take(endpoint_id)
    if claim is None:
        return
    logger.error(
        "callback endpoint %s: calling it blocked a process for %.0f s; it rests for %.0f s",
        endpoint_id,
        silence,
        rest,
    )
    # Which of them it was is not known; as they are all for one endpoint, all of them wait.
    results = [
        AttemptResult(
            event=group[0],
            error_code=POISONOUS,
            retry_after=rest,
            started_at=clock.now(),
            latency=round(silence * 1_000),
        )
        for group in next_batch(claim)
    ]
    try:
        if results:
            settle(claim, results)
    finally:
        claim.release()
