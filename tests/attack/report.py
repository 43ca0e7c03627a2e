"""The table, and what must not be."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from .trial import Trial

COLUMNS = (
    *("attack", "took", "answers", "web CPU", "worker CPU", "web RSS", "worker RSS", "lost", "5xx"),
    *("submit p50", "p99", "push p95", "verdict"),
)


def table(trials: Sequence[Trial], *, timed: bool) -> Table:
    table = Table(title="Attacks", title_style="bold")
    for number, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if number else "left")
    for trial in trials:
        is_well = not list(trial.problems(timed=timed))
        table.add_row(*_cells(trial), "ok" if is_well else "FAILED", style="" if is_well else "red")
    return table


def _cells(trial: Trial) -> list[str]:
    half = trial.submissions[len(trial.submissions) // 2] if trial.submissions else None
    return [
        trial.name,
        f"{trial.seconds:.0f} s",
        f"{sum(trial.answers.values()):,}",
        *(f"{trial.cpu.get(name, 0):.1f} s" for name in ("web", "worker")),
        *(f"{trial.grown.get(name, 0) / 1e6:+.0f} MB" for name in ("web", "worker")),
        str(trial.lost),
        str(sum(count for status, count in trial.answers.items() if status >= 500)),
        *(_ms(value) for value in (half, trial.submission, trial.push)),
    ]


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1_000 * seconds:,.0f} ms"


def show(console: Console, trials: Sequence[Trial], *, timed: bool) -> None:
    console.print(table(trials, timed=timed))
    for trial in trials:
        found = ", ".join(f"{n:,} x {status}" for status, n in sorted(trial.answers.items()))
        console.print(f"{trial.name}: {found or 'no answers'}", markup=False)
    for trial in trials:
        for problem in trial.problems(timed=timed):
            console.print(f"✗ {trial.name}: {problem}", markup=False, style="bold red")
