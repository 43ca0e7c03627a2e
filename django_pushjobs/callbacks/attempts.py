"""Make the attempts at a batch of events."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from django.views.decorators.debug import sensitive_variables

from .. import sentry
from ..conf import conf
from ..db import clock
from ..exceptions import SecretUnreadable
from ..models import CallbackEndpoint, CallbackEvent
from ..runtime.greenlets import carrying_context, cooperative
from ..transport.lookups import Lookup
from .courier import Courier
from .results import AttemptResult, Verdict

logger = logging.getLogger(__name__)

#: After one of these, the other events of the batch would fare no better.
_STOPS_THE_BATCH = frozenset({Verdict.GONE, Verdict.THROTTLED, Verdict.NO_RESPONSE})


@sensitive_variables("secrets")
def attempt(
    endpoint: CallbackEndpoint,
    batch: Sequence[Sequence[CallbackEvent]],
    *,
    lookup: Lookup | None,
    ends_at: float,
) -> list[AttemptResult]:
    """Make one attempt at each event of ``batch``, as far as that makes sense.

    :param batch: see :func:`~.batches.next_batch`.
    :param ends_at: no attempt starts later than this, on the monotonic clock.
    """
    try:
        secrets = endpoint.secrets(clock.now())
    except SecretUnreadable as error:
        logger.error("callback endpoint %s: %s", endpoint.pk, error.__doc__)
        sentry.capture(error)
        return [
            AttemptResult(
                event=group[0],
                error_code="secret_unreadable",
                started_at=clock.now(),
                latency=0,
            )
            for group in batch
        ]
    courier = Courier(secrets, size=conf().CALLBACK_CONCURRENCY, lookup=lookup)
    attempts = BatchAttempts(endpoint, courier, ends_at)
    try:
        _side_by_side(attempts.send, batch)
    finally:
        courier.close()
    return attempts.results


@dataclass(slots=True)
class BatchAttempts:
    """The attempts at the events of one batch."""

    endpoint: CallbackEndpoint
    courier: Courier
    ends_at: float
    results: list[AttemptResult] = field(default_factory=list)
    is_stopped: bool = False

    def send(self, group: Sequence[CallbackEvent]) -> None:
        """Send the events of one push request one after the other, up to the first failure."""
        for event in group:
            if self.is_stopped or time.monotonic() > self.ends_at:
                return
            result = self.courier.post(event, event.url or self.endpoint.url)
            self.results.append(result)
            if result.verdict in _STOPS_THE_BATCH:
                self.is_stopped = True
            if result.verdict is not Verdict.DELIVERED:
                return


def _side_by_side(
    send: Callable[[Sequence[CallbackEvent]], None], batch: Sequence[Sequence[CallbackEvent]]
) -> None:
    width = min(conf().CALLBACK_CONCURRENCY, len(batch))
    if width < 2 or not cooperative():
        for group in batch:
            send(group)
        return
    pool = ThreadPoolExecutor(width, "callbacks")
    try:
        futures = [pool.submit(carrying_context(send), group) for group in batch]
        for future in futures:
            future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
