"""The table, and what does not add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from .trial import Trial, percentile

COLUMNS = (
    *("fault", "strikes", "requests", "final", "lost", "duplicates", "accounted", "unknown"),
    *("caught", "recovery p50", "p95", "answer p99", "max", "took"),
)


def table(trials: Sequence[Trial]) -> Table:
    table = Table(title="Chaos", title_style="bold")
    for number, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if number else "left")
    for trial in trials:
        table.add_row(*_cells(trial), style="red" if list(trial.problems()) else None)
    if len(trials) > 1:
        totals = [sum(column) for column in zip(*map(_counts, trials), strict=True)]
        seconds = sum(trial.seconds for trial in trials)
        table.add_section()
        table.add_row("in all", *(f"{n:,}" for n in totals), *4 * [""], f"{seconds:.0f} s")
    return table


def _counts(trial: Trial) -> tuple[int, ...]:
    verdict = trial.verdict
    return (
        *(trial.strikes, verdict.requests, verdict.final, len(verdict.lost)),
        *(verdict.duplicates, verdict.accounted, verdict.unknown, len(trial.recoveries)),
    )


def _cells(trial: Trial) -> list[str]:
    times = (
        percentile(trial.recoveries, 50),
        percentile(trial.recoveries, 95),
        percentile(trial.answers, 99),
        percentile(trial.answers, 100),
        trial.seconds,
    )
    return [
        trial.fault.name,
        *(f"{count:,}" for count in _counts(trial)),
        *("-" if seconds is None else f"{seconds:.2f} s" for seconds in times),
    ]


def show(console: Console, trials: Sequence[Trial], tracebacks: Sequence[str]) -> None:
    console.print(table(trials))
    for line, number in Counter(tracebacks).most_common():
        console.print(f"{number} tracebacks in the logs of the workers: {line}", markup=False)
    for trial in trials:
        for problem in trial.problems():
            console.print(f"[bold red]✗[/] {trial.fault.name}: {problem}")
