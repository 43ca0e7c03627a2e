"""Fields that say the same whatever the project's REST framework settings are.

Those for input take one JSON type and convert no other into it. They know types only: what a value
must be besides is a rule of :class:`~django_pushjobs.submission.submissions.Submission`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from rest_framework import ISO_8601, serializers

from .times import parse_time


class StrictField(serializers.Field[Any, Any, Any, Any]):
    """The base of the fields below.

    :param schema: what OpenAPI says of the field besides its type.
    """

    default_error_messages: ClassVar[dict[str, Any]] = {
        "required": "is required",
        "null": "may not be null",
    }
    python_type: ClassVar[type]
    json_schema: ClassVar[Mapping[str, Any]]

    def __init__(self, *, schema: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.schema = {**self.json_schema, **(schema or {})}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, self.python_type):
            self.fail("invalid_type")
        return data


class StringField(StrictField):
    default_error_messages: ClassVar[dict[str, Any]] = {"invalid_type": "must be a string"}
    python_type = str
    json_schema: ClassVar[Mapping[str, Any]] = {"type": "string"}


class NameField(StringField):
    """A string that is not empty."""

    default_error_messages: ClassVar[dict[str, Any]] = {"blank": "may not be empty"}
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


class BooleanField(StrictField):
    default_error_messages: ClassVar[dict[str, Any]] = {"invalid_type": "must be true or false"}
    python_type = bool
    json_schema: ClassVar[Mapping[str, Any]] = {"type": "boolean"}


class IntegerField(StrictField):
    default_error_messages: ClassVar[dict[str, Any]] = {"invalid_type": "must be a whole number"}
    python_type = int
    json_schema: ClassVar[Mapping[str, Any]] = {"type": "integer"}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, bool):  # which Python takes for a number
            self.fail("invalid_type")
        if isinstance(data, float) and data.is_integer():
            # To JSON Schema 1.0 is whole, and some languages know no other numbers.
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


class UTCTimeField(serializers.DateTimeField):
    """A time in an answer: ISO 8601 in UTC, always."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format=ISO_8601, default_timezone=UTC, **kwargs)


def utc(time: datetime | None) -> str | None:
    """Return what :class:`UTCTimeField` makes of ``time``."""
    return None if time is None else time.astimezone(UTC).isoformat().replace("+00:00", "Z")
