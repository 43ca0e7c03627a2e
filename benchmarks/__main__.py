"""``python -m benchmarks``: measure, print, and after a complete run write the page."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from .environments import prepare, versions
from .machine import describe
from .peers import PEERS, Peer
from .report import terminal, write
from .results import Figures, Results
from .trial import Laboratory, TrialError, count_commands, run
from .workloads import DRAIN, WORKLOADS, Workload

ROOT = Path(__file__).parent.parent
#: Rounds that a page needs.
ENOUGH = 3


def chosen(known: Iterable[str]) -> Callable[[str], list[str]]:
    """Return a type for argparse: names with commas between."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return names

    return parse


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="The worker beside its peers."
    )
    add = parser.add_argument
    add("--peers", type=chosen(PEERS), default=list(PEERS), metavar="A,B,...",
        help=f"of {', '.join(PEERS)} (default: all)")  # fmt: skip
    add("--workloads", type=chosen(WORKLOADS), default=list(WORKLOADS), metavar="A,B,...",
        help=f"of {', '.join(WORKLOADS)} (default: all)")  # fmt: skip
    add("--rounds", type=int, default=ENOUGH, help="trials of each (default: %(default)s)")
    add("--seconds", type=float, default=2.0,
        help="about the length of one trial (default: %(default)s)")  # fmt: skip
    add("--no-commands", action="store_true", help="do not count Redis commands")
    add("--results", type=Path, default=ROOT / "var/benchmarks.json", metavar="FILE",
        help="where all that was measured is kept (default: var/benchmarks.json)")  # fmt: skip
    add("--docs", type=Path, default=ROOT / "docs/explanation", metavar="FOLDER",
        help="where a complete run writes its page (default: docs/explanation)")  # fmt: skip
    add("--from-results", action="store_true", help="measure nothing: print and write again")
    return parser


def measure(given: argparse.Namespace) -> Results:
    peers = [PEERS[key] for key in given.peers]
    workloads = [WORKLOADS[key] for key in given.workloads]
    for environment in dict.fromkeys(peer.environment for peer in peers):
        prepare(environment)
    load_before = os.getloadavg()[0]
    # The variables of one virtual environment must not reach another.
    os.environ.pop("VIRTUAL_ENV", None)
    with (
        tempfile.TemporaryDirectory(prefix="pushjobs-bench-") as folder,
        Laboratory(Path(folder)) as laboratory,
    ):
        about = describe(
            valkey=laboratory.valkey_version, load_before=load_before, pinned=laboratory.pinned
        )
        results = Results(about, given.rounds, given.seconds)
        for number in range(given.rounds):
            for workload in workloads:
                for peer in peers:
                    if workload.suits(peer):
                        trial(laboratory, results, peer, workload, number)
        if not given.no_commands and DRAIN in workloads:
            for peer in filter(DRAIN.suits, peers):
                try:
                    results.commands[peer.key] = count_commands(laboratory, peer, given.seconds)
                except TrialError as error:
                    fail(results, "commands", peer, error)
        results.machine = describe(
            valkey=laboratory.valkey_version, load_before=load_before, pinned=laboratory.pinned
        )
    for environment in dict.fromkeys(peer.environment for peer in peers):
        results.versions[environment] = versions(environment)
    return results


def trial(
    laboratory: Laboratory, results: Results, peer: Peer, workload: Workload, number: int
) -> None:
    what = f"{number + 1}/{results.rounds}  {workload.key:9} {peer.key:14}"
    try:
        figures = run(laboratory, peer, workload, results.seconds)
    except TrialError as error:
        fail(results, workload.key, peer, error)
        print(f"{what} failed", flush=True)
    else:
        results.add(workload.key, peer.key, figures)
        print(f"{what} {line(figures)}", flush=True)


def line(figures: Figures) -> str:
    text = f"{figures.rate:8,.1f} jobs/s {figures.cpu_ms:7.3f} ms CPU {figures.rss / 1e6:5.0f} MB"
    if figures.p50 is not None and figures.p99 is not None:
        text += f" {figures.p50:7.1f} {figures.p99:7.1f} ms"
    return text


def fail(results: Results, workload: str, peer: Peer, error: TrialError) -> None:
    results.failures.append((workload, peer.key, str(error)))
    print(f"{workload}, {peer.key}: {error}", file=sys.stderr, flush=True)


def is_complete(results: Results) -> bool:
    """Whether the page may be written: everybody, everything, often enough."""
    return results.rounds >= ENOUGH and all(
        len(results.trials.get(workload.key, {}).get(peer.key, [])) == results.rounds
        for workload in WORKLOADS.values()
        for peer in PEERS.values()
        if workload.suits(peer)
    )


def main() -> int:
    given = options().parse_args()
    # So that nothing that was started is left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    started = time.monotonic()
    results = Results.load(given.results) if given.from_results else measure(given)
    if not given.from_results:
        results.save(given.results)
    print("\n" + terminal(results))
    if is_complete(results):
        write(results, given.docs)
        print(f"\nWritten into {given.docs}.")
    else:
        print("\nThis was not a complete run: the page stays as it is.")
    print(f"It took {(time.monotonic() - started) / 60:.1f} minutes.")
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
