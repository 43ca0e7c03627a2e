"""Whether there are such rows."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import QuerySet


def exist(*querysets: QuerySet[Any]) -> list[bool]:
    """Return whether there are rows in each of ``querysets``, in one round trip.

    All of them ask the database of the first one.
    """
    connection = connections[querysets[0].db]
    clauses: list[str] = []
    parameters: list[Any] = []
    for queryset in querysets:
        try:
            sql, values = queryset.values("pk")[:1].query.get_compiler(using=queryset.db).as_sql()
        except EmptyResultSet:
            sql, values = "SELECT 1 WHERE 1 = 0", ()
        clauses.append(f"EXISTS ({sql})")
        parameters += values
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(clauses)}", parameters)
        return [bool(found) for found in cursor.fetchone()]
