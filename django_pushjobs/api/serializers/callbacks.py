"""Callback endpoints and callbacks, as they come in and as they are shown."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ...callbacks.endpoints import CHOICES
from ...exceptions import InvalidCallbackEndpoint
from ...models import (
    CallbackAttempt,
    CallbackEndpoint,
    CallbackEvent,
    CallbackStatus,
    DisabledReason,
    EndpointState,
    EventType,
)
from ...transport.destinations import MAX_URL
from ..bodies import Body
from ..fields import AwareTimeField, BooleanField, ListField, StringField, UTCTimeField


class EventTypesField(ListField):
    """Strings; the endpoints know which ones there are."""

    def to_internal_value(self, data: Any) -> list[str]:
        words: list[Any] = super().to_internal_value(data)
        return [word if isinstance(word, str) else "" for word in words]


_EVENT_TYPES = "The events that it gets; empty means all."


def _url(**kwargs: Any) -> StringField:
    return StringField(
        schema={"maxLength": MAX_URL, "format": "uri"},
        help_text="https, on the public internet, without credentials or fragment.",
        **kwargs,
    )


def _event_types() -> EventTypesField:
    return EventTypesField(
        required=False,
        schema={"items": {"type": "string", "enum": list(CHOICES)}},
        help_text=_EVENT_TYPES,
    )


class NewCallbackEndpoint(Body):
    """A URL that is to be called."""

    invalid = InvalidCallbackEndpoint

    url = _url()
    event_types = _event_types()


class CallbackEndpointChange(Body):
    """What is to be different."""

    invalid = InvalidCallbackEndpoint

    url = _url(required=False)
    event_types = _event_types()


class CallbackReplay(Body):
    """What is to be sent again."""

    invalid = InvalidCallbackEndpoint

    since = AwareTimeField(help_text="Events at this time or later; it has an offset.")
    failed_only = BooleanField(required=False, help_text="Leave out what was delivered.")


class CallbackEndpointSerializer(serializers.Serializer[CallbackEndpoint]):
    """A URL that is called about your push requests. Its secret is shown only when it is made."""

    id = serializers.UUIDField(read_only=True)
    url = serializers.CharField(read_only=True)
    event_types = serializers.ListField(
        child=serializers.ChoiceField(choices=CHOICES),
        read_only=True,
        help_text=_EVENT_TYPES,
    )
    state = serializers.ChoiceField(
        choices=EndpointState.choices,
        read_only=True,
        help_text="Events for a paused or unverified one wait; those for a disabled one are set "
        "aside.",
    )
    reason = serializers.ChoiceField(
        choices=[*DisabledReason.choices, ("", "")], read_only=True, help_text="Why it is disabled."
    )
    verified_at = UTCTimeField(
        read_only=True, allow_null=True, help_text="Its URL has answered the challenge."
    )
    disabled_at = UTCTimeField(read_only=True, allow_null=True)
    failing_since = UTCTimeField(
        read_only=True, allow_null=True, help_text="Every attempt has failed since then."
    )
    resting_until = UTCTimeField(
        read_only=True,
        allow_null=True,
        help_text="Not called before then: it asked for that, or has failed.",
    )
    last_attempt_at = UTCTimeField(read_only=True, allow_null=True)
    previous_secret_expires_at = UTCTimeField(
        read_only=True, allow_null=True, help_text="Until then, the previous secret signs as well."
    )
    created_at = UTCTimeField(read_only=True)


class CallbackSecretSerializer(CallbackEndpointSerializer):
    """An endpoint with its new secret. Keep it: it is not shown again."""

    secret = serializers.CharField(
        read_only=True, help_text="`whsec_` and base64, as the libraries expect it."
    )


class CallbackEventSerializer(serializers.Serializer[CallbackEvent]):
    """A callback and its state."""

    id = serializers.UUIDField(read_only=True, help_text="Its `webhook-id`.")
    endpoint_id = serializers.UUIDField(read_only=True)
    push_request_id = serializers.UUIDField(
        source="request_id",
        read_only=True,
        allow_null=True,
        help_text="The push request that it is about.",
    )
    type = serializers.ChoiceField(choices=EventType.choices, read_only=True)
    status = serializers.ChoiceField(choices=CallbackStatus.choices, read_only=True)
    attempts = serializers.IntegerField(read_only=True, help_text="Since the last replay.")
    next_attempt_at = UTCTimeField(read_only=True, allow_null=True)
    created_at = UTCTimeField(read_only=True, help_text="When the event happened.")
    finished_at = UTCTimeField(read_only=True, allow_null=True)


class CallbackAttemptSerializer(serializers.Serializer[CallbackAttempt]):
    """One attempt to deliver a callback."""

    number = serializers.IntegerField(read_only=True, help_text="Since the last replay.")
    started_at = UTCTimeField(read_only=True)
    latency = serializers.IntegerField(read_only=True, help_text="Milliseconds.")
    status_code = serializers.IntegerField(
        read_only=True, allow_null=True, help_text="null if there was no answer."
    )
    error_code = serializers.CharField(
        read_only=True, help_text="Why there was none, for programs."
    )
    response = serializers.CharField(read_only=True, help_text="The first part of the answer.")


class ReplayedSerializer(serializers.Serializer[Any]):
    """How many callbacks are sent again."""

    replayed = serializers.IntegerField(read_only=True)
