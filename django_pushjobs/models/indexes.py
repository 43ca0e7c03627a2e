"""Indexes of a part of the rows."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement


class SparseIndex(models.Index):
    """An index without the rows that nobody searches for, such as those with an empty value.

    PostgreSQL understands that a search for ``'a'`` is not a search for ``''``. Other databases do
    not and would never use the index, so there it has all rows.
    """

    def create_sql(
        self,
        model: type[models.Model],
        schema_editor: BaseDatabaseSchemaEditor,
        using: str = "",
        **kwargs: Any,
    ) -> Statement:
        if schema_editor.connection.vendor == "postgresql":
            return super().create_sql(model, schema_editor, using, **kwargs)
        whole = models.Index(fields=self.fields, name=self.name)
        return whole.create_sql(model, schema_editor, using, **kwargs)
