"""``python -m benchmarks.providers``: Web Push, FCM and APNs, ours and django-push-notifications.

Each gets one process and the same peer, over TLS, which answers after some milliseconds. Ours is
the backend in a pool of greenlets; theirs is a Celery worker whose tasks call the send functions of
django-push-notifications, with gevent and as many greenlets, or with threads if gevent cannot run
them. Pushes per second of CPU are printed too, since other work on the machine affects them less.
They take turns, and the medians count.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

from . import trials
from .trials import Figures, worker_for

#: Kind -> pushes per second that our backend is meant to make in one process.
GOALS = {"webpush": 1_500, "fcm": 2_000, "apns": 2_500}
#: Kind -> pushes in flight by default. With 300 to APNs neither side is busy all the
#: time: our process took 60 percent of a core and made 2,400 a second. With 1,500, over two of the
#: four connections that it may have, it takes 80 to 90 percent, and more of them add nothing.
AT_ONCE = {"webpush": 300, "fcm": 300, "apns": 1_500}
#: How much faster than django-push-notifications it is meant to be.
FACTOR = 5


def middle(found: list[Figures]) -> Figures:
    """Return the median of each figure."""
    return Figures(median(one.rate for one in found), median(one.lean for one in found))


def line(kind: str, who: str, figures: Figures, note: str = "") -> str:
    told = f"{kind:8} {who:28} {figures.rate:7,.0f} /s {figures.lean:7,.0f} /CPU s"
    return f"{told}  {note}".rstrip()


def table(
    kind: str, ours: list[Figures], theirs: list[Figures], names: tuple[str, str]
) -> list[str]:
    """Return the lines of one kind: medians, the factor between them, and the goals."""
    mine = middle(ours)
    lines = [line(kind, names[0], mine, f"(goal {GOALS[kind]:,} /s)")]
    if theirs:
        other = middle(theirs)
        lines.append(line(kind, names[1], other))
        lines.append(
            f"{kind:8} {'factor':28} {mine.rate / other.rate:7.1f}    "
            f"{mine.lean / other.lean:7.1f}         (goal {FACTOR})"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.providers", description=__doc__)
    add = parser.add_argument
    add("--kinds", default=",".join(GOALS), help="(default: %(default)s)")
    add("--rounds", type=int, default=3, help="(default: %(default)s)")
    add("--count", type=int, default=10_000, help="pushes of ours per round (default: %(default)s)")
    add("--latency-ms", type=float, default=50, help="latency of the peer (default: %(default)s)")
    add("--concurrency", type=int, help=f"pushes in flight (default: {AT_ONCE})")
    add("--no-peers", action="store_true", help="measure ours only")
    given = parser.parse_args()
    kinds = given.kinds.split(",")
    if unknown := set(kinds) - GOALS.keys():
        parser.error(f"unknown kinds: {', '.join(sorted(unknown))}; choose from {', '.join(GOALS)}")
    at_once = {kind: given.concurrency or AT_ONCE[kind] for kind in kinds}
    workers = {kind: worker_for(kind, at_once[kind]) for kind in kinds}
    names = {
        kind: (f"ours ({at_once[kind]:,})", f"theirs ({worker})")
        for kind, worker in workers.items()
    }
    ours: dict[str, list[Figures]] = defaultdict(list)
    theirs: dict[str, list[Figures]] = defaultdict(list)
    for _ in range(given.rounds):
        for kind in kinds:
            with tempfile.TemporaryDirectory(prefix="pushjobs-bench-") as name:
                folder = Path(name)
                with trials.peer(kind, folder, given.latency_ms / 1_000) as told:
                    ours[kind].append(trials.ours(kind, folder, given.count, at_once[kind]))
                    print(line(kind, names[kind][0], ours[kind][-1]), flush=True)
                    if given.no_peers:
                        continue
                    fewer = max(given.count // 10, 100)
                    theirs[kind].append(trials.theirs(kind, folder, told, fewer, workers[kind]))
                    print(line(kind, names[kind][1], theirs[kind][-1]), flush=True)
    print(f"\nMedians of {given.rounds}:")
    for kind in kinds:
        print("\n".join(table(kind, ours[kind], theirs[kind], names[kind])))


if __name__ == "__main__":
    main()
