"""One attempt at one push request: claim, resolve, push, settle."""

from __future__ import annotations

import contextvars
import logging
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from uuid import UUID

from .. import recipients, sentry
from ..backends import BasePushBackend, Message, Outcome, OutcomeClass, Target, backends
from ..broker.queues import JobTimeout
from ..conf import conf
from ..db.readers import read
from ..lifecycle.announcements import announce
from ..limits import throttle
from ..models import AttemptEnd
from ..models.identifiers import delivery_id
from ..runtime.greenlets import cooperative
from ..states import DeliveryStatus, OnUnknown, Status
from . import parts
from .backoff import next_attempt
from .claims import WORKER_LOST, Claim, ClaimedRequest, soon
from .ledger import ledger
from .settlements import DeliveryResult, Settlement

logger = logging.getLogger(__name__)

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

    Returns None where there was nothing to claim, where the claim was lost on the way, and where
    the request is so large that its parts go on with it.

    :raises Exception: what went wrong on our side; the attempt is settled all the same.
    """
    claim = ledger().claim(request_id)
    if claim is None:
        logger.info("Push request %s: nothing to claim", request_id)
        return None
    request = claim.request
    sentry.tag_push_request(
        request.root_id, request.backend, request.client_id, request.traceparent
    )
    attempt = Attempt(claim)
    try:
        attempt.make()
    except Exception as error:
        attempt.fail(NOT_BEGUN if isinstance(error, JobTimeout) else INTERNAL_ERROR)
        _settle(attempt)
        raise
    except BaseException:
        # GreenletExit and its like: stop at once. The lease runs out and the request runs again.
        ledger().abandon(request_id)
        raise
    finally:
        throttle.leave(request.backend, request.pk)
    if attempt.is_cut:
        ledger().abandon(request_id)
        return None
    return _settle(attempt)


def _settle(attempt: Attempt) -> Status | None:
    settled = ledger().settle(attempt.settlement(datetime.now(UTC)))
    if settled is None:
        return None
    if not settled.is_part:
        announce([settled])
    return settled.status


@dataclass(frozen=True, slots=True)
class Push:
    """One push that was made: its outcome and its times."""

    outcome: Outcome
    started_at: datetime
    finished_at: datetime


class Attempt:
    """One attempt at a claimed request: :meth:`make` it, then ask for its :meth:`settlement`."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.request = claim.request
        self.started_at = datetime.now(UTC)
        self.targets: list[Target] = []
        #: Whether its backend has no room for it at the moment: there was no attempt then.
        self.is_shut_out = False
        #: Whether the request was too large for one attempt: its parts go on with it.
        self.is_cut = False
        self.pushes: dict[UUID, Push] = {}
        self._begun: set[UUID] = set()
        #: Whether a refusal of our credentials is a matter of all requests of the backend.
        self.may_pause = True
        #: What became of the targets that were not pushed to.
        self.failure = NOBODY

    def make(self) -> None:
        """Push to every address that no earlier attempt has settled."""
        request = self.request
        plain = len(request.recipients) <= conf().PART_SIZE and all(
            isinstance(recipient, str) for recipient in request.recipients
        )
        # Whatever else is behind a recipient is looked up, in the database as a rule.
        self.targets = self._resolve() if plain else read(self._resolve)
        if self.is_cut:
            return
        if self.claim.follows_loss and request.on_unknown == OnUnknown.STOP:
            # Some of them may have been sent, and nobody knows which.
            self.failure = LOST
            return
        if not self._is_admitted():
            self.is_shut_out = True
            return
        backend = backends[request.backend]
        self.may_pause = backend.can_be_paused
        message = message_of(request)
        if len(self.targets) > 1 and cooperative():
            self._fan_out(backend, message)
        else:
            for target in self.targets:
                self._push(backend, message, target)

    def _is_admitted(self) -> bool:
        request = self.request
        return throttle.enter(request.backend, request.pk) and (
            not self.targets or throttle.wait_turn(request.backend, throttle.PATIENCE)
        )

    def fail(self, failure: Outcome) -> None:
        """Note why the attempt ended before its time."""
        self.failure = failure

    def _resolve(self) -> list[Target]:
        request, settled = self.request, self.claim.settled
        addresses = recipients.resolve(request.recipients, backend=request.backend)
        head = list(islice(addresses, conf().PART_SIZE + 1))
        if len(head) > conf().PART_SIZE and not request.is_part:
            self.is_cut = True
            parts.cut(request, chain(head, addresses))
            return []
        keyed = ((delivery_id(request.root_id, address), address) for address in head)
        return [
            Target(delivery_id=key, address=address) for key, address in keyed if key not in settled
        ]

    def _push(self, backend: BasePushBackend, message: Message, target: Target) -> None:
        if self._begun:
            # The first one has had its turn.
            throttle.wait_turn(backend.alias)
        started_at = datetime.now(UTC)
        self._begun.add(target.delivery_id)
        try:
            outcome = backend.push(message, target)
        except JobTimeout:
            raise
        except Exception as error:
            # One address that trips us does not take the others with it.
            logger.exception("Push request %s: backend %r failed", self.request.pk, backend.alias)
            sentry.capture(error)
            outcome = INTERNAL_ERROR
        self.pushes[target.delivery_id] = Push(outcome, started_at, datetime.now(UTC))

    def _fan_out(self, backend: BasePushBackend, message: Message) -> None:
        """Push to many at once: each of a few greenlets takes the next target when it is free."""
        left = deque(self.targets)

        def push_on() -> None:
            while left:
                self._push(backend, message, left.popleft())

        count = min(conf().FANOUT, len(left))
        pool = ThreadPoolExecutor(count, "push")
        try:
            futures = [pool.submit(contextvars.copy_context().run, push_on) for _ in range(count)]
            for future in wait(futures).done:
                future.result()
        finally:
            # Where we are interrupted, nobody waits for what is still in flight.
            left.clear()
            pool.shutdown(wait=False, cancel_futures=True)

    def settlement(self, now: datetime) -> Settlement:
        """Return what the attempt adds up to."""
        request = self.request
        if self.is_shut_out:
            return self._no_attempt(now)
        pushes = [(target, self._push_of(target, now)) for target in self.targets]
        outcomes = [push.outcome for _, push in pushes]
        if not pushes and not self.claim.settled:
            outcomes = [self.failure]

        refused = self.may_pause and any(o.kind is OutcomeClass.CONFIG for o in outcomes)
        retry_at = now if refused else self._retry_at(now, outcomes)
        results = [self._result(target, push, retry_at is not None) for target, push in pushes]
        statuses = [*self.claim.settled.values(), *(result.status for result in results)]
        counts = {
            "total": len(statuses) or request.total,
            "accepted": statuses.count(DeliveryStatus.ACCEPTED),
            "failed": statuses.count(DeliveryStatus.FAILED),
            "dropped": statuses.count(DeliveryStatus.DROPPED),
            "unknown": statuses.count(DeliveryStatus.UNKNOWN),
        }
        code, reason = _reason(outcomes)
        return Settlement(
            request_id=request.pk,
            root_id=request.root_id,
            client_id=request.client_id,
            backend=request.backend,
            owner=request.owner,
            attempt=request.attempts,
            end=_end(refused, retry_at),
            status=self._status(counts, outcomes, retry_at),
            counts=counts,
            error_code=code,
            error=reason,
            next_attempt_at=retry_at,
            codes=Counter(outcome.code for outcome in outcomes if outcome.code),
            deliveries=results,
            started_at=self.started_at,
            at=now,
            heard=not refused and any(outcome.kind in _STATUS for outcome in outcomes),
        )

    def _no_attempt(self, now: datetime) -> Settlement:
        request = self.request
        return Settlement(
            request_id=request.pk,
            root_id=request.root_id,
            client_id=request.client_id,
            backend=request.backend,
            owner=request.owner,
            attempt=request.attempts,
            end=None,
            status=Status.PENDING,
            counts=request.counts,
            next_attempt_at=soon(),
            at=now,
        )

    def _push_of(self, target: Target, now: datetime) -> Push:
        """Return the push that was made to ``target``, or what takes its place."""
        if (push := self.pushes.get(target.delivery_id)) is not None:
            return push
        in_flight = self.failure is NOT_BEGUN and target.delivery_id in self._begun
        return Push(CUT_OFF if in_flight else self.failure, self.started_at, now)

    def _is_open(self, outcome: Outcome) -> bool:
        """Whether the address should be tried again after ``outcome``."""
        may_repeat = not outcome.unknown or self.request.on_unknown == OnUnknown.RETRY
        return outcome.is_transient and may_repeat

    def _retry_at(self, now: datetime, outcomes: list[Outcome]) -> datetime | None:
        transient = [outcome for outcome in outcomes if self._is_open(outcome)]
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
        if attempts_left and any(self._is_open(outcome) for outcome in outcomes):
            return Status.EXPIRED
        return Status.FAILED

    def _result(self, target: Target, push: Push, will_retry: bool) -> DeliveryResult:
        outcome = push.outcome
        if will_retry and self._is_open(outcome):
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
        )


def _end(refused: bool, retry_at: datetime | None) -> AttemptEnd:
    if refused:
        return AttemptEnd.PAUSED
    return AttemptEnd.SETTLED if retry_at is None else AttemptEnd.RETRY


def message_of(request: ClaimedRequest) -> Message:
    """Return what a backend needs to know of a request."""
    return Message(
        request_id=request.root_id,
        title=request.title,
        body=request.body,
        data=request.data,
        options=request.options,
        priority=request.priority,
        collapse_key=request.collapse_key,
        expires_at=request.expires_at,
        traceparent=request.traceparent,
        attempt=request.attempts,
    )


def _reason(outcomes: list[Outcome]) -> tuple[str, str]:
    """Return the code and the detail of the most frequent trouble; a refusal of our credentials
    comes before all others."""
    troubles = [o for o in outcomes if o.kind is not OutcomeClass.OK]
    if not troubles:
        return "", ""
    troubles = [o for o in troubles if o.kind is OutcomeClass.CONFIG] or troubles
    return Counter((o.code, o.detail) for o in troubles).most_common(1)[0][0]
