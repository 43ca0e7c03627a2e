"""What the URL of a list may filter by.

Django lets whoever may see a list filter it by any column of the model, with any lookup. That is a
way to read columns that are shown to nobody, one character at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.utils import get_fields_from_path
from django.db.models import Model

#: What the filters of Django append to the name of their field.
_LOOKUPS: Final = ("", "__exact", "__in", "__isnull", "__isempty", "__gte", "__lt")
_DATES: Final = ("__year", "__month", "__day")


def lookups(
    model: type[Model], list_filter: Sequence[Any], date_hierarchy: str | None
) -> Iterator[str]:
    """Yield the names of all parameters that the declared filters of a list understand."""
    for declared in list_filter:
        if isinstance(declared, type) and issubclass(declared, SimpleListFilter):
            yield declared.parameter_name or ""
            continue
        name = declared if isinstance(declared, str) else declared[0]
        field = get_fields_from_path(model, name)[-1]
        yield from (f"{name}{lookup}" for lookup in _LOOKUPS)
        if (target := getattr(field, "target_field", None)) is not None:
            yield from (f"{name}__{target.name}{lookup}" for lookup in _LOOKUPS)
    if date_hierarchy:
        yield from (f"{date_hierarchy}{part}" for part in _DATES)
