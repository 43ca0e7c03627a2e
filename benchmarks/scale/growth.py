"""What everything takes in a database with many rows, beside an empty one.

The admin's list counts up to 10,000 rows and shows a page of them, which an empty table does not
have; beyond that it takes the same however many there are.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from ..pipeline.database import DELIVERIES, REQUESTS
from .stage import add_finished, execute

#: Rounds, each in both databases in turn, and calls in a round.
ROUNDS, CALLS = 10, 20
LARGE = "scale_large"


def measure(rows: int) -> Iterator[str]:
    """Yield lines of the table: a call in an empty database, and in one with ``rows`` requests."""
    from django.core.management import call_command

    from .settings import RETENTION

    execute(f"CREATE DATABASE {LARGE}")
    with _database(LARGE):
        call_command("migrate", verbosity=0)
        density = rows / (RETENTION * 900)  # the last nine tenths of a month
        since = time.time() - RETENTION * 0.95
        for first in range(0, rows, 100_000):
            count = min(100_000, rows - first)
            add_finished(first, count, since=since, density=density, journal=False)
        for table in (REQUESTS, DELIVERIES):
            execute(f"VACUUM ANALYZE {table}")
    empty: dict[str, list[float]] = {}
    large: dict[str, list[float]] = {}
    for number in range(ROUNDS + 1):
        turns = [(None, empty), (LARGE, large)]
        for name, found in turns if number % 2 else reversed(turns):
            with _database(name):
                for what, call in _calls().items():
                    times = _times(call)
                    if number:  # the first round warms up
                        found.setdefault(what, []).extend(times)
    for what, times in empty.items():
        before, after = _typical(times), _typical(large[what])
        yield (
            f"{what:34} {1e3 * before:8.2f} ms {1e3 * after:8.2f} ms   {after / before - 1:+.0%}"
        )


@contextmanager
def _database(name: str | None) -> Iterator[None]:
    """Let the default connection lead to another database of the server."""
    from django.db import connection, connections

    given = connection.settings_dict["NAME"]
    connections.close_all()
    connection.settings_dict["NAME"] = name or given
    try:
        yield
    finally:
        connections.close_all()
        connection.settings_dict["NAME"] = given


def _calls() -> Mapping[str, Callable[[], object]]:
    from django.contrib.auth.models import User
    from django.test import Client

    from django_pushjobs import relay, services
    from django_pushjobs.delivery.attempts import deliver

    # What the last round has submitted and nobody pushed would give the sweep something to do.
    execute(f"DELETE FROM {REQUESTS} WHERE status = 'queued'")
    operator, _ = User.objects.get_or_create(
        username="operator", defaults={"is_staff": True, "is_superuser": True}
    )
    browser = Client(SERVER_NAME="localhost")
    browser.force_login(operator)
    waiting = [
        services.submit(recipients=["token"], title="Hello", backend="dummy").pk
        for _ in range(CALLS)
    ]

    def listed(query: str) -> None:
        answer = browser.get(f"/admin/django_pushjobs/pushrequest/{query}")
        if answer.status_code != 200:
            raise AssertionError(f"the list answers {answer.status_code}")

    return {
        "submit": lambda: services.submit(recipients=["token"], title="Hello", backend="dummy"),
        "claim, push to nobody, and settle": lambda: deliver(waiting.pop()),
        "an idle sweep": relay.sweep,
        "the admin's list": lambda: listed(""),
        "the admin's list of a status": lambda: listed("?status__exact=failed"),
    }


def _typical(times: Sequence[float]) -> float:
    """Return what a call takes if nothing else is in its way: the fastest tenth is faster."""
    return statistics.quantiles(times, n=10)[0]


def _times(call: Callable[[], object]) -> list[float]:
    """Return how long the calls took, in seconds."""
    times = []
    for _ in range(CALLS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return times
