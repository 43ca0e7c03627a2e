"""One attempt at one push request: claim, resolve, push, settle."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from itertools import chain, islice
from uuid import UUID

from django.db import DatabaseError, router
from django.views.decorators.debug import sensitive_variables

from .. import recipients, sentry
from ..backends import BasePushBackend, Message, Outcome, OutcomeClass, Target, backends
from ..backends.outcomes import storable
from ..backends.spellings import canonical_of
from ..broker.queues import JobTimeout
from ..conf import conf
from ..db import clock
from ..db.group_commit import UNAVAILABLE
from ..db.readers import read
from ..lifecycle.announcements import send_finished
from ..limits import breaker, throttle
from ..models import Pause
from ..recipients import RegisteredAddress
from ..runtime.greenlets import carrying_context, cooperative
from ..states import OnUnknown, Status
from ..transport import lookups
from . import parts
from .ledger import ledger
from .reports import INTERNAL_ERROR, LOST, NO_ADDRESSES, NOT_BEGUN, Push, Report, settlement_of
from .requests import Claim, ClaimedRequest
from .results import Settlement
from .spellings import delivery_ids

logger = logging.getLogger(__name__)


# An error report would hold the message, the address, and what the backend signs with.
@sensitive_variables()
def deliver(request_id: UUID) -> Status | None:
    """Make one attempt at a push request, and return its status once that has committed.

    Returns None if there was nothing to claim, if the claim was lost on the way, and if the request
    is so large that its parts go on with it.

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
    # A part of a large request has no client of its own.
    lookups.client.set(request.client_id or request.root_id)
    pusher = Pusher(claim)
    try:
        report = pusher.run()
    except Exception as error:
        _settle(claim, pusher.interrupted(error))
        raise
    except BaseException:
        # GreenletExit and its like: stop at once. The lease expires and the request runs again.
        ledger().abandon(request_id)
        raise
    finally:
        throttle.leave(request.backend, request.pk)
    if report is None:
        ledger().abandon(request_id)
        return None
    return _settle(claim, report)


def _settle(claim: Claim, report: Report) -> Status | None:
    settled = _written(settlement_of(claim, report, clock.now()))
    if settled is None:
        return None
    if not settled.is_part:
        send_finished([settled])
    return settled.status


def _written(settlement: Settlement) -> Settlement | None:
    """Write a result, without its texts if the database refuses them: the pushes were made."""
    try:
        return ledger().settle(settlement)
    except (DatabaseError, ValueError, TypeError) as error:
        if isinstance(error, UNAVAILABLE):
            raise
        logger.exception(
            "Push request %s: its result cannot be stored; storing it without its texts",
            settlement.request_id,
        )
        sentry.capture(error)
        return ledger().settle(settlement.without_texts())


