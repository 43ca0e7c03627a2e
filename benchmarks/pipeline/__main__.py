"""``python -m benchmarks.pipeline``: measure, print, and after a complete run write the page."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from ..__main__ import ENOUGH, ROOT, chosen
from ..environments import prepare
from ..machine import describe
from ..peers import OURS, Peer
from ..trial import BOOT, Laboratory, TrialError
from .contestants import CONTESTANTS, job_of
from .database import Database, postgres
from .report import Figures, Trials, terminal, write
from .submitting import measure

#: Milliseconds until the gateway answers.
LATENCY_MS = 50
#: What is measured: database, and pushes in flight.
SETTINGS = (("postgresql", 100), ("postgresql", 500), ("sqlite", 100))
#: Pushes in flight -> jobs at once. A job is not in flight while it claims its row or writes back:
#: for 100 connections to be busy all the time, there have to be more jobs than that. (At 2,000/s
#: each 50 ms that a job spends elsewhere take another 100.)
JOBS = {100: 300, 500: 700}
#: Seconds between two looks at how far it is.
LOOK_EVERY = 0.25
#: The share of a trial at each end that does not count: filling up, and running dry.
EDGE = 0.1


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=__doc__)
    add = parser.add_argument
    add("--peers", type=chosen(CONTESTANTS), default=list(CONTESTANTS), metavar="A,B,...",
        help=f"of {', '.join(CONTESTANTS)} (default: all)")  # fmt: skip
    add("--rounds", type=int, default=ENOUGH, help="trials of each (default: %(default)s)")
    add("--seconds", type=float, default=5.0,
        help="about the length of one trial (default: %(default)s)")  # fmt: skip
    add("--rows", type=int, default=0,
        help="requests that ended before, each with its delivery (default: none)")  # fmt: skip
    add("--docs", type=Path, default=ROOT / "docs/explanation", metavar="FOLDER",
        help="where a complete run writes its page (default: docs/explanation)")  # fmt: skip
    return parser


def trial(
    laboratory: Laboratory, database: Database, peer: Peer, in_flight: int, seconds: float
) -> Figures:
    """Run one trial.

    :raises TrialError: the peer did not do what it should.
    """
    count = int(peer.pace * seconds * (1.5 if in_flight > 100 and peer.key == OURS else 1))
    laboratory.reset()
    database.clear(peer.key, count)
    laboratory.send(peer, job_of(peer), count)
    with laboratory.worker(peer, JOBS[in_flight], connections=in_flight) as worker:
        first = int(count * EDGE)
        worker.wait_until(
            lambda: database.done(peer.key) >= first, timeout=BOOT, what="a tenth was written"
        )
        cpu, done = worker.cpu(), database.done(peer.key)
        connections, transactions = database.connections(), database.transactions()
        memory, deadline = worker.memory(), time.monotonic() + seconds * 6
        while database.done(peer.key) < count - first and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY)
            memory = memory.peak(worker.memory())
        cpu, done = worker.cpu() - cpu, database.done(peer.key) - done
        transactions = database.transactions() - transactions
        if not done:
            raise worker.failure("nothing more was done")
    ends = database.ends(peer.key)
    ends = ends[first : count - first]
    return Figures(
        rate=(len(ends) - 1) / (ends[-1] - ends[0]),
        cpu_ms=1_000 * cpu / done,
        largest=memory.largest,
        connections=connections,
        transactions=transactions / done,
    )


def main() -> int:
    given = options().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    peers = [CONTESTANTS[key] for key in given.peers]
    for environment in dict.fromkeys(peer.environment for peer in peers):
        prepare(environment)
    os.environ.pop("VIRTUAL_ENV", None)
    started, load = time.monotonic(), os.getloadavg()[0]
    trials: Trials = {}
    failures = 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pushjobs-bench-")))
        laboratory = stack.enter_context(Laboratory(folder, latency_ms=LATENCY_MS))
        databases = {
            "postgresql": stack.enter_context(postgres(folder)),
            "sqlite": Database(f"sqlite:///{folder / 'pipeline.sqlite3'}"),
        }
        base = laboratory.environment | {
            "GATEWAY_URL": f"{laboratory.gateway_url}/messages",
            "LOG_LEVEL": "WARNING",
            "VAR_DIR": str(folder),
        }
        for database in databases.values():
            database.migrate(base | {"DATABASE_URL": database.url})
            if given.rows:
                database.fill(given.rows)
        about = describe(
            valkey=laboratory.valkey_version, load_before=load, pinned=laboratory.pinned
        )
        for number in range(given.rounds):
            for kind, in_flight in SETTINGS:
                # Producers keep their connections, so each database has producers of its own.
                laboratory.end_producers()
                laboratory.environment = base | {"DATABASE_URL": databases[kind].url}
                for peer in peers:
                    if kind != "postgresql" and peer.key != OURS:
                        continue
                    try:
                        figures = trial(laboratory, databases[kind], peer, in_flight, given.seconds)
                    except TrialError as error:
                        failures += 1
                        print(f"{kind}, {peer.key}: {error}", file=sys.stderr, flush=True)
                        continue
                    trials.setdefault((kind, in_flight), {}).setdefault(peer.key, []).append(
                        figures
                    )
                    print(f"{number + 1}/{given.rounds} {kind:10} {in_flight:4} {peer.key:14} "
                          f"{figures.line()}", flush=True)  # fmt: skip
        laboratory.end_producers()
        laboratory.reset()
        submitting = measure(base | {"DATABASE_URL": databases["postgresql"].url})
    print("\n" + terminal(trials, submitting))
    if given.rounds >= ENOUGH and not failures and len(peers) == len(CONTESTANTS):
        write(trials, submitting, about, given.docs)
        print(f"\nWritten into {given.docs}.")
    print(f"It took {(time.monotonic() - started) / 60:.1f} minutes.")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
