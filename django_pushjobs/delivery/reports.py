"""What happened at an attempt, and what that adds up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from ..backends import Outcome, OutcomeClass, Target
from ..conf import conf
from ..models import AttemptEnd
from ..states import DeliveryStatus, OnUnknown, Status
from .backoff import next_attempt, soon
from .requests import WORKER_LOST, Claim, ClaimedRequest
from .results import DeliveryResult, Settlement

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

_STATUS = {
    OutcomeClass.OK: DeliveryStatus.ACCEPTED,
    OutcomeClass.DROP: DeliveryStatus.DROPPED,
    OutcomeClass.FAIL: DeliveryStatus.FAILED,
}


class Push(NamedTuple):
    """One push that was made: its outcome and its times."""

    outcome: Outcome
    started_at: datetime
    finished_at: datetime


class Report(NamedTuple):
    """What happened at an attempt.

    :param targets: the addresses that no earlier attempt has settled.
    :param pushes: id of a delivery -> the push that was made.
    :param failure: the outcome of targets that were not pushed to; that of the whole request if it
        has no address at all.
    :param cut_off: ids of the deliveries whose push the job's timeout interrupted.
    :param may_pause: refused credentials concern all requests of the backend.
    :param had_room: False if the backend had no room, so that no attempt was made.
    """

    started_at: datetime
    targets: Sequence[Target]
    pushes: Mapping[UUID, Push]
    failure: Outcome
    cut_off: Collection[UUID]
    may_pause: bool
    had_room: bool


def settlement_of(claim: Claim, report: Report, now: datetime) -> Settlement:
    """Return what an attempt adds up to. It looks at nothing but its arguments and the settings."""
    request = claim.request
    if not report.had_room:
        return _settlement(
            request,
            end=None,
            status=Status.PENDING,
            counts=request.counts,
            next_attempt_at=soon(now),
            at=now,
        )
    pushes = [(target, _push_of(target, report, now)) for target in report.targets]
    outcomes = [push.outcome for _, push in pushes]
    if not pushes and not claim.settled:
        outcomes = [report.failure]

    refused = report.may_pause and any(o.kind is OutcomeClass.CONFIG for o in outcomes)
    retry_at = now if refused else _retry_at(request, now, outcomes)
    results = [_result(request, target, push, retry_at is not None) for target, push in pushes]
    statuses = [*claim.settled.values(), *(result.status for result in results)]
    counts = {
        "total": len(statuses) or request.total,
        "accepted": statuses.count(DeliveryStatus.ACCEPTED),
        "failed": statuses.count(DeliveryStatus.FAILED),
        "dropped": statuses.count(DeliveryStatus.DROPPED),
        "unknown": statuses.count(DeliveryStatus.UNKNOWN),
    }
    code, reason = _reason(outcomes)
    return _settlement(
        request,
        end=_end(refused, retry_at),
        status=_status(request, counts, outcomes, retry_at),
        counts=counts,
        error_code=code,
        error=reason,
        next_attempt_at=retry_at,
        codes=Counter(outcome.code for outcome in outcomes if outcome.code),
        deliveries=results,
        started_at=report.started_at,
        at=now,
        is_authorized=not refused and any(outcome.kind in _STATUS for outcome in outcomes),
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


def _is_open(request: ClaimedRequest, outcome: Outcome) -> bool:
    """Return whether the address should be tried again after ``outcome``."""
    may_repeat = not outcome.unknown or request.on_unknown == OnUnknown.RETRY
    return outcome.is_transient and may_repeat


def _retry_at(request: ClaimedRequest, now: datetime, outcomes: list[Outcome]) -> datetime | None:
    transient = [outcome for outcome in outcomes if _is_open(request, outcome)]
    if not transient or request.attempts >= request.attempt_limit:
        return None
    return next_attempt(
        now,
        request.attempts,
        base=conf().RETRY_BASE,
        cap=conf().RETRY_CAP,
        retry_after=max((o.retry_after for o in transient if o.retry_after), default=None),
        expires_at=request.expires_at,
    )


def _status(
    request: ClaimedRequest,
    counts: dict[str, int],
    outcomes: list[Outcome],
    retry_at: datetime | None,
) -> Status:
    if retry_at is not None:
        return Status.PENDING
    if counts["accepted"]:
        return Status.SUCCEEDED if counts["accepted"] == counts["total"] else Status.PARTIAL
    attempts_left = request.attempts < request.attempt_limit
    if attempts_left and any(_is_open(request, outcome) for outcome in outcomes):
        return Status.EXPIRED
    return Status.FAILED


def _result(
    request: ClaimedRequest, target: Target, push: Push, will_retry: bool
) -> DeliveryResult:
    outcome = push.outcome
    if will_retry and _is_open(request, outcome):
        otherwise = DeliveryStatus.RETRYING
    else:
        otherwise = DeliveryStatus.UNKNOWN if outcome.unknown else DeliveryStatus.FAILED
    return DeliveryResult(
        delivery_id=target.delivery_id,
        address=target.address,
        status=_STATUS.get(outcome.kind, otherwise),
        provider_id=outcome.provider_id,
        error_code=outcome.code,
        error=outcome.detail,
        started_at=push.started_at,
        finished_at=push.finished_at,
        dead_at=outcome.dead_at,
    )


def _end(refused: bool, retry_at: datetime | None) -> AttemptEnd:
    if refused:
        return AttemptEnd.PAUSED
    return AttemptEnd.SETTLED if retry_at is None else AttemptEnd.RETRY


def _reason(outcomes: list[Outcome]) -> tuple[str, str]:
    """Return the code and the detail of the most frequent trouble; refused credentials come before
    all others."""
    troubles = [o for o in outcomes if o.kind is not OutcomeClass.OK]
    if not troubles:
        return "", ""
    troubles = [o for o in troubles if o.kind is OutcomeClass.CONFIG] or troubles
    return Counter((o.code, o.detail) for o in troubles).most_common(1)[0][0]
