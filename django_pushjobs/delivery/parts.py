"""Large requests are pushed in parts, each a push request of its own that nobody outside sees.

A request that turns out to have more than ``PART_SIZE`` addresses is cut by the worker that
claimed it: the addresses are read as a stream, and every so many of them become a part, which is
enqueued at once. So the parts spread over the workers, each under its own claim and with its own
attempts, and no worker holds more than one part in memory.

The request itself stays RUNNING, owned by its parts instead of by a process. Its lease is short:
when it expires, a relay adds up what the parts have done so far, and ends the request once none of
them is under way. Deliveries always belong to the request itself.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import partial
from itertools import islice
from uuid import UUID

from django.db import router, transaction
from django.db.models import F

from ..conf import conf
from ..db import clock
from ..lifecycle import dispatch
from ..lifecycle.announcements import end
from ..models import PushRequest
from ..models.identifiers import part_id
from ..models.push_requests import PushRequestQuerySet
from ..states import ACTIVE, COUNTS, RETRYABLE, WAITING, Status
from .requests import ClaimedRequest
from .spellings import delivery_ids

logger = logging.getLogger(__name__)

#: The owner of a request that is pushed in parts.
PARTS = "parts"
#: Seconds between two looks at the parts of a request.
LOOK_EVERY = 1.0

#: What a part has in common with the request it is cut from.
_SHARED = (
    *("title", "body", "data", "options", "backend", "priority", "collapse_key"),
    *("expires_at", "on_unknown", "request_id", "traceparent", "attempt_limit"),
)


def cut(request: ClaimedRequest, addresses: Iterable[str]) -> bool:
    """Make parts of a claimed request, and enqueue them.

    If a worker died over it, or somebody asked for a retry, the parts that exist are kept, and only
    addresses that are in none of them make further parts.

    :param addresses: each once; may raise in the middle.
    :returns: whether the request belongs to its parts now; False if the claim was lost.
    :raises Exception: what ``addresses`` raises; another attempt goes on from there.
    """
    using = router.db_for_write(PushRequest)
    parts = PushRequest.objects.using(using).filter(parent=request.pk)
    number, seen = 0, set[UUID]()
    id_of = delivery_ids(request.pk, request.backend)
    for recipients in parts.values_list("recipients", flat=True).iterator(chunk_size=10):
        number += 1
        seen.update(map(id_of, recipients))
    if request.attempts > 1:
        _retry(parts)
    try:
        for batch in _batches(_unseen(addresses, id_of, seen), conf().PART_SIZE):
            _store(_part(request, number, batch), using)
            number += 1
            if not _hold(request, using, owner=request.owner, total=len(seen)):
                return False
            if _is_canceled(request, using):
                break
    except Exception:
        if not number or request.may_go_on(clock.now()):
            raise
        # There will be no other attempt, but what the parts do must not be lost.
        logger.exception(
            "Push request %s was cut incompletely: its addresses could not be read to the end",
            request.pk,
        )
    return _hold(request, using, owner=PARTS, total=len(seen))


def _unseen(
    addresses: Iterable[str], id_of: Callable[[str], UUID], seen: set[UUID]
) -> Iterator[str]:
    for address in addresses:
        key = id_of(address)
        if key not in seen:
            seen.add(key)
            yield address


def _batches(addresses: Iterator[str], size: int) -> Iterator[list[str]]:
    while batch := list(islice(addresses, size)):
        yield batch


def _part(request: ClaimedRequest, number: int, addresses: list[str]) -> PushRequest:
    now = clock.now()
    return PushRequest(
        id=part_id(request.pk, number),
        parent_id=request.pk,
        recipients=addresses,
        total=len(addresses),
        status=Status.QUEUED,
        created_at=now,
        queued_at=now,
        **{name: getattr(request, name) for name in _SHARED},
    )


def _store(part: PushRequest, using: str) -> None:
    """Store a part unless it exists already, and enqueue it after the commit."""
    with transaction.atomic(using=using):
        PushRequest.objects.using(using).bulk_create([part], ignore_conflicts=True)
        transaction.on_commit(partial(dispatch.enqueue, [part]), using=using)


def _retry(parts: PushRequestQuerySet) -> None:
    """Push again what failed among ``parts``."""
    failed = parts.filter(status__in=RETRYABLE)
    failed.update(uncounted_attempts=F("attempts"), started_at=None)
    dispatch.enqueue_again(failed, list(failed.values_list("pk", flat=True)))


def _cancel(parts: PushRequestQuerySet) -> None:
    """Cancel ``parts`` as ``services.cancel`` does requests; their jobs find nothing to do."""
    now = clock.now()
    waiting = parts.filter(status__in=WAITING)
    waiting.transition(Status.CANCELED, error_code="canceled", cancel_requested_at=now)
    running = parts.filter(status=Status.RUNNING, cancel_requested_at=None)
    running.update(cancel_requested_at=now, updated_at=now)


def _hold(request: ClaimedRequest, using: str, *, owner: str, total: int) -> bool:
    """Keep the claim on ``request``, hand it to ``owner``, and show how far we are."""
    now = clock.now()
    ends = LOOK_EVERY if owner == PARTS else conf().LEASE
    held = PushRequest.objects.using(using).owned(request.owner).filter(pk=request.pk)
    return bool(
        held.update(
            owner=owner,
            total=total,
            lease_expires_at=now + timedelta(seconds=ends),
            updated_at=now,
        )
    )


def _is_canceled(request: ClaimedRequest, using: str) -> bool:
    rows = PushRequest.objects.using(using).filter(pk=request.pk)
    return rows.filter(cancel_requested_at__isnull=False).exists()


def gather(request: PushRequest) -> bool:
    """Add up what the parts of ``request`` have done; end it once none of them is under way.

    :param request: RUNNING, owned by its parts, as it was read.
    :returns: whether it has ended.
    """
    using = router.db_for_write(PushRequest)
    requests = PushRequest.objects.using(using)
    parts = requests.filter(parent=request)
    if request.cancel_requested_at is not None:
        _cancel(parts)
    rows = list(parts.values("status", "error_code", "error", "result", *COUNTS))
    counts = {name: sum(row[name] for row in rows) for name in COUNTS}
    # Whoever was faster has renewed the lease.
    mine = requests.owned(PARTS).filter(pk=request.pk, lease_expires_at=request.lease_expires_at)
    if any(row["status"] in ACTIVE for row in rows):
        now = clock.now()
        ends = now + timedelta(seconds=LOOK_EVERY)
        mine.update(lease_expires_at=ends, updated_at=now, **counts)
        return False
    troubles = Counter(
        (row["error_code"], row["error"]) for row in rows if row["status"] != Status.SUCCEEDED
    )
    code, reason = troubles.most_common(1)[0][0] if troubles else ("", "")
    codes: Counter[str] = Counter()
    for row in rows:
        codes.update((row["result"] or {}).get("codes", {}))
    return end(
        mine,
        request.pk,
        _status(counts, {row["status"] for row in rows}),
        error_code=code,
        error=reason,
        result={"codes": dict(codes)},
        **counts,
    )


def _status(counts: dict[str, int], statuses: set[str]) -> Status:
    if counts["accepted"]:
        return Status.SUCCEEDED if counts["accepted"] == counts["total"] else Status.PARTIAL
    # None was accepted, so the parts have failed, were canceled, or have expired.
    for status in (Status.CANCELED, Status.EXPIRED):
        if status in statuses:
            return status
    return Status.FAILED
