"""``python -m benchmarks.apns``: pushes a second of one process to an APNs over TLS.

The APNs is that of the tests, in a process of its own. It answers after a while, verifies the
provider token and looks at every header, so it takes about as much of a core as we do.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import gevent.pool

from django_pushjobs.backends import Message, OutcomeClass, Target
from django_pushjobs.backends.apns import APNsBackend

ROOT = Path(__file__).parent.parent


def _push(backend: APNsBackend, number: int) -> OutcomeClass:
    message = Message(
        request_id=uuid.uuid4(),
        title=f"Order {number}",
        body="It is on its way and will be there before noon",
        data={"order": number},
        options={"badge": 1, "sound": "default"},
    )
    target = Target(delivery_id=uuid.uuid4(), address=f"{number:064x}")
    return backend.push(message, target).kind


def measure(options: dict[str, Any], *, seconds: float, at_once: int) -> tuple[float, float]:
    """Return pushes a second, and the milliseconds of CPU that each took."""
    backend = APNsBackend(alias="apns", **options)
    pool = gevent.pool.Pool(at_once)
    assert _push(backend, 0) is OutcomeClass.OK
    started, cpu = time.perf_counter(), time.process_time()

    def numbers() -> Any:
        number = 0
        while time.perf_counter() - started < seconds:
            number += 1
            yield number

    done = 0
    for kind in pool.imap_unordered(lambda number: _push(backend, number), numbers()):
        assert kind is OutcomeClass.OK, kind
        done += 1
    elapsed, spent = time.perf_counter() - started, time.process_time() - cpu
    backend.close()
    return done / elapsed, spent / done * 1_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.apns")
    add = parser.add_argument
    add("--seconds", type=float, default=5.0, help="length of one round (default: 5)")
    add("--rounds", type=int, default=3, help="(default: 3)")
    add("--latency-ms", type=float, default=50.0, help="until it answers (default: 50)")
    add("--at-once", type=int, default=300, help="pushes under way (default: 300)")
    add("--connections", type=int, default=4, help="at most (default: 4)")
    given = parser.parse_args()
    command = [sys.executable, "-m", "tests.support.apns", "--latency-ms", str(given.latency_ms)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as peer:
        try:
            assert peer.stdout is not None
            options = json.loads(peer.stdout.readline()) | {"connections": given.connections}
            for _ in range(given.rounds):
                rate, cpu = measure(options, seconds=given.seconds, at_once=given.at_once)
                print(f"{rate:8,.0f} pushes/s  {cpu:.3f} ms CPU each", flush=True)
        finally:
            peer.terminate()
    return 0


if __name__ == "__main__":
    sys.exit(main())
