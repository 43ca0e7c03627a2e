"""Many new rows at once, at the cost of what differs among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model

#: Rows that one INSERT writes at most.
INSERTED = 1_000
#: What PostgreSQL's drivers take as it is.
PLAIN = frozenset({str, int, UUID, datetime})
#: Rows from which COPY takes less time than an INSERT.
COPIED = 8


def insert(model: type[Model], columns: Mapping[str, Sequence[Any]], *, using: str) -> None:
    """Insert new rows of ``model`` in one transaction.

    ``bulk_create()`` would compile an expression for each value.

    :param columns: name of an attribute, such as ``client_id`` -> its value in each of the rows.
        What is left out takes the database's default.
    """
    fields = [field for field in model._meta.concrete_fields if field.attname in columns]
    connection = connections[using]
    quote = connection.ops.quote_name
    names = ", ".join(quote(str(field.column)) for field in fields)
    place = f"{quote(model._meta.db_table)} ({names})"
    prepared = [_prepared(field, columns[field.attname], connection) for field in fields]
    rows = list(zip(*prepared, strict=True))
    with transaction.atomic(using=using, savepoint=False), connection.cursor() as cursor:
        if connection.vendor == "postgresql" and len(rows) >= COPIED and hasattr(cursor, "copy"):
            # psycopg 3: with an INSERT of so many values, most of the time would go into its text.
            copying = cursor.copy(f"COPY {place} FROM STDIN")
            with connection.wrap_database_errors, copying as copy:
                for row in rows:
                    copy.write_row(row)
            return
        size = min(INSERTED, connection.ops.bulk_batch_size(fields, rows))
        values = f"({', '.join(['%s'] * len(fields))})"
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            # Nothing in it comes from outside: names of columns, and a place for each value.
            rows_of_values = ", ".join([values] * len(batch))
            sql = f"INSERT INTO {place} VALUES {rows_of_values}"  # noqa: S608 # nosec B608
            cursor.execute(sql, [value for row in batch for value in row])


def _prepared(
    field: Field[Any, Any], values: Sequence[Any], connection: BaseDatabaseWrapper
) -> list[Any]:
    """Return the values of one column for the database; a value that all share is prepared once."""
    first = values[0]
    if all(value is first for value in values):
        return [field.get_db_prep_save(first, connection)] * len(values)
    if connection.vendor == "postgresql" and all(type(value) in PLAIN for value in values):
        return list(values)
    return [field.get_db_prep_save(value, connection) for value in values]
