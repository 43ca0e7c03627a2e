"""``python -m benchmarks.scale``: many rows, on PostgreSQL and Valkey.

How long one relay takes to enqueue what is due at one moment, whether it prunes as fast as requests
end, and whether the number of rows matters to anything else.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from .stage import stage


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--due", type=int, nargs="*", default=[100_000],
        help="requests that are due at one moment (default: 100000)",
    )  # fmt: skip
    parser.add_argument(
        "--old", type=int, default=100_000,
        help="requests whose retention is over; 0 leaves it out (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=float, default=60.0,
        help="for which others end meanwhile (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--rows", type=int, default=1_000_000,
        help="requests in the large database; 0 leaves it out (default: %(default)s)",
    )  # fmt: skip
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="pushjobs-bench-") as name, stage(Path(name)):
        # Django has to be set up before.
        from . import due, growth, retention

        for count in given.due:
            print(due.measure(count), flush=True)
        if given.old:
            for line in retention.measure(given.old, given.seconds):
                print(line, flush=True)
        if given.rows:
            print(f"{'':34} {'empty':>11} {f'{given.rows:,} rows':>11}")
            for line in growth.measure(given.rows):
                print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
