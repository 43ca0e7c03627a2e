"""Bodies of calls, read strictly: nothing is converted, and unknown members are refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.fields import Field, empty

from ..exceptions import MAX_ERRORS, FieldError, Invalid, pointer_to


class Body(serializers.Serializer[Any]):
    """An object in JSON as a call sends it; its fields are the members that it may have."""

    #: The error that names what is wrong with it.
    invalid: ClassVar[type[Invalid]]


def read(shape: type[Body], body: Any) -> dict[str, Any]:
    """Return the members of ``body``, a value from a JSON parser, as the fields of ``shape`` read
    them. An optional member that is not sent is not returned either.

    :raises Invalid: as ``shape.invalid``; it names what is wrong.
    """
    values, errors = members(shape, body)
    if errors:
        raise shape.invalid(errors)
    return values


def members(shape: type[Body], body: Any) -> tuple[dict[str, Any], list[FieldError]]:
    """Return those members of ``body`` that can be read, and what is wrong with the others.

    :raises Invalid: as ``shape.invalid``; it is not an object.
    """
    if not isinstance(body, dict):
        raise shape.invalid([FieldError("", "must be an object", "invalid_type")])
    fields = _fields(shape)
    unknown = islice((name for name in body if name not in fields), MAX_ERRORS + 1)
    errors = [
        FieldError(pointer_to(name), "is not a known field", "unknown_field") for name in unknown
    ]
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name not in body and not field.required:
            continue
        try:
            values[name] = field.run_validation(body.get(name, empty))
        except ValidationError as error:
            errors += _errors(pointer_to(name), error.detail)
    return values, errors


@cache
def _fields(shape: type[Body]) -> Mapping[str, Field[Any, Any, Any, Any]]:
    # Fields keep nothing of what they read, and take a while to copy.
    return dict(shape().fields)


def _errors(pointer: str, detail: Any) -> Iterator[FieldError]:
    """Yield what REST framework says in the ``detail`` of a :class:`ValidationError`."""
    if isinstance(detail, Mapping):
        for name, nested in detail.items():
            yield from _errors(pointer + pointer_to(name), nested)
    else:
        for one in detail:
            code = one.code if isinstance(one, ErrorDetail) else None
            yield FieldError(pointer, str(one), code or "invalid")
