"""Fields that behave the same whatever the project's REST framework settings are.

Those for input accept one JSON type and convert nothing to it. They check the type only: what else
a value must be is a rule of whoever takes it, such as
:class:`~django_pushjobs.submission.submissions.Submission`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, NoReturn
from uuid import UUID

from django.utils import timezone
from rest_framework import ISO_8601, serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from ..conf import conf
from .times import parse_time


class StrictField(serializers.Field[Any, Any, Any, Any]):
    """The base of the fields below.

    :param schema: what OpenAPI says about the field besides its type.
    """

    default_error_messages: ClassVar[dict[str, Any]] = {
        "required": "is required",
        "null": "must not be null",
    }
    python_type: ClassVar[type]
    json_schema: ClassVar[Mapping[str, Any]]
    #: The error of a null that is not allowed.
    null_error: ClassVar[str] = "null"

    def __init__(self, *, schema: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.schema = {**self.json_schema, **(schema or {})}

    def fail(self, key: str, **kwargs: Any) -> NoReturn:
        super().fail(self.null_error if key == "null" else key, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, self.python_type):
            self.fail("invalid_type")
        return data


class AnyField(StrictField):
    """A value whose type somebody else checks."""

    python_type = object
    json_schema: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_null=True, **kwargs)


class StringField(StrictField):
    default_error_messages: ClassVar[dict[str, Any]] = {"invalid_type": "must be a string"}
    python_type = str
    json_schema: ClassVar[Mapping[str, Any]] = {"type": "string"}


class NameField(StringField):
    """A string that is not empty."""

    default_error_messages: ClassVar[dict[str, Any]] = {"blank": "must not be empty"}
    json_schema: ClassVar[Mapping[str, Any]] = {"type": "string", "minLength": 1}

    def to_internal_value(self, data: Any) -> str:
        name: str = super().to_internal_value(data)
        if not name:
            self.fail("blank")
        return name


class TimeField(StringField):
    default_error_messages: ClassVar[dict[str, Any]] = {
        "invalid": "must be a time such as 2030-01-31T12:00:00Z (RFC 3339)"
    }
    json_schema: ClassVar[Mapping[str, Any]] = {"type": "string", "format": "date-time"}

    def to_internal_value(self, data: Any) -> datetime:
        try:
            return parse_time(super().to_internal_value(data))
        except ValueError:
            self.fail("invalid")


class AwareTimeField(TimeField):
    """A time that names its offset."""

    default_error_messages: ClassVar[dict[str, Any]] = {"naive": "must have an offset, such as Z"}

    def to_internal_value(self, data: Any) -> datetime:
        time = super().to_internal_value(data)
        if timezone.is_naive(time):
            self.fail("naive")
        return time


class BooleanField(StrictField):
    default_error_messages: ClassVar[dict[str, Any]] = {"invalid_type": "must be true or false"}
    python_type = bool
    json_schema: ClassVar[Mapping[str, Any]] = {"type": "boolean"}


class IntegerField(StrictField):
    default_error_messages: ClassVar[dict[str, Any]] = {"invalid_type": "must be a whole number"}
    python_type = int
    json_schema: ClassVar[Mapping[str, Any]] = {"type": "integer"}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, bool):  # a number to Python
            self.fail("invalid_type")
        if isinstance(data, float) and data.is_integer():
            # 1.0 is whole to JSON Schema, and some languages have no other numbers.
            return int(data)
        return super().to_internal_value(data)


class ObjectField(StrictField):
    default_error_messages: ClassVar[dict[str, Any]] = {"invalid_type": "must be an object"}
    python_type = dict
    json_schema: ClassVar[Mapping[str, Any]] = {"type": "object", "additionalProperties": {}}


class ListField(StrictField):
    default_error_messages: ClassVar[dict[str, Any]] = {"invalid_type": "must be a list"}
    python_type = list
    json_schema: ClassVar[Mapping[str, Any]] = {"type": "array", "items": {}}


class BatchField(ListField):
    """What one call names many of: 1 to ``MAX_BATCH`` items.

    :param of: the class of the items, for OpenAPI; who reads the batch reads them.
    """

    default_error_messages: ClassVar[dict[str, Any]] = {
        "empty": "must not be empty",
        "too_many": "must not have more than {limit} items",
    }
    json_schema: ClassVar[Mapping[str, Any]] = {"type": "array", "items": {}, "minItems": 1}
    null_error = "invalid_type"

    def __init__(
        self, *, of: type[serializers.Serializer[Any]] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.of = of

    def to_internal_value(self, data: Any) -> list[Any]:
        items: list[Any] = super().to_internal_value(data)
        if not items:
            self.fail("empty")
        if len(items) > (limit := conf().MAX_BATCH):
            self.fail("too_many", limit=limit)
        return items


class IdsField(BatchField):
    """Ids of rows."""

    def to_internal_value(self, data: Any) -> list[UUID]:
        ids: list[UUID] = []
        errors: dict[str, Any] = {}
        for index, text in enumerate(super().to_internal_value(data)):
            try:
                ids.append(UUID(text if isinstance(text, str) else ""))
            except ValueError:
                errors[str(index)] = [ErrorDetail("is not a UUID", code="invalid_id")]
        if errors:
            raise ValidationError(errors)
        return ids


class UTCTimeField(serializers.DateTimeField):
    """A time in an answer: ISO 8601 in UTC, always."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format=ISO_8601, default_timezone=UTC, **kwargs)


def utc(time: datetime | None) -> str | None:
    """Return what :class:`UTCTimeField` makes of ``time``."""
    return None if time is None else time.astimezone(UTC).isoformat().replace("+00:00", "Z")
