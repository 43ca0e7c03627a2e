"""The results of the demo: the numbers, and whether they add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.table import Table

from .thirdparty import Submitted

#: One line of the table: name, value, remark.
Line = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Report:
    """One run of the demo.

    :param asked: how many push requests were to be submitted.
    :param resources: id -> the push request as the API showed it last.
    :param stats: ``GET /stats`` of the gateway.
    :param witnessed: request id -> distinct messages the gateway counted for it.
    :param callbacks: request id -> status in the callback that was verified; None if no callbacks
        were expected.
    """

    asked: int
    submitted: Submitted
    resources: Mapping[str, Mapping[str, Any]]
    stats: Mapping[str, Any]
    witnessed: Mapping[str, int]
    callbacks: Mapping[str, str] | None = None

    @property
    def statuses(self) -> Counter[str]:
        return Counter(resource["status"] for resource in self.resources.values())

    @property
    def distinct(self) -> int:
        """Distinct messages of this run that the gateway counted."""
        return sum(self.witnessed.get(key, 0) for key in self.submitted.accepted)

    def problems(self) -> Iterator[str]:
        """Yield a sentence for each thing that does not add up."""
        accepted = len(self.submitted.accepted)
        if accepted != self.asked:
            yield f"{self.asked} push requests were submitted, {accepted} accepted"
            yield from self.submitted.refusals[:3]
        if missing := accepted - len(self.resources):
            yield f"{missing} accepted push requests are not in the list of the API"
        if (succeeded := self.statuses["succeeded"]) != accepted:
            statuses = ", ".join(f"{number} {status}" for status, number in self.statuses.items())
            yield f"{succeeded} of {accepted} push requests succeeded ({statuses or 'none'})"
        if self.callbacks is not None and (confirmed := self._confirmed()) != accepted:
            yield f"signed callbacks confirmed {confirmed} of {accepted} push requests"
        if self.distinct != accepted:
            yield f"the gateway counted {self.distinct} distinct messages, not {accepted}"

    def _confirmed(self) -> int:
        """Return for how many requests a callback reported what the API shows."""
        statuses = self.callbacks or {}
        return sum(statuses.get(key) == row["status"] for key, row in self.resources.items())

    def sections(self) -> list[list[Line]]:
        """Return the lines of the table, section by section."""
        latencies = sorted(self.submitted.accepted.values())
        done = sorted(_seconds_to_done(self.resources.values()))
        accepted, span = len(latencies), _span(self.resources.values())
        statuses = self.statuses
        return [
            [
                ("accepted by the API", f"{accepted:,}", f"of {self.asked:,}"),
                *((status, f"{number:,}", "") for status, number in statuses.most_common()),
                *([] if self.callbacks is None else [self._confirmed_line()]),
            ],
            [
                ("accept latency p50", _milliseconds(_percentile(latencies, 50)), "POST to 202"),
                ("accept latency p99", _milliseconds(_percentile(latencies, 99)), ""),
                ("queue to done p50", _milliseconds(_percentile(done, 50)), "row to result"),
                ("queue to done p99", _milliseconds(_percentile(done, 99)), ""),
                ("accepted per second", _rate(accepted, self.submitted.seconds), ""),
                ("pushes per second", _rate(len(done), span), "first accepted to last done"),
            ],
            [
                ("gateway: received", f"{self.stats['received']:,}", "messages"),
                ("gateway: distinct ids", f"{self.distinct:,}", "in this run"),
                ("gateway: max in flight", f"{self.stats['max_in_flight']:,}", "at once"),
            ],
        ]

    def _confirmed_line(self) -> Line:
        return "confirmed by callback", f"{self._confirmed():,}", "signature verified"

    def table(self) -> Table:
        """Return the numbers as a table for the terminal."""
        table = Table(show_header=False, pad_edge=True)
        table.add_column(style="bold")
        table.add_column(justify="right", style="cyan")
        table.add_column(style="dim")
        for section in self.sections():
            for line in section:
                table.add_row(*line)
            table.add_section()
        return table


def _seconds_to_done(resources: Iterable[Mapping[str, Any]]) -> Iterator[float]:
    for resource in resources:
        if resource["finished_at"]:
            yield (_time(resource["finished_at"]) - _time(resource["created_at"])).total_seconds()


def _span(resources: Iterable[Mapping[str, Any]]) -> float:
    """Return the seconds from the first request that was made to the last that ended."""
    times = [
        (_time(r["created_at"]), _time(r["finished_at"])) for r in resources if r["finished_at"]
    ]
    if not times:
        return 0.0
    return (max(end for _, end in times) - min(start for start, _ in times)).total_seconds()


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _percentile(ordered: Sequence[float], percent: int) -> float | None:
    """Return the nearest rank of ``ordered`` values; None if there are none."""
    if not ordered:
        return None
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1_000:,.0f} ms" if seconds >= 0.01 else f"{seconds * 1_000:.1f} ms"


def _rate(number: int, seconds: float) -> str:
    return f"{number / seconds:,.0f}/s" if seconds > 0 else "-"
