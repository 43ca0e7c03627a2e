"""One fault: submit while it strikes, wait until all have ended, and count."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from django.db import DatabaseError, connections

from django_pushjobs.models import PushRequest
from django_pushjobs.models.identifiers import delivery_id
from django_pushjobs.states import FINAL

from .audit import Row, Verdict, audit
from .faults import Fault
from .fencing import Fence
from .producer import Producer
from .recovery import Recoveries
from .world import World

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Trial:
    """The results of one fault; times are seconds.

    :param strikes: how often it struck.
    :param recoveries: how long each request of a struck process waited for another one, in order.
    :param recovery_limit: how long nineteen out of twenty of them may take.
    :param answers: how long each submission took, in order.
    :param rewritten: ended requests that were changed by a process that came back too late.
    """

    fault: Fault
    verdict: Verdict
    strikes: int
    recoveries: list[float]
    recovery_limit: float
    answers: list[float]
    rewritten: list[UUID]
    seconds: float

    def problems(self) -> Iterator[str]:
        """Yield a sentence for each thing that does not add up."""
        yield from self.verdict.problems()
        if self.rewritten:
            yield f"{len(self.rewritten)} ended push requests were changed by a stopped process"
        slowest = percentile(self.recoveries, 95)
        if slowest is not None and slowest > self.recovery_limit:
            yield f"recovery took {slowest:.1f} s (p95), more than {self.recovery_limit:g} s"


def run(fault: Fault, world: World, count: int) -> Trial:
    """Put ``count`` push requests through ``fault``."""
    started = time.monotonic()
    lease = {} if not fault.lease else {"PUSHJOBS_LEASE": str(fault.lease)}
    world.supervisor.staff(fault.workers, **lease)
    world.begin(Recoveries(), Fence())
    producer = Producer(f"{fault.name}-{uuid.uuid4().hex[:8]}", count, world.pace.rate)
    with Attack(fault, world) as attack:
        producer.run()
    rows = patiently(lambda: _all_ended(world, producer.reference, producer.accepted))
    taken = world.taken()
    known = patiently(lambda: _deliveries(producer.reference))
    verdict = audit(
        producer.accepted,
        rows,
        {known[key]: number for key, number in taken.items() if key in known},
        strangers=len(taken.keys() - known.keys()),
        repeats=fault.repeats,
    )
    trial = Trial(
        fault=fault,
        verdict=verdict,
        strikes=attack.strikes,
        recoveries=world.recoveries.close(),
        recovery_limit=world.pace.recovery + fault.slack(world),
        answers=sorted(producer.answers),
        rewritten=patiently(world.fence.broken),
        seconds=time.monotonic() - started,
    )
    connections.close_all()
    return trial


class Attack:
    """Strikes while it is entered, at least once, each part of the fault in a thread of its own;
    heals at the end.

    :raises Exception: whatever went wrong in one of the threads.
    """

    def __init__(self, fault: Fault, world: World) -> None:
        self.strikes = 0
        self._world = world
        self._over = threading.Event()
        self._failure: BaseException | None = None
        parts = fault.parts(world)
        self._faults = [part for part, _ in parts]
        self._threads = [
            threading.Thread(target=self._run, args=part, daemon=True) for part in parts
        ]

    def __enter__(self) -> Attack:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        for fault in self._faults:
            fault.heal(self._world)
        if self._failure is not None:
            raise self._failure

    def _run(self, fault: Fault, pause: float) -> None:
        try:
            while True:
                self._over.wait(pause)
                fault.strike(self._world)
                self.strikes += 1
                if self._over.is_set():
                    return
        except BaseException as error:
            self._failure = error
        finally:
            connections.close_all()


def patiently(ask: Callable[[], T]) -> T:
    """Return ``ask()``; the database may have been struck a moment ago.

    :raises DatabaseError: it has not answered for half a minute.
    """
    deadline = time.monotonic() + 30.0
    while True:
        try:
            return ask()
        except DatabaseError:
            connections.close_all()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def percentile(ordered: list[float], percent: int) -> float | None:
    """Return the nearest rank, or None if there are no values."""
    if not ordered:
        return None
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def _all_ended(world: World, reference: str, accepted: set[UUID]) -> dict[UUID, Row]:
    """Return the rows once all are final, or as they are when the patience runs out."""
    rows = PushRequest.objects.filter(reference=reference)
    deadline = time.monotonic() + world.pace.patience
    while rows.exclude(status__in=FINAL).exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    journals = _journals(reference)
    return {
        row.pk: Row(
            status=row.status,
            attempts=row.attempts,
            unknown=row.unknown,
            error_code=row.error_code,
            journal=None if journals is None else tuple(journals.get(row.pk, ())),
        )
        for row in rows
    }


def _journals(reference: str) -> dict[UUID, list[frozenset[str]]] | None:
    if not hasattr(PushRequest, "journal"):
        return None
    journals: dict[UUID, list[frozenset[str]]] = {}
    entries = PushRequest.journal.rel.related_model.objects.filter(request__reference=reference)
    for entry in entries:
        journals.setdefault(entry.request_id, []).append(
            frozenset({entry.error_code, *entry.codes})
        )
    return journals


def _deliveries(reference: str) -> dict[str, UUID]:
    """Return for each id at the gateway the push request it belongs to."""
    rows = PushRequest.objects.filter(reference=reference).values_list("pk", "recipients")
    return {str(delivery_id(pk, address)): pk for pk, (address,) in rows}
