"""One case: some good addresses and one that meets it, and an alias all of whose addresses do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from tests.support.answer_cases import Case
from tests.support.answering import Providers

from ..results import percentile
from .stage import ALL, ONE, alias

#: Seconds from one push to the address that meets the case to the next.
BAD_EVERY = 1.0
#: Seconds for which addresses that all meet the case are pushed to: a pause is announced for two.
ALL_FOR = 3.0
#: Seconds that 95 percent of the good addresses may take from submission to the settled row.
PROMPT = 1.0
#: Seconds from the first push on within which there has to be a pause.
SOON = 10.0

#: Backend, origin -> since when it is paused.
Pauses = Mapping[tuple[str, str], datetime]


@dataclass
class Trial:
    """Submits the requests of a case, and judges what became of them."""

    case: Case
    providers: Providers
    rate: float
    began: datetime = field(default_factory=timezone.now)
    #: Alias, origin -> since when; everything that was ever seen.
    stood: dict[tuple[str, str], datetime] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    #: Whether the good addresses had to wait, which may be because of the machine.
    is_slow: bool = False

    @property
    def aliases(self) -> tuple[str, str]:
        return alias(self.case, ONE), alias(self.case, ALL)

    def first_submissions(self) -> Iterator[Any]:
        """Yield what is submitted before, so that the backends have their keys and connections."""
        if not self.case.is_of_all:
            yield self._submission(ONE, 0, "first")
            yield self._submission(ALL, 0, "first")

    def submissions(self, tick: int) -> Iterator[Any]:
        """Yield what is submitted at one tick; there are ``rate`` of them in a second."""
        if not self.case.is_of_all:
            yield self._submission(ONE, tick, "good")
            if tick % int(BAD_EVERY * self.rate or 1) == 0:
                yield self._submission(ONE, 0, "bad")
        if tick < ALL_FOR * self.rate:
            # Another address each time, so that there are two owners.
            yield self._submission(ALL, tick + 1, "bad")

    def _submission(self, run: str, n: int, reference: str) -> Any:
        from django_pushjobs.services import Submission

        case, is_good = self.case, reference != "bad"
        recipient = self.providers.recipient(case, n, is_good=is_good)
        return Submission(
            recipients=[recipient],
            backend=alias(case, run),
            title="Hello",
            options=case.options,
            reference=reference,
        )

    def has_begun(self) -> bool:
        """Whether what was submitted first is done."""
        from django_pushjobs.models import PushRequest
        from django_pushjobs.states import ACTIVE

        rows = PushRequest.objects.filter(backend__in=self.aliases, reference="first")
        return not rows.filter(status__in=ACTIVE).exists()

    def see(self, pauses: Pauses) -> None:
        """Take note of the pauses that stand."""
        self.stood |= {place: at for place, at in pauses.items() if place[0] in self.aliases}

    def is_over(self) -> bool:
        """Whether nothing more is to be waited for."""
        from django_pushjobs.models import PushRequest
        from django_pushjobs.states import ACTIVE, DeliveryStatus

        one, all_of_it = self.aliases
        under_way = PushRequest.objects.filter(backend=one, status__in=ACTIVE)
        if self.case.row.wait:
            # To have met it is enough: when it is due again can be read.
            under_way = under_way.exclude(deliveries__status=DeliveryStatus.RETRYING)
        if under_way.exists():
            return False
        is_late = (timezone.now() - self.began).total_seconds() > SOON
        return is_late or (all_of_it, self.case.origin) in self.stood

    def judge(self) -> str:
        """Return a line of the table; see :attr:`wrong` for what is against the table."""
        p95, end = ("-", "-") if self.case.is_of_all else (self._judge_good(), self._judge_bad())
        paused = self._judge_pauses()
        row = self.case.row
        verdict = "WRONG" if self.wrong else "slow" if self.is_slow else "ok"
        return (
            f"{self.case!s:44} {row.kind:9} {row.scope:11} {p95:>6} {end:19} {paused:10} {verdict}"
        )

    def _judge_good(self) -> str:
        from django_pushjobs.models import PushRequest
        from django_pushjobs.states import Status

        rows = PushRequest.objects.filter(
            backend=self.aliases[0], reference="good", created_at__gte=self.began
        )
        times = [
            (row.finished_at - row.created_at).total_seconds()
            for row in rows
            if row.status == Status.SUCCEEDED and row.finished_at
        ]
        if len(times) < rows.count():
            self.wrong.append(f"{rows.count() - len(times)} good addresses were not accepted")
        if not times:
            return "-"
        p95 = percentile(times, 0.95)
        self.is_slow = p95 > PROMPT
        return f"{1_000 * p95:.0f}"

    def _judge_bad(self) -> str:
        """Return how the address ended that met the case, which must be as its row says."""
        from django_pushjobs.models import Delivery
        from django_pushjobs.states import DeliveryStatus

        from .settings import MAX_ATTEMPTS

        case, ends = self.case, set()
        wait = case.row.wait or 0.0
        expected: set[tuple[str, int]] = {(case.end, MAX_ATTEMPTS if case.is_tried_again else 1)}
        if wait:
            expected |= {(DeliveryStatus.RETRYING, n) for n in range(1, MAX_ATTEMPTS)}
        rows = Delivery.objects.filter(
            request__backend=self.aliases[0],
            request__reference="bad",
            request__created_at__gte=self.began,
        )
        for met in rows:
            ends.add((str(met.status), met.attempts))
            if met.error_code != case.code:
                self.wrong.append(f"the code is {met.error_code!r} instead of {case.code!r}")
            due = met.next_attempt_at or met.finished_at + timedelta(seconds=wait)
            if due - met.finished_at < timedelta(seconds=wait):
                self.wrong.append("it is tried again too soon")
        if not ends or ends - expected:
            self.wrong.append(f"it ended as {sorted(ends)} instead of {sorted(expected)}")
        return ", ".join(f"{status} x{attempts}" for status, attempts in sorted(ends))

    def _judge_pauses(self) -> str:
        """Return when it was paused, counted from the first push."""
        all_of_it = alias(self.case, ALL)
        is_paused = self.case.pauses or self.case.is_outage
        expected = {(all_of_it, self.case.origin)} if is_paused else set()
        if self.stood.keys() - expected:
            self.wrong.append(f"paused: {sorted(self.stood.keys() - expected)}")
        if expected - self.stood.keys():
            self.wrong.append("nothing was paused")
        if not (since := self.stood.get((all_of_it, self.case.origin))):
            return "no"
        if (after := (since - self.began).total_seconds()) > SOON:
            self.wrong.append("it was paused late")
        return f"in {after:.1f} s"

    def tidy(self) -> None:
        """Leave nothing that would go on."""
        from django_pushjobs import services
        from django_pushjobs.exceptions import InvalidTransition
        from django_pushjobs.models import PushRequest
        from django_pushjobs.states import WAITING

        rows = PushRequest.objects.filter(backend__in=self.aliases, status__in=WAITING)
        for key in rows.values_list("pk", flat=True):
            # The worker may be faster.
            with suppress(InvalidTransition):
                services.cancel(key)
        for name in self.aliases:
            services.resume(name)
