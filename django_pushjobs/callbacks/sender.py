"""What the job of an endpoint does: claim it, and call it until nothing is due any more.

One job at a time calls an endpoint. So an endpoint that is slow costs one job and a few
connections, whatever waits for it, and the events of one request cannot overtake each other.
"""

from __future__ import annotations

import contextvars
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.db import router, transaction
from django.utils import timezone

from .. import sentry
from ..broker.queues import note_started
from ..conf import conf
from ..db.readers import read
from ..exceptions import SecretUnreadable
from ..models import (
    CallbackAttempt,
    CallbackEndpoint,
    CallbackEvent,
    CallbackStatus,
    DisabledReason,
    EndpointState,
)
from ..runtime.greenlets import cooperative
from ..runtime.processes import is_dead, new_token
from ..transport import destinations
from . import dispatch, verdicts
from .courier import Courier
from .outages import disable
from .verdicts import Answer, Verdict

logger = logging.getLogger(__name__)

#: Seconds after which a job leaves the rest to the next one: others wait for a turn as well.
TURN: Final = 20.0
#: Seconds that a claim holds: much longer than a turn and an attempt.
LEASE: Final = 90.0
#: Events that are read, called and written together.
BATCH: Final = 100


def send(endpoint_id: UUID, *, lookup: destinations.Lookup | None = None) -> int:
    """Call an endpoint for the events that are due; return how many attempts were made.

    Returns 0 at once where another job calls it, and where it is paused, disabled or resting.

    :param lookup: see :func:`~django_pushjobs.transport.destinations.resolve`.
    """
    note_started(endpoint_id)
    turn = read(partial(_begin, endpoint_id))
    if turn is None:
        return 0
    made, ends_at = 0, time.monotonic() + TURN
    try:
        while time.monotonic() < ends_at and (round_ := read(partial(_next_round, turn))):
            calls = _call(turn.endpoint, round_, lookup, ends_at)
            made += len(calls)
            if not read(partial(_write, turn, calls)):
                break
    finally:
        # What came in since the last look is rung for again.
        read(partial(_finish, turn))
    return made


@dataclass(slots=True)
class Turn:
    """A claim on an endpoint."""

    endpoint: CallbackEndpoint
    owner: str

    def claimed(self) -> Any:
        """The endpoint's row, while the claim holds."""
        return CallbackEndpoint.objects.using(_using()).filter(
            pk=self.endpoint.pk, owner=self.owner
        )


@dataclass(slots=True)
class Call:
    """One attempt that was made."""

    event: CallbackEvent
    answer: Answer

    @property
    def verdict(self) -> Verdict:
        return Verdict.of(self.answer)


def _using() -> str:
    return router.db_for_write(CallbackEvent)


def _begin(endpoint_id: UUID) -> Turn | None:
    now = timezone.now()
    endpoint = CallbackEndpoint.objects.using(_using()).callable(now).filter(pk=endpoint_id).first()
    if endpoint is None:
        return None
    if endpoint.owner and not _is_over(endpoint, now):
        return None
    owner = new_token()
    claimed = CallbackEndpoint.objects.using(_using()).filter(pk=endpoint_id, owner=endpoint.owner)
    if not claimed.update(owner=owner, lease_expires_at=now + timedelta(seconds=LEASE)):
        return None
    return Turn(endpoint, owner)


def _is_over(endpoint: CallbackEndpoint, now: datetime) -> bool:
    """Whether the claim on ``endpoint`` holds no longer."""
    expired = endpoint.lease_expires_at is not None and endpoint.lease_expires_at < now
    return expired or is_dead(endpoint.owner)


def _finish(turn: Turn) -> None:
    if not turn.claimed().update(owner="", lease_expires_at=None):
        return
    now = timezone.now()
    waiting = CallbackEndpoint.objects.using(_using()).callable(now).with_due_events(now)
    if waiting.filter(pk=turn.endpoint.pk).exists():
        dispatch.enqueue([turn.endpoint.pk])


def _next_round(turn: Turn) -> list[list[CallbackEvent]]:
    """Return the events to call for: a list for each push request, in their order."""
    now = timezone.now()
    lease = now + timedelta(seconds=LEASE)
    if not turn.claimed().callable(now).update(lease_expires_at=lease):
        return []
    turn.endpoint = turn.claimed().get()
    events = CallbackEvent.objects.using(_using()).filter(endpoint=turn.endpoint.pk)
    due = list(events.due(now).order_by("next_attempt_at", "id")[:BATCH])
    requests = {event.request_id for event in due if event.request_id is not None}
    # An event whose forerunner waits for another attempt waits with it.
    waiting = events.pending().filter(request__in=requests).order_by("created_at", "id")
    lines: dict[UUID, list[UUID]] = {}
    for pk, request_id in waiting.values_list("pk", "request_id"):
        lines.setdefault(request_id, []).append(pk)
    ready = {event.pk: event for event in due}
    round_ = [[event] for event in due if event.request_id is None]
    for line in lines.values():
        group = []
        for pk in line:
            if pk not in ready:
                break
            group.append(ready[pk])
        if group:
            round_.append(group)
    return round_


