"""What the trials add up to, for the terminal and as a page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median

from ..machine import Machine
from ..peers import OURS
from ..report import MARKS, machine_line, table, title
from .contestants import BARE, CONTESTANTS
from .submitting import Submitting

PAGE = "benchmarks-pipeline.rst"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one trial measured.

    :param rate: pushes whose result was written back, per second, without the edges of the trial.
    :param cpu_ms: milliseconds of CPU of all worker processes, for each push.
    :param largest: bytes of resident memory of the largest process at its peak.
    :param connections: to the database, without the one that counts them.
    :param transactions: of the database, for each push.
    """

    rate: float
    cpu_ms: float
    largest: float
    connections: float
    transactions: float

    def line(self) -> str:
        return (
            f"{self.rate:8,.0f} pushes/s {self.cpu_ms:6.3f} ms CPU "
            f"{self.largest / 1e6:5.0f} MB {self.connections:3.0f} connections "
            f"{self.transactions:6.3f} transactions per push"
        )


#: Database and pushes in flight -> contestant -> rounds.
Trials = dict[tuple[str, int], dict[str, list[Figures]]]


def medians(trials: Trials, kind: str, in_flight: int) -> dict[str, Figures]:
    """Return contestant -> the median of each figure, the fastest one first."""
    found = {
        key: Figures(
            **{f.name: median(getattr(r, f.name) for r in rounds) for f in fields(Figures)}
        )
        for key, rounds in trials.get((kind, in_flight), {}).items()
    }
    return dict(sorted(found.items(), key=lambda item: -item[1].rate))


def goals(trials: Trials, submitting: Submitting) -> Iterator[tuple[str, str, bool | None]]:
    """Yield each goal, what was measured, and whether that is enough."""
    few, many = medians(trials, "postgresql", 100), medians(trials, "postgresql", 500)
    lite = medians(trials, "sqlite", 100)
    if OURS in few:
        share = few[OURS].rate / 20
        yield "100 in flight: at least 95 % of the ceiling", f"{share:.1f} %", share >= 95
    if OURS in many:
        # Here no contestant is held up by the number of connections.
        others = {key: f for key, f in many.items() if key != OURS and key not in BARE}
        for names, factor in (
            (("dramatiq", "taskiq"), 3.5), (("celery",), 5.0), (("celery-results",), 8.0),
        ):  # fmt: skip
            if rates := [others[name].rate for name in names if name in others]:
                times = many[OURS].rate / max(rates)
                what = " and ".join(CONTESTANTS[name].name for name in names)
                yield (
                    f"500 in flight: at least {factor} times {what}",
                    f"{times:.1f}",
                    (times >= factor),
                )
    if OURS in many:
        ours = many[OURS]
        yield "500 in flight: at least 3,000/s", f"{ours.rate:,.0f}/s", ours.rate >= 3_000
        yield (
            "500 in flight: at most 0.35 ms of CPU per push",
            f"{ours.cpu_ms:.2f} ms",
            (ours.cpu_ms <= 0.35),
        )
        yield (
            "At most 4 connections to the database",
            f"{ours.connections:.0f}",
            (ours.connections <= 4),
        )
    if OURS in lite:
        rate = lite[OURS].rate
        yield "SQLite, 100 in flight: at least 1,500/s", f"{rate:,.0f}/s", rate >= 1_500
    beyond, rows = submitting.beyond_ms, submitting.rows
    yield (
        "submit: at most 1 ms of CPU more than a bare create()",
        f"{beyond:.2f} ms",
        (beyond <= 1),
    )
    yield "submit_many: at least 10,000 rows/s", f"{rows:,.0f}/s", rows >= 10_000


def terminal(trials: Trials, submitting: Submitting) -> str:
    lines = [
        f"{kind:10} {in_flight:4} in flight  {CONTESTANTS[key].name:38} {figures.line()}"
        for kind, in_flight in trials
        for key, figures in medians(trials, kind, in_flight).items()
    ]
    lines += [
        f"{MARKS[reached].strip('*'):8} {goal}: {measured}"
        for goal, measured, reached in goals(trials, submitting)
    ]
    return "\n".join(lines)


def write(trials: Trials, submitting: Submitting, machine: Machine, folder: Path) -> None:
    """Write the page into ``folder``."""
    parts = [
        ".. Written by ``python -m benchmarks.pipeline``. The next run overwrites any changes.",
        title("Benchmarks of the pipeline", "=", over=True),
        INTRODUCTION,
        title("The goals"),
        table(
            ("goal", "measured", ""),
            [
                (goal, measured, MARKS[reached])
                for goal, measured, reached in goals(trials, submitting)
            ],
        ),
    ]
    for kind, in_flight in trials:
        parts += [
            title(f"{NAMES[kind]}, {in_flight} in flight"),
            table(
                ("", "pushes/s", "CPU ms per push", "MB", "connections", "transactions per push"),
                [
                    (CONTESTANTS[key].name, f"{f.rate:,.0f}", f"{f.cpu_ms:.2f}",
                     f"{f.largest / 1e6:.0f}", f"{f.connections:.0f}", f"{f.transactions:.3f}")
                    for key, f in medians(trials, kind, in_flight).items()
                ],
            ),
        ]  # fmt: skip
    parts += [title("Submitting"), SUBMITTING.format(submitting)]
    parts += [title("The machine"), machine_line(machine)]
    (folder / PAGE).write_text("\n\n".join(part.strip("\n") for part in parts) + "\n", "utf-8")


NAMES = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}
INTRODUCTION = """\
The whole way of a push request in one process: its row is claimed, the message is pushed over
HTTP to a gateway that answers after 50 ms, and the result is written back. Beside it are workers
whose jobs do the same by hand, as one would in a Django site: one UPDATE claims a row, a SELECT
reads the message, another UPDATE writes the result, over a pool of 8 connections that is not held
while the gateway takes its time. The numbers are medians of rounds that take turns; the first and
the last tenth of each trial do not count.

With 100 in flight, each contestant has 100 connections to the gateway, so none can make more than
2,000 pushes a second. Each runs 200 jobs more than that, since a job that claims or writes back
is not in flight. PostgreSQL waits for the disk at each commit, as it does by default.

Two contestants leave out Django: their jobs run two prepared lines of SQL and never read the
message. They show what the frameworks themselves cost. They keep neither a journal nor the
outcome for each address, and whatever they had claimed when their process dies stays claimed
forever."""
SUBMITTING = """\
On PostgreSQL, in one process: ``services.submit`` takes {0.submit_ms:.2f} ms of CPU, including
its transaction and the enqueueing in Redis; a bare ``PushRequest.objects.create()`` takes
{0.create_ms:.2f} ms. ``submit_many``, 1,000 at a time, stores and enqueues {0.rows:,.0f} requests
a second."""
