"""``python -m tests.attack``: attack, look at what others feel, print a table; exit with 1 if it
is too much."""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from .attacks import EVERYTHING, attacks
from .report import show
from .stage import Stage
from .trial import run

#: Seconds of each attack, and calls of the fuzz.
LONG, SHORT = 20.0, 2.0
MANY, FEW = 50_000, 2_000


def options(names: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.attack",
        description="Attack while another client submits, and print a table. The exit code is 1 if "
        "the other client feels too much of it, or if something must not have happened.",
    )
    add = parser.add_argument
    add("attacks", nargs="*", metavar="ATTACK", choices=[*names, []],
        help="attacks to run, one after another (default: all)")  # fmt: skip
    add("--seconds", type=float, help=f"seconds of each attack (default: {LONG:g})")
    add("--calls", type=int, help=f"calls of the fuzz (default: {MANY:,})")
    add("--seed", type=int, help="of the fuzz (default: another one each time, which is printed)")
    add("--short", action="store_true",
        help=f"{SHORT:g} seconds each, {FEW:,} calls; durations do not count")  # fmt: skip
    add("--keep", type=Path, metavar="FOLDER", help="keep the logs in this folder")
    add("--list", action="store_true", help="list the attacks and run none")
    return parser


def main() -> int:
    given = options(list(attacks(0, 0))).parse_args()
    seed = random.randrange(2**32) if given.seed is None else given.seed
    calls = given.calls or (FEW if given.short else MANY)
    known = attacks(seed, calls)
    if given.list:
        for attack in known.values():
            print(f"{attack.name:15} {attack.summary}")
        return 0
    # So that nothing that was started is left behind, even if our parent ignores these.
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: sys.exit(1))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 170)
    console.print(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="pushjobs-attack-") as name:
        folder = given.keep or Path(name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with Stage(folder) as stage:
            trials = []
            for name in given.attacks or known:
                console.print(f"{name:15} {known[name].summary}", markup=False)
                seconds = given.seconds or (SHORT if given.short else LONG)
                trials.append(run(known[name], stage, seconds * (2 if name == EVERYTHING else 1)))
            show(console, trials, timed=not given.short)
    return 1 if any(list(trial.problems(timed=not given.short)) for trial in trials) else 0


if __name__ == "__main__":
    sys.exit(main())