def _call(
    endpoint: CallbackEndpoint,
    round_: Sequence[Sequence[CallbackEvent]],
    lookup: destinations.Lookup | None,
    ends_at: float,
) -> list[Call]:
    """Make an attempt at each event of ``round_``, until the turn ends (monotonic) or it turns out
    that it is no use."""
    try:
        secrets = endpoint.secrets(timezone.now())
    except SecretUnreadable as error:
        logger.error("Callback endpoint %s: %s", endpoint.pk, error.__doc__)
        sentry.capture(error)
        failed = Answer(error_code="secret_unreadable", started_at=timezone.now(), latency=0)
        return [Call(group[0], failed) for group in round_]
    courier = Courier(secrets, size=conf().CALLBACK_CONCURRENCY, lookup=lookup)
    visit = Visit(endpoint, courier, ends_at)
    try:
        _side_by_side(visit.call, round_)
    finally:
        courier.close()
    return visit.calls


@dataclass(slots=True)
class Visit:
    """The attempts of one round."""

    endpoint: CallbackEndpoint
    courier: Courier
    ends_at: float
    calls: list[Call] = field(default_factory=list)
    is_over: bool = False

    def call(self, group: Sequence[CallbackEvent]) -> None:
        """Call for the events of one push request, one after the other."""
        for event in group:
            if self.is_over or time.monotonic() > self.ends_at:
                return
            call = Call(event, self.courier.post(event, event.url or self.endpoint.url))
            self.calls.append(call)
            if call.verdict in {Verdict.GONE, Verdict.THROTTLED, Verdict.UNREACHABLE}:
                self.is_over = True
            if call.verdict is not Verdict.TAKEN:
                return


def _side_by_side(
    call: Callable[[Sequence[CallbackEvent]], None], round_: Sequence[Sequence[CallbackEvent]]
) -> None:
    width = min(conf().CALLBACK_CONCURRENCY, len(round_))
    if width < 2 or not cooperative():
        for group in round_:
            call(group)
        return
    pool = ThreadPoolExecutor(width, "callbacks")
    try:
        futures = [pool.submit(contextvars.copy_context().run, call, group) for group in round_]
        for future in futures:
            future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _write(turn: Turn, calls: Sequence[Call]) -> bool:
    """Write what came of ``calls``. Returns False where the claim was lost: nothing was written,
    and whoever has it now calls again, with the same ids."""
    using = _using()
    with transaction.atomic(using=using):
        endpoint = turn.claimed().select_for_update().first()
        if endpoint is None:
            logger.warning("Callback endpoint %s: the claim was lost", turn.endpoint.pk)
            return False
        now = timezone.now()
        for call in calls:
            _judge(endpoint, call, now)
        CallbackAttempt.objects.using(using).bulk_create(_journal(calls))
        CallbackEvent.objects.using(using).bulk_update(
            [call.event for call in calls],
            ["status", "attempts", "next_attempt_at", "finished_at"],
        )
        endpoint.save(
            using=using, update_fields=["last_attempt_at", "failing_since", "resting_until"]
        )
        if reason := _reason_to_disable(endpoint, calls, now):
            disable(endpoint, reason, using=using)
    return True


def _judge(endpoint: CallbackEndpoint, call: Call, now: datetime) -> None:
    """Change the event and the endpoint as the answer wants it."""
    event, answer, verdict = call.event, call.answer, call.verdict
    event.attempts += 1
    if verdict is Verdict.TAKEN:
        endpoint.failing_since = None
        _end(event, CallbackStatus.DELIVERED, now)
    else:
        endpoint.failing_since = verdicts.failing_since(
            now, endpoint.failing_since, endpoint.last_attempt_at
        )
        until = verdicts.rest(now, verdict, answer.retry_after, endpoint.failing_since)
        endpoint.resting_until = max(filter(None, (endpoint.resting_until, until)), default=None)
        again = verdicts.next_attempt(now, event.attempts, answer.retry_after)
        if again is None:
            _end(event, CallbackStatus.FAILED, now)
        else:
            event.next_attempt_at = again
    endpoint.last_attempt_at = now


def _end(event: CallbackEvent, status: CallbackStatus, now: datetime) -> None:
    event.status, event.finished_at, event.next_attempt_at = status, now, None


def _journal(calls: Iterable[Call]) -> list[CallbackAttempt]:
    return [
        CallbackAttempt(
            event=call.event,
            number=call.event.attempts,
            started_at=call.answer.started_at,
            latency=call.answer.latency,
            status_code=call.answer.status_code,
            error_code=call.answer.error_code,
            response=call.answer.response,
        )
        for call in calls
    ]


def _reason_to_disable(
    endpoint: CallbackEndpoint, calls: Iterable[Call], now: datetime
) -> DisabledReason | None:
    if endpoint.state != EndpointState.ACTIVE:
        return None
    if any(call.verdict is Verdict.GONE for call in calls):
        return DisabledReason.GONE
    since = endpoint.failing_since
    if since is not None and now - since >= verdicts.DISABLED_AFTER:
        return DisabledReason.FAILING
    return None
