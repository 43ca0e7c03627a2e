"""What happened at an attempt, and what that adds up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from ..backends import Outcome, OutcomeClass, Scope, Target
from ..models import AttemptEnd, Pause
from ..states import DeliveryStatus, Status
from .backoff import soon
from .requests import WORKER_LOST, Claim, ClaimedRequest
from .results import DeliveryResult, Refusal, Settlement
from .verdicts import Judge, Verdict

INTERNAL_ERROR = Outcome(
    kind=OutcomeClass.RETRY,
    code="internal_error",
    detail="an error on our side; it was reported",
    unknown=True,
)
NOT_BEGUN = Outcome(
    kind=OutcomeClass.RETRY, code="job_timeout", detail="the attempt took longer than it may"
)
CUT_OFF = Outcome(
    kind=OutcomeClass.RETRY,
    code="job_timeout",
    detail="the attempt took longer than it may",
    unknown=True,
)
LOST = Outcome(kind=OutcomeClass.RETRY, code=WORKER_LOST, detail="the worker is gone", unknown=True)
NO_ADDRESSES = Outcome(
    kind=OutcomeClass.FAIL, code="no_addresses", detail="the recipients have no address"
)


class Push(NamedTuple):
    """One push that was made: its outcome and its times.

    :param origin: of an outcome that others have to expect as well: where the address leads to, see
        :meth:`..backends.BasePushBackend.origin_of`; None if it says nothing about others.
    :param is_held: it was not made, since what it leads to is paused.
    """

    outcome: Outcome
    started_at: datetime
    finished_at: datetime
    origin: str | None = None
    is_held: bool = False


class Report(NamedTuple):
    """What happened at an attempt.

    :param targets: the addresses that no earlier attempt has settled, and whose time has come.
    :param pushes: id of a delivery -> the push that was made.
    :param failure: the outcome of targets that were not pushed to; that of the whole request if it
        has no address at all.
    :param cut_off: ids of the deliveries whose push the job's timeout interrupted.
    :param paused: origin of the backend that is paused -> its pause; "" for all of it.
    :param had_room: False if the backend had no room, so that no attempt was made.
    """

    started_at: datetime
    targets: Sequence[Target]
    pushes: Mapping[UUID, Push]
    failure: Outcome
    cut_off: Collection[UUID]
    paused: Mapping[str, Pause]
    had_room: bool


def settlement_of(claim: Claim, report: Report, now: datetime) -> Settlement:
    """Return what an attempt adds up to. It looks at nothing but its arguments and the settings."""
    request, settled, waiting = claim.request, claim.settled, claim.waiting
    if not report.had_room:
        return _no_attempt(request, soon(now), now)
    is_over = not report.targets and report.failure is NO_ADDRESSES
    if is_over and waiting:
        # Nobody's time has come.
        return _no_attempt(request, min(waiting.values()), now)

    judge = Judge(request, report.paused, now)
    pushes = [(target, _push_of(target, report, now)) for target in report.targets]
    verdicts = [
        judge.verdict(push.outcome, push.origin, _attempts_at(target, claim))
        for target, push in pushes
    ]
    results = [_result(*pair, verdict) for pair, verdict in zip(pushes, verdicts, strict=True)]
    outcomes = [push.outcome for _, push in pushes]
    if not pushes and not (is_over and settled):
        # It is the outcome of the request as a whole.
        outcomes = [report.failure]
        verdicts = [judge.verdict(report.failure, None, request.counted_attempts - 1)]

    dues = [v.next_attempt_at for v in verdicts if v.next_attempt_at is not None]
    retry_at = min([*dues, *waiting.values()], default=None)
    statuses = [*settled.values(), *(result.status for result in results)]
    counts = {
        "total": len(statuses) + len(waiting) or request.total,
        "accepted": statuses.count(DeliveryStatus.ACCEPTED),
        "failed": statuses.count(DeliveryStatus.FAILED),
        "dropped": statuses.count(DeliveryStatus.DROPPED),
        "unknown": statuses.count(DeliveryStatus.UNKNOWN),
    }
    code, reason = _reason(outcomes)
    is_held = any(verdict.is_held for verdict in verdicts)
    return _settlement(
        request,
        end=_end(verdicts, retry_at),
        status=_status(counts, verdicts, retry_at),
        counts=counts,
        error_code=code,
        error=reason,
        next_attempt_at=retry_at,
        codes=Counter(outcome.code for outcome in outcomes if outcome.code),
        deliveries=results,
        started_at=report.started_at,
        at=now,
        refusals=_refusals(pushes),
        is_counted=not (is_held or waiting),
    )


def _no_attempt(request: ClaimedRequest, retry_at: datetime, now: datetime) -> Settlement:
    return _settlement(
        request,
        end=None,
        status=Status.PENDING,
        counts=request.counts,
        next_attempt_at=retry_at,
        at=now,
    )


def _settlement(request: ClaimedRequest, **ending: Any) -> Settlement:
    return Settlement(
        request_id=request.pk,
        root_id=request.root_id,
        client_id=request.client_id,
        backend=request.backend,
        owner=request.owner,
        attempt=request.attempts,
        **ending,
    )


def _push_of(target: Target, report: Report, now: datetime) -> Push:
    """Return the push that was made to ``target``, or what takes its place."""
    if (push := report.pushes.get(target.delivery_id)) is not None:
        return push
    outcome = CUT_OFF if target.delivery_id in report.cut_off else report.failure
    return Push(outcome, report.started_at, now)


def _attempts_at(target: Target, claim: Claim) -> int:
    """Return how many attempts were made at an address before this one."""
    earlier = claim.earlier.get(target.delivery_id)
    return 0 if earlier is None else earlier.attempts


def _status(
    counts: dict[str, int], verdicts: Sequence[Verdict], retry_at: datetime | None
) -> Status:
    if retry_at is not None:
        return Status.PENDING
    if counts["accepted"]:
        return Status.SUCCEEDED if counts["accepted"] == counts["total"] else Status.PARTIAL
    return Status.EXPIRED if any(verdict.is_expired for verdict in verdicts) else Status.FAILED


def _result(target: Target, push: Push, verdict: Verdict) -> DeliveryResult:
    outcome = push.outcome
    return DeliveryResult(
        delivery_id=target.delivery_id,
        address=target.address,
        status=verdict.status,
        provider_id=outcome.provider_id,
        error_code=outcome.code,
        error=outcome.detail,
        attempts=verdict.attempts,
        next_attempt_at=verdict.next_attempt_at,
        started_at=push.started_at,
        finished_at=push.finished_at,
        dead_at=outcome.dead_at,
    )


def _refusals(pushes: Sequence[tuple[Target, Push]]) -> Sequence[Refusal]:
    return [
        Refusal(
            *(push.origin, target.address, push.outcome.code, push.outcome.detail),
            is_outage=push.outcome.scope is Scope.PROVIDER,
        )
        for target, push in pushes
        if push.origin is not None and not push.is_held
    ]


def _end(verdicts: Sequence[Verdict], retry_at: datetime | None) -> AttemptEnd:
    if retry_at is None:
        return AttemptEnd.SETTLED
    tried = [v for v in verdicts if v.next_attempt_at is not None and not v.is_held]
    is_paused = not tried and any(verdict.is_held for verdict in verdicts)
    return AttemptEnd.PAUSED if is_paused else AttemptEnd.RETRY


def _reason(outcomes: list[Outcome]) -> tuple[str, str]:
    """Return the code and the detail of the most frequent trouble; refused credentials come before
    all others."""
    troubles = [o for o in outcomes if o.kind is not OutcomeClass.OK]
    if not troubles:
        return "", ""
    troubles = [o for o in troubles if o.kind is OutcomeClass.CONFIG] or troubles
    return Counter((o.code, o.detail) for o in troubles).most_common(1)[0][0]
