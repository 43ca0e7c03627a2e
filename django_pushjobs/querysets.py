"""Which push requests, and the one way to move them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import connections, models, transaction
from django.db.models import Q
from django.utils import timezone

from .states import FINAL, WAITING, Status, sources

if TYPE_CHECKING:
    from .models import PushRequest


#: Rows that one INSERT writes at most.
INSERTED = 1_000


class PushRequestQuerySet(models.QuerySet["PushRequest"]):
    """Queries named after the words of the design."""

    def due(self, now: datetime) -> PushRequestQuerySet:
        """PENDING, and their time has come."""
        return self.filter(status=Status.PENDING, next_attempt_at__lte=now)

    def stranded(self, before: datetime) -> PushRequestQuerySet:
        """QUEUED since before ``before``: their job may be lost."""
        return self.filter(status=Status.QUEUED, queued_at__lt=before)

    def stale(self, now: datetime) -> PushRequestQuerySet:
        """RUNNING, and the lease of their worker ran out."""
        return self.filter(status=Status.RUNNING, lease_expires_at__lt=now)

    def overdue(self, now: datetime) -> PushRequestQuerySet:
        """Waiting, and already worth nothing."""
        return self.filter(status__in=WAITING, expires_at__lte=now)

    def whole(self) -> PushRequestQuerySet:
        """As they were asked for: without the parts of large ones."""
        return self.filter(parent=None)

    def unexpired(self, now: datetime) -> PushRequestQuerySet:
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now))

    def final(self) -> PushRequestQuerySet:
        return self.filter(status__in=FINAL)

    def owned(self, owner: str) -> PushRequestQuerySet:
        """RUNNING under the claim of ``owner``."""
        return self.filter(status=Status.RUNNING, owner=owner)

    def insert(self, rows: Sequence[PushRequest]) -> None:
        """Insert new rows: ``bulk_create()`` without the columns that nobody has set.

        Most columns tell what becomes of a request and stand at the database's default in the
        beginning; to write them out would take most of the time. So would it to prepare each value
        of its own: most rows of a batch have the same one.
        """
        defaults = self.model()
        fields = [
            field
            for field in self.model._meta.concrete_fields
            if field.primary_key
            or not (field.null or field.has_db_default())
            or any(getattr(row, field.attname) != getattr(defaults, field.attname) for row in rows)
        ]
        connection = connections[self.db]
        columns = [connection.ops.quote_name(str(field.column)) for field in fields]
        place = f"{connection.ops.quote_name(self.model._meta.db_table)} ({', '.join(columns)})"
        size = min(INSERTED, connection.ops.bulk_batch_size(fields, rows))
        with transaction.atomic(using=self.db, savepoint=False), connection.cursor() as cursor:
            for start in range(0, len(rows), size):
                batch = rows[start : start + size]
                _write(cursor, place, [_prepared(field, batch, connection) for field in fields])
        for row in rows:
            row._state.adding, row._state.db = False, self.db

    def transition(self, to: Status, **fields: Any) -> int:
        """Move the selected rows that may enter ``to``, and return how many moved.

        This is the one guarded UPDATE of the package. Zero is an answer: somebody else was
        first. Whatever the state machine implies (owner, lease, end) is set here, so that the
        table's constraints hold whoever calls.
        """
        now = timezone.now()
        if to is not Status.RUNNING:
            fields |= {"owner": "", "lease_expires_at": None}
        if to is Status.QUEUED:
            fields.setdefault("queued_at", now)
        fields["finished_at"] = now if to in FINAL else None
        if to is not Status.PENDING:
            fields["next_attempt_at"] = None
        return self.filter(status__in=sources(to)).update(status=to, updated_at=now, **fields)


def _write(cursor: Any, place: str, columns: Sequence[list[Any]]) -> None:
    """Write rows, given by column, into ``place``: a table and its columns."""
    rows = zip(*columns, strict=True)
    if cursor.db.vendor == "postgresql" and hasattr(cursor, "copy"):
        # psycopg 3: an INSERT of so many values would mostly wait for its own text.
        with cursor.copy(f"COPY {place} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    # Nothing in it comes from outside: names of our columns, and a place for each value.
    values = f"({', '.join(['%s'] * len(columns))})"
    sql = f"INSERT INTO {place} VALUES {', '.join([values] * len(columns[0]))}"  # noqa: S608
    cursor.execute(sql, [value for row in rows for value in row])


def _prepared(
    field: models.Field[Any, Any], rows: Sequence[PushRequest], connection: Any
) -> list[Any]:
    """Return the values of one column for the database; what many rows share is prepared once."""
    values = [getattr(row, field.attname) for row in rows]
    first = values[0]
    if all(value is first for value in values):
        return [field.get_db_prep_save(first, connection)] * len(values)
    return [field.get_db_prep_save(value, connection) for value in values]
