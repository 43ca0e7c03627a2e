"""Lists as a single value, on databases that have arrays."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.lookups import In
from django.db.models.sql.compiler import SQLCompiler

from .statements import Place


class AnyOf(In):
    """``IN``, but with the list as a single value if the database has arrays.

    Otherwise each of hundreds of values needs a placeholder of its own and has to be quoted.
    """

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
