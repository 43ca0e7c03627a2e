"""Rows that a job claims and writes back, by hand: what one would write without this package.

One UPDATE takes the row, one writes the result, each a transaction of its own over a small pool of
connections, and each guarded, so that no row is pushed twice. :mod:`.models` does so as a Django
site does; the functions here leave Django out, and do not even read the message from the row.
"""

from __future__ import annotations

import os
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

#: The environment variable with the Django apps of the site.
APPS = "BENCHMARK_APPS"
#: Connections of a worker.
POOL = 8
TABLE = "benchmark_row"
CREATE = f"""
CREATE TABLE IF NOT EXISTS {TABLE} (
    id integer PRIMARY KEY,
    recipient varchar(255) NOT NULL,
    title varchar(255) NOT NULL,
    body text NOT NULL,
    error text NOT NULL,
    status varchar(16) NOT NULL,
    started_at timestamptz,
    finished_at timestamptz
)
"""
FILL = f"""
INSERT INTO {TABLE} (id, recipient, title, body, error, status)
SELECT n, 'token-' || n, 'Hello', 'A push message', '', 'queued'
FROM generate_series(0, %s - 1) AS n
"""
CLAIM = f"""
UPDATE {TABLE} SET status = 'running', started_at = clock_timestamp()
WHERE id = %s AND status = 'queued'
"""
FINISH = f"""
UPDATE {TABLE} SET status = 'succeeded', finished_at = clock_timestamp()
WHERE id = %s AND status = 'running'
"""


def claim(index: int) -> bool:
    return _execute(CLAIM, index)


def finish(index: int) -> None:
    _execute(FINISH, index)


async def async_claim(index: int) -> bool:
    return await _async_execute(CLAIM, index)


async def async_finish(index: int) -> None:
    await _async_execute(FINISH, index)


def _execute(sql: Any, index: int) -> bool:
    with _pool().connection() as connection:
        cursor: psycopg.Cursor[Any] = connection.execute(sql, [index])
        return cursor.rowcount == 1


async def _async_execute(sql: Any, index: int) -> bool:
    pool = _async_pool()
    await pool.open()
    async with pool.connection() as connection:
        cursor = await connection.execute(sql, [index])
        return bool(cursor.rowcount == 1)


def _pool() -> Any:
    # All jobs ask for it at the same time.
    with _opening:
        return _opened_pool()


_opening = threading.Lock()


@cache
def _opened_pool() -> Any:
    from psycopg_pool import ConnectionPool

    return ConnectionPool(
        os.environ["DATABASE_URL"], min_size=1, max_size=POOL, timeout=120, open=True
    )


@cache
def _async_pool() -> Any:
    from psycopg_pool import AsyncConnectionPool

    return AsyncConnectionPool(
        os.environ["DATABASE_URL"], min_size=1, max_size=POOL, timeout=120, open=False
    )
