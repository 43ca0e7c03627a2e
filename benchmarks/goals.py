"""What the worker is meant to reach, and whether it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .peers import OURS, OURS_TWICE
from .results import Figures, Results
from .workloads import PUSH_100

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """A goal, what was measured, and whether that is enough; None where it was not measured."""

    goal: str
    measured: str
    reached: bool | None


def verdicts(results: Results) -> Iterator[Verdict]:
    """Compare the medians of a run with the goals."""
    drain, push_100 = results.medians("drain"), results.medians("push100")
    push_1000, trickle = results.medians("push1000"), results.medians("trickle")
    compute = results.medians("compute")

    def ours(
        goal: str,
        found: dict[str, Figures],
        figure: Callable[[Figures], float | None],
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        form: str,
    ) -> Verdict:
        value = figure(found[OURS]) if OURS in found else None
        if value is None:
            return Verdict(goal, "", None)
        enough = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
        return Verdict(goal, form.format(value), enough)

    def times(peer: str, factor: float, name: str) -> Verdict:
        return ours(
            f"Nothing to do: at least {factor:g} times {name}",
            drain if peer in drain else {},
            lambda f: f.rate / drain[peer].rate,
            at_least=factor,
            form="{:.1f} times",
        )

    yield ours(
        "Nothing to do: at least 8,000 jobs/s",
        *(drain, lambda f: f.rate),
        at_least=8_000,
        form="{:,.0f} jobs/s",
    )
    yield times("rq-simple", 30, "RQ SimpleWorker")
    yield times("rq-fork", 100, "RQ Worker")
    yield times("celery", 7, "Celery on gevent")
    others = [figures.rate for peer, figures in drain.items() if peer != OURS]
    yield ours(
        "Nothing to do: ahead of every peer",
        drain if others else {},
        lambda f: f.rate / max(others),
        at_least=1.0,
        form="{:.2f} times the fastest other",
    )
    ceiling = PUSH_100.ceiling or 0.0
    yield ours(
        "100 pushes in flight: at least 95 % of the ceiling",
        push_100,
        lambda f: 100 * f.rate / ceiling,
        at_least=95,
        form="{:.1f} %",
    )
    yield ours(
        "100 pushes in flight: at most 0.35 ms of CPU per job",
        *(push_100, lambda f: f.cpu_ms),
        at_most=0.35,
        form="{:.2f} ms",
    )
    yield ours(
        "1,000 pushes in flight: at least 3,000 jobs/s",
        *(push_1000, lambda f: f.rate),
        at_least=3_000,
        form="{:,.0f} jobs/s",
    )
    yield ours(
        "1,000 pushes in flight: at most 150 MB resident in the process that pushes",
        *(push_1000, lambda f: f.largest / MEGABYTE),
        at_most=150,
        form="{:.0f} MB",
    )
    commands = results.commands.get(OURS)
    yield Verdict(
        "At most 10 Redis commands per job",
        f"{commands.executed:.1f}" if commands else "",
        commands.executed <= 10 if commands else None,
    )
    yield ours(
        "Trickle: half of the jobs are done within 2 ms",
        *(trickle, lambda f: f.p50),
        at_most=2,
        form="{:.1f} ms",
    )
    yield ours(
        "Trickle: 99 of 100 jobs are done within 5 ms",
        *(trickle, lambda f: f.p99),
        at_most=5,
        form="{:.1f} ms",
    )
    yield ours(
        "Computing on two cores: two processes do at least 1.8 times as much as one",
        compute if OURS_TWICE in compute else {},
        lambda f: compute[OURS_TWICE].rate / f.rate,
        at_least=1.8,
        form="{:.2f} times",
    )
