"""Rows are deleted together with what depends on them, without being read first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db.models import CASCADE, DO_NOTHING, F, ForeignObjectRel, Model, QuerySet
from django.db.models.signals import post_delete, pre_delete

from .arrays import AnyOf

#: Keys in one statement.
PAGE: Final = 1_000


def delete(model: type[Model], ids: Sequence[Any], *, using: str) -> None:
    """Delete the rows of ``model`` with these keys, in the transaction that runs.

    Does what ``QuerySet.delete()`` does. That reads every row that others could depend on, with all
    its columns; this reads keys. What a project adds is respected: signals about a deletion, and
    relations that do something else than cascade, are left to Django.
    """
    rows = model._base_manager.using(using).filter(AnyOf(F("pk"), list(ids)))
    relations = _relations(model)
    if _is_special(model, relations):
        rows.delete()
        return
    for relation in relations:
        if relation.on_delete is CASCADE:
            child = relation.related_model
            children = child._base_manager.using(using)
            _delete_all(children.filter(AnyOf(F(relation.field.attname), list(ids))))
    rows._raw_delete(using)


def _delete_all(rows: QuerySet[Any]) -> None:
    if not _relations(rows.model):
        # Django reads none of them either.
        rows.delete()
        return
    ids = list(rows.values_list("pk", flat=True))
    for start in range(0, len(ids), PAGE):
        delete(rows.model, ids[start : start + PAGE], using=rows.db)


def _relations(model: type[Model]) -> list[ForeignObjectRel]:
    """Return the foreign keys that lead to ``model``."""
    fields = model._meta.get_fields(include_hidden=True)
    return [
        field
        for field in fields
        if isinstance(field, ForeignObjectRel) and (field.one_to_many or field.one_to_one)
    ]


def _is_special(model: type[Model], relations: Sequence[ForeignObjectRel]) -> bool:
    return (
        pre_delete.has_listeners(model)
        or post_delete.has_listeners(model)
        or any(relation.on_delete not in {CASCADE, DO_NOTHING} for relation in relations)
    )
