"""One attempt at one push request: claim, resolve, push, settle."""

from __future__ import annotations

import contextvars
import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from . import recipients, sentry
from .backends import BasePushBackend, Message, Outcome, OutcomeClass, Target, backends
from .changes import announce
from .concurrency import cooperative
from .conf import conf
from .identifiers import delivery_id
from .models import Delivery, PushRequest
from .queues import JobTimeout
from .retries import next_attempt
from .states import SETTLED, DeliveryStatus, Status
from .writeback import DeliveryResult, Settlement, ledger

logger = logging.getLogger(__name__)

INTERNAL_ERROR = Outcome(
    kind=OutcomeClass.RETRY, code="internal_error", detail="an error on our side; it was reported"
)
JOB_TIMEOUT = Outcome(
    kind=OutcomeClass.RETRY, code="job_timeout", detail="the attempt took longer than it may"
)
NOBODY = Outcome(
    kind=OutcomeClass.FAIL, code="no_addresses", detail="the recipients have no address"
)

_STATUS = {
    OutcomeClass.OK: DeliveryStatus.ACCEPTED,
    OutcomeClass.DROP: DeliveryStatus.DROPPED,
    OutcomeClass.FAIL: DeliveryStatus.FAILED,
}


def deliver(request_id: UUID) -> Status | None:
    """Make one attempt at a push request, and return its status once that is committed.

    Returns None where there was nothing to claim, or where the claim was lost on the way.

    :raises Exception: what went wrong on our side; the attempt is settled all the same.
    """
    request = ledger().claim(request_id)
    if request is None:
        logger.info("Push request %s: nothing to claim", request_id)
        return None
    sentry.tag_push_request(request.pk, request.backend, request.client_id, request.traceparent)
    attempt = Attempt(request)
    try:
        attempt.make()
    except Exception as error:
        attempt.fail(JOB_TIMEOUT if isinstance(error, JobTimeout) else INTERNAL_ERROR)
        _settle(attempt)
        raise
    except BaseException:
        # GreenletExit and its like: stop at once. The lease runs out and the request runs again.
        ledger().abandon(request_id)
        raise
    return _settle(attempt)


def _settle(attempt: Attempt) -> Status | None:
    settled = ledger().settle(attempt.settlement(timezone.now()))
    if settled is None:
        return None
    announce([settled.change])
    return settled.status


@dataclass(frozen=True, slots=True)
class Push:
    """One push that was made: its outcome and its times."""

    outcome: Outcome
    started_at: datetime
    finished_at: datetime


