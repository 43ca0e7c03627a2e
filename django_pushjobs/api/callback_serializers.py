"""Callback endpoints and callbacks, from JSON and to JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.fields import SkipField, empty

from ..callbacks.endpoints import CHOICES
from ..exceptions import FieldError, InvalidCallbackEndpoint
from ..models import (
    CallbackAttempt,
    CallbackEndpoint,
    CallbackEvent,
    CallbackStatus,
    DisabledReason,
    EndpointState,
    EventType,
)
from ..transport.destinations import MAX_URL
from .fields import ListField, StrictField, StringField, TimeField, UTCTimeField


class FlagField(StrictField):
    default_error_messages = {"invalid_type": "must be true or false"}  # noqa: RUF012
    python_type = bool
    json_schema = {"type": "boolean"}  # noqa: RUF012


class _Body(serializers.Serializer[Any]):
    """What comes in as an object: its members, of which none may be unknown."""

    def read(self, body: Any) -> dict[str, Any]:
        """Return the members of ``body`` that are there.

        :raises InvalidCallbackEndpoint: every member at fault is named.
        """
        if not isinstance(body, dict):
            raise InvalidCallbackEndpoint([FieldError("", "must be an object", "invalid_type")])
        errors = [
            FieldError(f"/{name[:64]}", "is not known here", "unknown_field")
            for name in body
            if name not in self.fields
        ]
        values: dict[str, Any] = {}
        for name, field in self.fields.items():
            try:
                values[name] = field.run_validation(body.get(name, empty))
            except SkipField:
                pass
            except ValidationError as error:
                [detail] = error.detail
                code = detail.code if isinstance(detail, ErrorDetail) else "invalid"
                errors.append(FieldError(f"/{name}", str(detail), code or "invalid"))
        if errors:
            raise InvalidCallbackEndpoint(errors)
        return values


class EventTypesField(ListField):
    """Words; which ones there are is a rule of the endpoints."""

    def to_internal_value(self, data: Any) -> list[str]:
        words: list[Any] = super().to_internal_value(data)
        return [word if isinstance(word, str) else "" for word in words]


_TYPES = {"items": {"type": "string", "enum": list(CHOICES)}}
_URL_HELP = "https, on the public internet, without credentials and fragment."


@extend_schema_serializer(component_name="NewCallbackEndpoint")
class NewEndpointSerializer(_Body):
    """A URL to be told at."""

    url = StringField(schema={"maxLength": MAX_URL, "format": "uri"}, help_text=_URL_HELP)
    event_types = EventTypesField(
        required=False, schema=_TYPES, help_text="What it hears of; none means everything."
    )


@extend_schema_serializer(component_name="CallbackEndpointChange")
class EndpointChangeSerializer(_Body):
    """What shall be different."""

    url = StringField(
        required=False, schema={"maxLength": MAX_URL, "format": "uri"}, help_text=_URL_HELP
    )
    event_types = EventTypesField(
        required=False, schema=_TYPES, help_text="What it hears of; none means everything."
    )


@extend_schema_serializer(component_name="CallbackReplay")
class ReplaySerializer(_Body):
    """What shall be sent again."""

    since = TimeField(help_text="What happened at this time or later; it has an offset.")
    failed_only = FlagField(required=False, help_text="Leave out what was delivered.")

    def read(self, body: Any) -> dict[str, Any]:
        values = super().read(body)
        since: datetime = values["since"]
        if timezone.is_naive(since):
            raise InvalidCallbackEndpoint(
                [FieldError("/since", "must have an offset, such as Z", "naive")]
            )
        return values


class CallbackEndpointSerializer(serializers.Serializer[CallbackEndpoint]):
    """A URL that is told of your push requests. Its secret is shown once, where it was made."""

    id = serializers.UUIDField(read_only=True)
    url = serializers.CharField(read_only=True)
    event_types = serializers.ListField(
        child=serializers.ChoiceField(choices=CHOICES),
        read_only=True,
        help_text="What it hears of; none means everything.",
    )
    state = serializers.ChoiceField(
        choices=EndpointState.choices,
        read_only=True,
        help_text="Events of a paused one wait; those of a disabled one are set aside.",
    )
    reason = serializers.ChoiceField(
        choices=[*DisabledReason.choices, ("", "")], read_only=True, help_text="Why it is disabled."
    )
    disabled_at = UTCTimeField(read_only=True, allow_null=True)
    failing_since = UTCTimeField(
        read_only=True, allow_null=True, help_text="Nothing got through since then."
    )
    resting_until = UTCTimeField(
        read_only=True, allow_null=True, help_text="Left alone until then, as it asked or needs."
    )
    last_attempt_at = UTCTimeField(read_only=True, allow_null=True)
    previous_secret_expires_at = UTCTimeField(
        read_only=True, allow_null=True, help_text="Until then the secret before signs as well."
    )
    created_at = UTCTimeField(read_only=True)


class CallbackSecretSerializer(CallbackEndpointSerializer):
    """An endpoint with its new secret. Keep it: it is never shown again."""

    secret = serializers.CharField(
        read_only=True, help_text="`whsec_` and base64, as the libraries want it."
    )


class CallbackEventSerializer(serializers.Serializer[CallbackEvent]):
    """One callback, and where it stands."""

    id = serializers.UUIDField(read_only=True, help_text="Its `webhook-id`.")
    endpoint_id = serializers.UUIDField(read_only=True)
    push_request_id = serializers.UUIDField(
        source="request_id", read_only=True, allow_null=True, help_text="What it is about."
    )
    type = serializers.ChoiceField(choices=EventType.choices, read_only=True)
    status = serializers.ChoiceField(choices=CallbackStatus.choices, read_only=True)
    attempts = serializers.IntegerField(read_only=True, help_text="Since the last replay.")
    next_attempt_at = UTCTimeField(read_only=True, allow_null=True)
    created_at = UTCTimeField(read_only=True, help_text="When it happened.")
    finished_at = UTCTimeField(read_only=True, allow_null=True)


class CallbackAttemptSerializer(serializers.Serializer[CallbackAttempt]):
    """One attempt at a callback."""

    number = serializers.IntegerField(read_only=True, help_text="Since the last replay.")
    started_at = UTCTimeField(read_only=True)
    latency = serializers.IntegerField(read_only=True, help_text="Milliseconds.")
    status_code = serializers.IntegerField(
        read_only=True, allow_null=True, help_text="null where there was no answer."
    )
    error_code = serializers.CharField(read_only=True, help_text="Why there was none, in a word.")
    response = serializers.CharField(read_only=True, help_text="The first part of the answer.")


class ReplayedSerializer(serializers.Serializer[Any]):
    """How much is sent again."""

    replayed = serializers.IntegerField(read_only=True)