class Pusher:
    """Pushes a claimed request to its addresses, and reports what happened."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._request = claim.request
        self._started_at = clock.now()
        self._targets: list[Target] = []
        self._pushes: dict[UUID, Push] = {}
        self._begun: set[UUID] = set()
        self._origin_of: Callable[[str], str | None] | None = None
        #: Origins that have refused us, or were away.
        self._met: set[str] = set()

    def run(self) -> Report | None:
        """Push to every address that no earlier attempt has settled.

        :returns: None if the request is so large that its parts go on with it.
        :raises Exception: an error on our side, or the job's timeout: see :meth:`interrupted`.
        """
        request = self._request
        plain = len(request.recipients) <= conf().PART_SIZE and all(
            isinstance(recipient, str) for recipient in request.recipients
        )
        # Other kinds of recipients have to be looked up, usually in the database.
        targets = self._resolve() if plain else read(self._resolve)
        if targets is None:
            return None
        self._targets = targets
        if self._claim.follows_loss and request.on_unknown == OnUnknown.STOP:
            # Some of them may have been sent, and nobody knows which.
            return self._report(failure=LOST)
        if not self._is_admitted():
            return self._report(had_room=False)
        backend = backends[request.backend]
        if backend.can_be_paused:
            self._origin_of = backend.origin_of
        message = message_of(request)
        if len(targets) > 1 and cooperative():
            self._fan_out(backend, message)
        else:
            for target in targets:
                self._push(backend, message, target)
        return self._report()

    def interrupted(self, error: Exception) -> Report:
        """Return what had happened until ``error`` ended :meth:`run`."""
        if not isinstance(error, JobTimeout):
            return self._report(failure=INTERNAL_ERROR)
        return self._report(failure=NOT_BEGUN, cut_off=self._begun - self._pushes.keys())

    def _report(
        self,
        failure: Outcome = NO_ADDRESSES,
        cut_off: Collection[UUID] = (),
        had_room: bool = True,
    ) -> Report:
        return Report(
            self._started_at,
            self._targets,
            self._pushes,
            failure,
            cut_off,
            breaker.paused_origins(self._request.backend, self._request.client_id),
            had_room,
        )

    def _is_admitted(self) -> bool:
        request = self._request
        return throttle.enter(request.backend, request.pk) and (
            not self._targets or throttle.wait_turn(request.backend, throttle.PATIENCE)
        )

    def _resolve(self) -> list[Target] | None:
        """Return the targets that are not settled; None if there are so many that they were cut
        into parts."""
        request = self._request
        addresses = recipients.resolve(
            request.recipients, backend=request.backend, canonical=canonical_of(request.backend)
        )
        head = list(islice(addresses, conf().PART_SIZE + 1))
        if len(head) > conf().PART_SIZE and not request.is_part:
            parts.cut(request, chain(head, addresses))
            return None
        id_of = delivery_ids(request.root_id, request.backend)
        keyed = ((id_of(address), address) for address in head)
        done = self._claim.settled.keys() | self._claim.waiting.keys()
        return [_target(key, address) for key, address in keyed if key not in done]

    def _push(self, backend: BasePushBackend, message: Message, target: Target) -> None:
        if self._begun:
            # The first one has had its turn.
            throttle.wait_turn(backend.alias)
        started_at = clock.now()
        if (held := self._held(target)) is not None:
            outcome, origin = held
            push = Push(outcome, started_at, started_at, origin, is_held=True)
            self._pushes[target.delivery_id] = push
            return
        self._begun.add(target.delivery_id)
        try:
            # Only here does an outcome enter: from here on it can be stored, whoever made it.
            outcome = storable(backend.push(message, target))
        except JobTimeout:
            raise
        except Exception as error:
            # One address that trips us up must not affect the others.
            logger.exception("Push request %s: backend %r failed", self._request.pk, backend.alias)
            sentry.capture(error)
            outcome = INTERNAL_ERROR
        finished_at = clock.now()
        met = self._origin_of(target.address) if self._origin_of and outcome.is_shared else None
        self._pushes[target.delivery_id] = Push(outcome, started_at, finished_at, met)
        if met is not None:
            self._met.add(met)

    def _held(self, target: Target) -> tuple[Outcome, str] | None:
        """Return what to say of an address that has to wait, and which origin it waits for."""
        if self._origin_of is None:
            return None
        paused = breaker.paused_origins(self._request.backend, self._request.client_id)
        # Of a backend that is paused as a whole this attempt is the probe, or was begun before. One
        # of its pushes is enough.
        if not self._met:
            paused.pop("", None)
        if not paused:
            return None
        origin = self._origin_of(target.address)
        if origin is None or (pause := paused.get("") or paused.get(origin)) is None:
            return None
        if pause.origin and pause.until <= clock.now():
            using = router.db_for_write(Pause)
            if read(partial(breaker.become_probe, pause, self._request.pk, using=using)):
                return None
        outcome = Outcome(
            kind=OutcomeClass.RETRY if pause.is_outage else OutcomeClass.CONFIG,
            code=pause.error_code,
            detail=f"{pause.origin or pause.backend} is paused: {pause.error}",
        )
        return outcome, origin

    def _fan_out(self, backend: BasePushBackend, message: Message) -> None:
        """Push to many at once: each of a few greenlets takes the next target when it is free."""
        left = deque(self._targets)

        @sensitive_variables()
        def push_on() -> None:
            while left:
                self._push(backend, message, left.popleft())

        count = min(conf().FANOUT, len(left))
        pool = ThreadPoolExecutor(count, "push")
        try:
            futures = [pool.submit(carrying_context(push_on)) for _ in range(count)]
            for future in wait(futures).done:
                future.result()
        finally:
            # If we are interrupted, nobody waits for what is still in flight.
            left.clear()
            pool.shutdown(wait=False, cancel_futures=True)


def _target(key: UUID, address: str) -> Target:
    if isinstance(address, RegisteredAddress):
        return Target(delivery_id=key, address=str(address), registered_at=address.registered_at)
    return Target(delivery_id=key, address=address)


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