class Attempt:
    """One attempt at a claimed request: :meth:`make` it, then ask for its :meth:`settlement`."""

    def __init__(self, request: PushRequest) -> None:
        self.request = request
        self.started_at = timezone.now()
        self.targets: list[Target] = []
        self.pushes: dict[UUID, Push] = {}
        #: Addresses that an earlier attempt settled, by status.
        self.earlier: Counter[str] = Counter()
        #: What became of the targets that were not pushed to.
        self.failure = NOBODY

    def make(self) -> None:
        """Push to every address that no earlier attempt has settled."""
        self.targets = self._resolve()
        backend = backends[self.request.backend]
        message = message_of(self.request)
        if len(self.targets) > 1 and cooperative():
            self._fan_out(backend, message)
        else:
            for target in self.targets:
                self._push(backend, message, target)

    def fail(self, failure: Outcome) -> None:
        """Note why the attempt ended before its time."""
        self.failure = failure

    def _resolve(self) -> list[Target]:
        request = self.request
        addresses = recipients.resolve(request.recipients, backend=request.backend)
        settled: dict[UUID, str] = {}
        if request.attempts > 1:
            earlier = Delivery.objects.filter(request=request, status__in=SETTLED)
            settled = dict(earlier.values_list("pk", "status"))
            self.earlier = Counter(settled.values())
        targets = (Target(delivery_id=delivery_id(request.pk, a), address=a) for a in addresses)
        return [target for target in targets if target.delivery_id not in settled]

    def _push(self, backend: BasePushBackend, message: Message, target: Target) -> None:
        started_at = timezone.now()
        try:
            outcome = backend.push(message, target)
        except JobTimeout:
            raise
        except Exception as error:
            # One address that trips us does not take the others with it.
            logger.exception("Push request %s: backend %r failed", self.request.pk, backend.alias)
            sentry.capture(error)
            outcome = INTERNAL_ERROR
        self.pushes[target.delivery_id] = Push(outcome, started_at, timezone.now())

    def _fan_out(self, backend: BasePushBackend, message: Message) -> None:
        pool = ThreadPoolExecutor(min(conf().FANOUT, len(self.targets)), "push")
        try:
            futures = [
                pool.submit(contextvars.copy_context().run, self._push, backend, message, target)
                for target in self.targets
            ]
            for future in wait(futures).done:
                future.result()
        finally:
            # Where we are interrupted, nobody waits for what is still in flight.
            pool.shutdown(wait=False, cancel_futures=True)

    def settlement(self, now: datetime) -> Settlement:
        """Return what the attempt adds up to."""
        request = self.request
        missed = Push(self.failure, self.started_at, now)
        pushes = [(target, self.pushes.get(target.delivery_id, missed)) for target in self.targets]
        outcomes = [push.outcome for _, push in pushes]
        if not pushes and not self.earlier:
            outcomes = [self.failure]

        retry_at = self._retry_at(now, outcomes)
        results = [_result(target, push, retry_at is not None) for target, push in pushes]
        tally = self.earlier + Counter(result.status for result in results)
        counts = {
            "total": tally.total() or request.total,
            "accepted": tally[DeliveryStatus.ACCEPTED],
            "failed": tally[DeliveryStatus.FAILED],
            "dropped": tally[DeliveryStatus.DROPPED],
            "unknown": tally[DeliveryStatus.UNKNOWN],
        }
        code, reason = _reason(outcomes)
        return Settlement(
            request_id=request.pk,
            client_id=request.client_id,
            backend=request.backend,
            owner=request.owner,
            attempt=request.attempts,
            status=self._status(counts, outcomes, retry_at),
            counts=counts,
            error_code=code,
            error=reason,
            next_attempt_at=retry_at,
            result={"codes": dict(Counter(o.code for o in outcomes if o.code))},
            deliveries=results,
        )

    def _retry_at(self, now: datetime, outcomes: list[Outcome]) -> datetime | None:
        transient = [outcome for outcome in outcomes if outcome.is_transient]
        if not transient or self.request.attempts >= self.request.attempt_limit:
            return None
        return next_attempt(
            now,
            self.request.attempts,
            base=conf().RETRY_BASE,
            cap=conf().RETRY_CAP,
            retry_after=max((o.retry_after for o in transient if o.retry_after), default=None),
            expires_at=self.request.expires_at,
        )

    def _status(
        self, counts: dict[str, int], outcomes: list[Outcome], retry_at: datetime | None
    ) -> Status:
        if retry_at is not None:
            return Status.PENDING
        if counts["accepted"]:
            return Status.SUCCEEDED if counts["accepted"] == counts["total"] else Status.PARTIAL
        attempts_left = self.request.attempts < self.request.attempt_limit
        if attempts_left and any(outcome.is_transient for outcome in outcomes):
            return Status.EXPIRED
        return Status.FAILED


def message_of(request: PushRequest) -> Message:
    """Return what a backend needs to know of a request."""
    return Message(
        request_id=request.pk,
        title=request.title,
        body=request.body,
        data=request.data,
        options=request.options,
        priority=request.priority,
        collapse_key=request.collapse_key,
        expires_at=request.expires_at,
        traceparent=request.traceparent,
    )


def _result(target: Target, push: Push, will_retry: bool) -> DeliveryResult:
    outcome = push.outcome
    transient = DeliveryStatus.RETRYING if will_retry else DeliveryStatus.FAILED
    return DeliveryResult(
        delivery_id=target.delivery_id,
        address=target.address,
        status=_STATUS.get(outcome.kind, transient),
        provider_id=outcome.provider_id,
        error_code=outcome.code,
        error=outcome.detail,
        started_at=push.started_at,
        finished_at=push.finished_at,
    )


def _reason(outcomes: list[Outcome]) -> tuple[str, str]:
    """Return the code and the detail of the most frequent trouble."""
    troubles = Counter((o.code, o.detail) for o in outcomes if o.kind is not OutcomeClass.OK)
    return troubles.most_common(1)[0][0] if troubles else ("", "")
