"""Rows that a transaction takes without waiting for others."""

from __future__ import annotations

from typing import TypeVar

from django.db import connections
from django.db.models import Model, QuerySet

T = TypeVar("T", bound=Model)


def locked(rows: QuerySet[T]) -> QuerySet[T]:
    """Return ``rows`` without those that others have locked; reading them locks the others.

    So two transactions that take many rows never wait for each other. A database that cannot do so
    (SQLite, old versions of MariaDB) locks nothing here.
    """
    if not connections[rows.db].features.has_select_for_update_skip_locked:
        return rows
    return rows.select_for_update(skip_locked=True)
