"""Which push requests, and the one way to move them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Q
from django.db.models.lookups import In
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone

from ..db.inserts import insert
from ..db.statements import Place, Statement
from ..states import FINAL, WAITING, Status, sources

if TYPE_CHECKING:
    from . import PushRequest


class AnyOf(In):
    """``IN``, but the list is one value where the database has arrays: each of hundreds of values
    has to be found a place and to be quoted."""

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[Any, ...]]:
        key, params = self.process_lhs(compiler, connection)
        if isinstance(self.rhs, Place):
            array, values = compiler.compile(self.rhs)
            return f"{key} = ANY({array})", (*params, *values)
        if not self.rhs:
            raise EmptyResultSet
        return f"{key} = ANY(%s)", (*params, self.rhs)


class PushRequestQuerySet(models.QuerySet["PushRequest"]):
    """Queries named after the words of the design."""

    def among(self, ids: Iterable[UUID] | Place) -> PushRequestQuerySet:
        """Those with one of these keys."""
        return self.filter(AnyOf(F("pk"), ids if isinstance(ids, Place) else list(ids)))

    def due(self, now: datetime) -> PushRequestQuerySet:
        """PENDING, and their time has come."""
        return self.filter(status=Status.PENDING, next_attempt_at__lte=now)

    def queued_before(self, before: datetime) -> PushRequestQuerySet:
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

    def unexpired(self, now: datetime | Place) -> PushRequestQuerySet:
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now))

    def final(self) -> PushRequestQuerySet:
        return self.filter(status__in=FINAL)

    def owned(self, owner: str) -> PushRequestQuerySet:
        """RUNNING under the claim of ``owner``."""
        return self.filter(status=Status.RUNNING, owner=owner)

    def insert(self, rows: Sequence[PushRequest]) -> None:
        """Insert new rows: ``bulk_create()`` without the columns that nobody has set.

        Most columns tell what becomes of a request and stand at the database's default in the
        beginning; to write them out would take most of the time.
        """
        defaults = self.model()
        columns = {}
        for field in self.model._meta.concrete_fields:
            name = field.attname
            values = [getattr(row, name) for row in rows]
            default = getattr(defaults, name)
            if (
                field.primary_key
                or not (field.null or field.has_db_default())
                or any(value != default for value in values)
            ):
                columns[name] = values
        insert(self.model, columns, using=self.db)
        for row in rows:
            row._state.adding, row._state.db = False, self.db

    def transition(self, to: Status, **fields: Any) -> int:
        """Move the selected rows that may enter ``to``, and return how many moved.

        This is the one guarded UPDATE of the package. Zero is an answer: somebody else was
        first. Whatever the state machine implies (owner, lease, end) is set here, so that the
        table's constraints hold whoever calls.
        """
        rows, values = self._moved(to, timezone.now(), fields)
        return rows.update(**values)

    def transition_statement(
        self, to: Status, *, returning: Sequence[str] = (), **fields: Any
    ) -> Statement:
        """Return :meth:`transition` for those who make the same one again and again.

        Each run gives it the time as ``now``. For ``returning`` see :class:`Statement`.
        """
        now = Place(self.model, "updated_at", "now")
        return Statement.of_update(*self._moved(to, now, fields), returning=returning)

    def _moved(
        self, to: Status, now: datetime | Place, fields: dict[str, Any]
    ) -> tuple[PushRequestQuerySet, dict[str, Any]]:
        """Return the rows that may enter ``to``, and all that changes with it."""
        if to is not Status.RUNNING:
            fields |= {"owner": "", "lease_expires_at": None}
        if to is Status.QUEUED:
            fields.setdefault("queued_at", now)
        fields["finished_at"] = now if to in FINAL else None
        fields.setdefault("updated_at", now)
        if to is not Status.PENDING:
            fields["next_attempt_at"] = None
        return self.filter(status__in=sources(to)), {"status": to, **fields}
