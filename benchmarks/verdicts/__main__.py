"""``python -m benchmarks.verdicts``: every answer of every provider, and nothing else is hurt.

One real worker, and providers that speak the real protocols. For each row of each table of
answers, good addresses are pushed to at a rate, and one address gets the answer of that row, time
and again: the good ones are accepted in time, the other one ends as the row says, and nothing is
paused. Meanwhile all addresses of another alias get that answer: it is paused within seconds if
the row is about our credentials or says that the provider is away, and otherwise it is not.

It ends with 1 if that is not so for a row.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from tests.support.answer_cases import BACKENDS, CASES, IMPOSSIBLE, Case
from tests.support.answering import Providers

from .stage import DATABASES, stage
from .trial import Pauses, Trial

#: Seconds after the last submission within which everything has to have settled.
PATIENCE = 20.0
#: Rows side by side of those whose good addresses had to wait the first time.
AGAIN_AT_ONCE = 3


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.verdicts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--backends", default=",".join(BACKENDS), metavar="A,B,...", help="(default: %(default)s)")
    add("--rows", default="", metavar="A,B,...",
        help="statuses, words and reasons (default: all)")  # fmt: skip
    add("--seconds", type=float, default=10, help="for each row (default: %(default)s)")
    add("--rate", type=float, default=20,
        help="good addresses a second of each row (default: %(default)s)")  # fmt: skip
    add("--at-once", type=int, default=5, help="rows side by side (default: %(default)s)")
    add("--database", choices=DATABASES, default=DATABASES[0], help="(default: %(default)s)")
    return parser


def chosen(backends: str, rows: str) -> list[Case]:
    wanted = {row for row in rows.split(",") if row}
    return [
        case
        for case in CASES
        if case.backend in backends.split(",")
        and (not wanted or wanted & {case.row.answer, case.row.reason})
    ]


def standing() -> Pauses:
    """Return the pauses that stand now."""
    from django.utils import timezone

    from django_pushjobs.models import Pause

    rows = Pause.objects.filter(since__lte=timezone.now())
    return {(row.backend, row.origin): row.since for row in rows}


def run(trials: Sequence[Trial], seconds: float, rate: float) -> None:
    """Submit everything of some trials, side by side, and wait until they are over."""
    from django.utils import timezone

    from django_pushjobs.services import submit_many

    submit_many(chain.from_iterable(trial.first_submissions() for trial in trials))
    wait(trials, Trial.has_begun)
    for trial in trials:
        trial.began = timezone.now()
    began, ticks = time.monotonic(), int(seconds * rate)
    for tick in range(ticks):
        time.sleep(max(0.0, began + tick / rate - time.monotonic()))
        # All in one transaction: to submit is not what is tried here.
        submit_many(chain.from_iterable(trial.submissions(tick) for trial in trials))
        see(trials)
    wait(trials, Trial.is_over)


def wait(trials: Sequence[Trial], fact: Callable[[Trial], bool]) -> None:
    """Wait for a fact about each; one that does not come about is found when it is judged."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and not all(fact(trial) for trial in trials):
        see(trials)
        time.sleep(0.1)
    see(trials)


def see(trials: Sequence[Trial]) -> None:
    pauses = standing()
    for trial in trials:
        trial.see(pauses)


def tried(
    cases: Sequence[Case], at_once: int, providers: Providers, given: argparse.Namespace
) -> Iterator[Trial]:
    """Try cases, some at once, print what came of them, and yield them."""
    for first in range(0, len(cases), at_once):
        batch = cases[first : first + at_once]
        trials = [Trial(case, providers, given.rate) for case in batch]
        run(trials, given.seconds, given.rate)
        for trial in trials:
            print(trial.judge(), flush=True)
            for line in trial.wrong:
                print(f"    {line}", flush=True)
            trial.tidy()
            yield trial


def main() -> int:
    given = options().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    cases = chosen(given.backends, given.rows)
    began, failed = time.monotonic(), 0
    print(f"{'row':44} {'class':9} {'scope':11} {'p95 ms':>6} {'end of the bad':19} {'paused':10}")
    with (
        tempfile.TemporaryDirectory(prefix="pushjobs-bench-") as name,
        stage(Path(name), cases, given.database) as providers,
    ):
        slow = []
        for trial in tried(cases, given.at_once, providers, given):
            slow += [trial.case] if trial.is_slow and not trial.wrong else []
            failed += bool(trial.wrong)
        # The machine may have been the limit: those that are slow twice are wrong.
        if slow:
            print(f"{len(slow)} rows that were slow, once more:")
        for trial in tried(slow, min(AGAIN_AT_ONCE, given.at_once), providers, given):
            failed += trial.is_slow or bool(trial.wrong)
    for (backend, answer, reason), why in IMPOSSIBLE.items():
        print(f"{f'{backend} {answer} {reason}'.rstrip():44} is not produced: {why}")
    print(f"{len(cases)} rows in {(time.monotonic() - began) / 60:.1f} minutes, {failed} wrong")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
