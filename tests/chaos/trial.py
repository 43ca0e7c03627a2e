"""One fault: submit while it strikes, wait until all have ended, and count."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from django.db import DatabaseError, connections

from django_pushjobs.states import FINAL

from .audit import Row, Verdict, audit
from .faults import Fault
from .fencing import Fence
from .producer import Producer
from .recovery import Recoveries
from .rows import Rows, RowsOfParts
from .world import World

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Trial:
    """The results of one fault; times are seconds.

    :param strikes: how often it struck.
    :param recoveries: how long each request of a struck process waited for another one, in order.
    :param recovery_limit: how long nineteen out of twenty of them may take.
    :param answers: how long each submission took, in order.
    :param answer_limit: how long ninety-nine of a hundred of them may take, if that matters.
    :param rewritten: ended requests that were changed by a process that came back too late.
    :param others: what else does not add up, a sentence each.
    """

    fault: Fault
    verdict: Verdict
    strikes: int
    recoveries: list[float]
    recovery_limit: float
    answers: list[float]
    answer_limit: float | None
    rewritten: list[UUID]
    others: list[str]
    seconds: float

    def problems(self) -> Iterator[str]:
        """Yield a sentence for each thing that does not add up."""
        yield from self.verdict.problems()
        if self.rewritten:
            yield f"{len(self.rewritten)} ended push requests were changed by a stopped process"
        slowest = percentile(self.recoveries, 95)
        if slowest is not None and slowest > self.recovery_limit:
            yield f"recovery took {slowest:.1f} s (p95), more than {self.recovery_limit:g} s"
        slowest = percentile(self.answers, 99)
        if None not in (slowest, self.answer_limit) and slowest > self.answer_limit:
            yield f"answers took {slowest:.2f} s (p99), more than {self.answer_limit:g} s"
        yield from self.others


def run(fault: Fault, world: World, share: int) -> Trial:
    """Put push requests through ``fault``.

    :param share: how many, if they are of the usual size.
    """
    lease = {} if not fault.lease else {"PUSHJOBS_LEASE": str(fault.lease)}
    with fault.stage(world) as environment:
        usual = lease | environment
        world.supervisor.staff(usual, *[usual | fault.odd] * (fault.workers - 1))
        try:
            return _run(fault, world, fault.count(world, share))
        finally:
            connections.close_all()
            if environment:
                # What they need is about to go.
                world.supervisor.dismiss()


def _run(fault: Fault, world: World, count: int) -> Trial:
    started = time.monotonic()
    world.begin(Recoveries(), Fence())
    producer = Producer(
        f"{fault.name}-{uuid.uuid4().hex[:8]}",
        count,
        world.pace.rate,
        addresses=fault.addresses(world),
        **fault.fields,
    )
    with Attack(fault, world) as attack:
        producer.run()
    rows = RowsOfParts(producer.reference) if fault.in_parts else Rows(producer.reference)
    ended = patiently(lambda: all_ended(rows, world.pace.patience))
    taken = world.taken()
    known = patiently(rows.deliveries)
    verdict = audit(
        patiently(lambda: rows.accepted(producer.accepted)),
        ended,
        {known[key]: number for key, number in taken.items() if key in known},
        strangers=len(taken.keys() - known.keys()),
        repeats=fault.repeats,
    )
    return Trial(
        fault=fault,
        verdict=verdict,
        strikes=attack.strikes,
        recoveries=world.recoveries.close(),
        recovery_limit=world.pace.recovery + fault.slack(world),
        answers=sorted(producer.answers),
        answer_limit=world.pace.answer if fault.prompt else None,
        rewritten=patiently(world.fence.broken),
        others=patiently(lambda: list(fault.audit(world, ended))),
        seconds=time.monotonic() - started,
    )


class Attack:
    """Strikes while it is entered, and as often as it has to; heals at the end. Each part of the
    fault has a thread of its own.

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
            for number in itertools.count(1):
                if number > fault.strikes and self._over.is_set():
                    return
                time.sleep(pause) if number <= fault.strikes else self._over.wait(pause)
                fault.strike(self._world)
                self.strikes += 1
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


def all_ended(rows: Rows, patience: float) -> dict[UUID, Row]:
    """Return the rows once all are final, or as they are after ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while rows.requests.exclude(status__in=FINAL).exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    return rows.read()
