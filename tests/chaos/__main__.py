"""``python -m tests.chaos``: break things, count, print a table; exit with 1 on a problem."""

from __future__ import annotations

import argparse
import logging
import os
import random
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import django
from rich.console import Console

from .faults import FAULTS
from .world import Pace, World

#: Push requests of a complete run, and the share of them that meets everything at once.
REQUESTS = 10_000
EVERYTHING = "everything"
SHARE_OF_EVERYTHING = 0.5
#: Push requests of a short run, for each fault.
FEW = 100

LONG = Pace(rate=40, lease=10.0, answer=0.25)
#: For a test among others on a busy machine, where the time of a recovery means little.
SHORT = Pace(
    rate=40,
    lease=2.0,
    past_lease=2.0,
    recovery=60.0,
    outage=4.0,
    part_size=100,
    relay_interval=0.2,
    lost_job_after=1.0,
    patience=60.0,
    haste=6.0,
)


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description="Break things while push requests come in, count, and print a table. The exit "
        "code is 1 if the numbers do not add up.",
    )
    add = parser.add_argument
    add("faults", nargs="*", metavar="FAULT", choices=[*FAULTS, []],
        help="faults to inject, one after another (default: all)")  # fmt: skip
    add(
        "--requests", type=int, default=REQUESTS, help="push requests in all (default: %(default)s)"
    )
    add("--short", action="store_true",
        help=f"short leases, and {FEW} push requests for each fault")  # fmt: skip
    add("--seed", type=int, default=random.randrange(2**32),
        help="what decides whom it strikes and when (default: another one each time)")  # fmt: skip
    add("--outage", type=float, metavar="SECONDS", help="how long the gateway is away")
    add("--keep", type=Path, metavar="FOLDER", help="keep the logs in this folder")
    add("--list", action="store_true", help="list the faults and break nothing")
    return parser


def shares(names: Sequence[str], requests: int) -> dict[str, int]:
    """Return how many of ``requests`` each fault gets."""
    others = [name for name in names if name != EVERYTHING]
    if EVERYTHING not in names:
        return dict.fromkeys(others, requests // len(others))
    share = int(requests * (1 - SHARE_OF_EVERYTHING)) // max(1, len(others))
    return dict.fromkeys(others, share) | {EVERYTHING: requests - share * len(others)}


def main() -> int:
    given = options().parse_args()
    if given.list:
        for fault in FAULTS.values():
            print(f"{fault.name:15} {fault.summary}")
        return 0
    # So that nothing that was started is left behind, even if our parent ignores these.
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: sys.exit(1))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    with tempfile.TemporaryDirectory(prefix="pushjobs-chaos-") as folder:
        return _run(given, console, given.keep or Path(folder))


def _run(given: argparse.Namespace, console: Console, folder: Path) -> int:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pace = SHORT if given.short else LONG
    if given.outage is not None:
        pace = replace(pace, outage=given.outage)
    console.print(f"seed {given.seed}")
    with World(folder, pace, given.seed) as world:
        os.environ.update(world.stack.environment)
        django.setup()
        # That of our own submissions: an outage of Redis is not news here.
        logging.getLogger("django_pushjobs").setLevel(logging.CRITICAL)
        # These need the settings, which need the servers from above.
        from .report import show
        from .trial import run

        names = given.faults or list(FAULTS)
        few = dict.fromkeys(names, FEW)
        trials, left_out = [], list[str]()
        for name, count in (few if given.short else shares(names, given.requests)).items():
            if missing := FAULTS[name].missing():
                console.print(f"     - {name:15} left out: {missing}", markup=False)
                left_out.append(name)
                continue
            console.print(f"{count:6,} {name:15} {FAULTS[name].summary}", markup=False)
            trials.append(run(FAULTS[name], world, count))
        world.supervisor.dismiss()
        show(console, trials, world.supervisor.tracebacks())
    # On the build server everything has to be there.
    if left_out and "CI" in os.environ:
        return 1
    return 1 if any(list(trial.problems()) for trial in trials) else 0


if __name__ == "__main__":
    sys.exit(main())
