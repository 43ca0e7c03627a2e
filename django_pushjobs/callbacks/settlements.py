"""Write the results of attempts back: to the events, the endpoint and the journal."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import transaction

from ..db import clock
from ..models import (
    CallbackAttempt,
    CallbackEndpoint,
    CallbackEvent,
    CallbackStatus,
    DisabledReason,
    EndpointState,
    EventType,
)
from . import endpoints, schedule, verification
from .claims import EndpointClaim, database
from .results import AttemptResult, Verdict

logger = logging.getLogger(__name__)


def settle(claim: EndpointClaim, results: Sequence[AttemptResult]) -> bool:
    """Write ``results``, in one transaction.

    Returns False if the claim was lost: then nothing is written, and the job that has it now sends
    the same events again, under the same ids.
    """
    using = database()
    with transaction.atomic(using=using):
        endpoint = claim.rows().select_for_update().first()
        if endpoint is None:
            logger.warning(
                "callback endpoint %s: the claim was lost; discarding the results of %d attempts",
                claim.endpoint.pk,
                len(results),
            )
            return False
        now = clock.now()
        for result in results:
            _apply(result, endpoint, now)
        CallbackAttempt.objects.using(using).bulk_create(
            [_journal_entry(result) for result in results]
        )
        CallbackEvent.objects.using(using).bulk_update(
            [result.event for result in results],
            ["status", "attempts", "next_attempt_at", "finished_at"],
        )
        if endpoint.verified_at == now:
            verification.set_aside(endpoint, using=using)
        # Those behind them waited for their time.
        ended = {result.event.request_id for result in results if result.event.finished_at}
        behind = CallbackEvent.objects.using(using).filter(endpoint=endpoint, request__in=ended)
        behind.pending().filter(attempts=0, next_attempt_at__gt=now).update(next_attempt_at=now)
        endpoint.save(
            using=using,
            update_fields=[
                *("state", "verified_at", "last_attempt_at", "failing_since", "resting_until")
            ],
        )
        if reason := _reason_to_disable(endpoint, results, now):
            endpoints.disable(endpoint, reason, using=using)
    return True


def _apply(result: AttemptResult, endpoint: CallbackEndpoint, now: datetime) -> None:
    """Change the event and the endpoint according to ``result``."""
    event = result.event
    event.attempts += 1
    if result.verdict is Verdict.DELIVERED:
        endpoint.failing_since = None
        _end(event, CallbackStatus.DELIVERED, now)
        if _proves(event, endpoint):
            endpoint.state, endpoint.verified_at = EndpointState.ACTIVE, now
    else:
        endpoint.failing_since = schedule.failing_since(
            now, endpoint.failing_since, endpoint.last_attempt_at
        )
        until = schedule.resting_until(
            now, result.verdict, result.retry_after, endpoint.failing_since
        )
        endpoint.resting_until = max(filter(None, (endpoint.resting_until, until)), default=None)
        again = schedule.next_attempt(now, event.attempts, result.retry_after)
        patience_ends = event.created_at + verification.WITHIN
        if again is None or (_is_challenge(event) and again > patience_ends):
            _end(event, CallbackStatus.FAILED, now)
        else:
            event.next_attempt_at = again
    endpoint.last_attempt_at = now


def _is_challenge(event: CallbackEvent) -> bool:
    return event.type == EventType.ENDPOINT_VERIFICATION


def _proves(event: CallbackEvent, endpoint: CallbackEndpoint) -> bool:
    """Whether the answer to ``event`` verifies the URL that ``endpoint`` has by now."""
    return (
        _is_challenge(event)
        and endpoint.state == EndpointState.UNVERIFIED
        and event.url == endpoint.url
    )


def _end(event: CallbackEvent, status: CallbackStatus, now: datetime) -> None:
    event.status, event.finished_at, event.next_attempt_at = status, now, None


def _journal_entry(result: AttemptResult) -> CallbackAttempt:
    return CallbackAttempt(
        event=result.event,
        number=result.event.attempts,
        started_at=result.started_at,
        latency=result.latency,
        status_code=result.status_code,
        error_code=result.error_code,
        response=result.response,
    )


def _reason_to_disable(
    endpoint: CallbackEndpoint, results: Iterable[AttemptResult], now: datetime
) -> DisabledReason | None:
    if endpoint.state not in (EndpointState.ACTIVE, EndpointState.UNVERIFIED):
        return None
    if any(result.verdict is Verdict.GONE for result in results):
        return DisabledReason.GONE
    if endpoint.state == EndpointState.UNVERIFIED:
        has_failed = any(
            result.event.status == CallbackStatus.FAILED and result.event.url == endpoint.url
            for result in results
        )
        return DisabledReason.UNVERIFIED if has_failed else None
    since = endpoint.failing_since
    if since is not None and now - since >= schedule.DISABLED_AFTER:
        return DisabledReason.FAILING
    return None
