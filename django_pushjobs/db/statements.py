"""Statements of which only the values change: compiled to SQL once.

Django compiles a queryset each time it is used, which takes longer than the database does for an
UPDATE of many columns. Code that runs the same few statements a hundred times a second writes a
:class:`Place` where a value goes, and keeps the :class:`Statement`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Expression, Field, Model, QuerySet
from django.db.models.sql import UpdateQuery
from django.db.models.sql.compiler import SQLCompiler


class Place(Expression):
    """Stands in a queryset for a value that each run of the statement provides.

    :param column: of ``model``, whose values it is like.
    :param name: under which the value is given; by default that of the column.
    :param many: a list, for :class:`~.arrays.AnyOf`.
    """

    def __init__(
        self, model: type[Model], column: str, name: str = "", *, many: bool = False
    ) -> None:
        self.like = cast("Field[Any, Any]", model._meta.get_field(column))
        super().__init__(output_field=self.like)
        self.name = name or column
        self.many = many

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, Any]:
        return (self.mark if self.many else "%s"), [self]

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, Any]:
        # A list is one value there.
        return "%s", [self]

    @property
    def mark(self) -> str:
        """The placeholder in the SQL of a list whose length is not known yet."""
        return f"/*{self.name}*/"

    def prepared(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        """Return ``value`` as the database takes it."""
        if self.many:
            return [self.like.get_db_prep_save(item, connection) for item in value]
        return self.like.get_db_prep_save(value, connection)


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with places for values. Works on any connection to the database that it was made for."""

    sql: str
    parameters: tuple[Any, ...]
    #: Position of a column -> its expression, and what makes Python's values of the database's.
    converters: Mapping[int, tuple[Any, Any]]

    @classmethod
    def of_update(
        cls, rows: QuerySet[Any], values: Mapping[str, Any], *, returning: Sequence[str] = ()
    ) -> Statement:
        """Return ``rows.update(**values)`` as a statement.

        :param returning: columns, as the update leaves them, that :meth:`fetch` yields of the
            rows it changed. The database must be one that :func:`can_return` them.
        """
        query = cast(UpdateQuery, rows.query.chain(UpdateQuery))
        query.add_update_values(dict(values))
        sql, parameters = query.get_compiler(using=rows.db).as_sql()
        if not returning:
            return cls(sql, tuple(parameters), {})
        compiler = rows.order_by().values_list(*returning).query.get_compiler(using=rows.db)
        compiler.pre_sql_setup()
        columns = ", ".join(column for _, (column, _), _ in compiler.select)
        return cls(f"{sql} RETURNING {columns}", tuple(parameters), _converters(compiler))

    @classmethod
    def of_select(cls, rows: QuerySet[Any, Any]) -> Statement:
        """Return ``rows.values_list(...)`` as a statement."""
        compiler = rows.query.get_compiler(using=rows.db)
        sql, parameters = compiler.as_sql()
        return cls(sql, tuple(parameters), _converters(compiler))

    def run(self, *, using: str, **given: Any) -> int:
        """Run it with the values ``given``; return how many rows it has changed."""
        connection = connections[using]
        with connection.cursor() as cursor:
            cursor.execute(*self._bound(connection, given))
            return int(cursor.rowcount)

    def fetch(self, *, using: str, **given: Any) -> Iterator[list[Any]]:
        """Run it with the values ``given``; yield the rows it finds."""
        connection = connections[using]
        with connection.cursor() as cursor:
            cursor.execute(*self._bound(connection, given))
            rows = cursor.fetchall()
        for row in map(list, rows):
            for position, (expression, converters) in self.converters.items():
                for converter in converters:
                    row[position] = converter(row[position], expression, connection)
            yield row

    def _bound(
        self, connection: BaseDatabaseWrapper, given: Mapping[str, Any]
    ) -> tuple[str, list[Any]]:
        sql = self.sql
        values: list[Any] = []
        for parameter in self.parameters:
            if not isinstance(parameter, Place):
                values.append(parameter)
                continue
            value = parameter.prepared(given[parameter.name], connection)
            if parameter.many and parameter.mark in sql:
                sql = sql.replace(parameter.mark, ", ".join(["%s"] * len(value)), 1)
                values += value
            else:
                values.append(value)
        return sql, values


def can_return(using: str) -> bool:
    """Return whether the database gives back what an UPDATE has made of its rows."""
    connection = connections[using]
    # MariaDB does so for an INSERT only.
    return connection.vendor in {"postgresql", "sqlite"} and bool(
        connection.features.can_return_columns_from_insert
    )


def _converters(compiler: SQLCompiler) -> dict[int, tuple[Any, Any]]:
    converters = compiler.get_converters([column for column, *_ in compiler.select])
    return {position: (expression, made) for position, (made, expression) in converters.items()}
