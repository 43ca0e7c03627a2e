"""What OpenAPI says of the callback endpoints, and of the callbacks themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiResponse,
)

from ...models import DisabledReason, EventType
from ...states import FINAL
from ..callback_serializers import (
    CallbackAttemptSerializer,
    CallbackEndpointSerializer,
    CallbackEventSerializer,
    CallbackSecretSerializer,
    EndpointChangeSerializer,
    NewEndpointSerializer,
    ReplayedSerializer,
    ReplaySerializer,
)
from . import document

TAG: Final = "Callbacks"

_UNAVAILABLE = document._retry_after(503)


_Method = TypeVar("_Method", bound=Callable[..., Any])


def _operation(
    operation_id: str, summary: str, description: str, responses: Any, **more: Any
) -> Callable[[_Method], _Method]:
    parameters = [*more.pop("parameters", ()), _UNAVAILABLE]
    return document._operation(
        operation_id=operation_id,
        summary=summary,
        description=description,
        responses=responses,
        parameters=parameters,
        tags=[TAG],
        **more,
    )


register = _operation(
    "registerCallbackEndpoint",
    "Register an endpoint",
    "The answer holds its secret, this once. The URL must be https, and its host on the public "
    "internet; that is checked now and at every call.",
    document._answers(201, CallbackSecretSerializer, "Registered.", 400, 409, 413, 415),
    request=NewEndpointSerializer,
    parameters=[document._location(201)],
    examples=[
        OpenApiExample(
            "Of everything that ends",
            value={"url": "https://shop.example/pushes"},
            request_only=True,
        )
    ],
)
list_endpoints = _operation(
    "listCallbackEndpoints",
    "List your endpoints",
    "With their state, and the reason where one is disabled.",
    document._answers(200, CallbackEndpointSerializer(many=True), "A page.", 400),
)
retrieve_endpoint = _operation(
    "getCallbackEndpoint",
    "See how one is doing",
    "Its state, since when it fails, and until when it is left alone.",
    document._answers(200, CallbackEndpointSerializer, "Its state.", 404),
    parameters=[document.ID],
)
change = _operation(
    "changeCallbackEndpoint",
    "Change one",
    "What is not given stays as it is, and so do its state and its secret.",
    document._answers(200, CallbackEndpointSerializer, "As it is now.", 400, 404, 413, 415),
    request=EndpointChangeSerializer,
    parameters=[document.ID],
)
delete = _operation(
    "deleteCallbackEndpoint",
    "Delete one",
    "With its callbacks: those that wait are not sent.",
    {
        **document._answers(204, None, "Deleted.", 404),
        204: OpenApiResponse(description="Deleted."),
    },
    request=None,
    parameters=[document.ID],
)
rotate = _operation(
    "rotateCallbackSecret",
    "Give one a new secret",
    "The answer holds it, this once. Until `previous_secret_expires_at` callbacks are signed with "
    "the one before it as well.",
    document._answers(200, CallbackSecretSerializer, "With the new secret.", 404),
    request=None,
    parameters=[document.ID],
)
pause = _operation(
    "pauseCallbackEndpoint",
    "Pause one",
    "It is not called until it is resumed; its callbacks wait. Repeating is no error.",
    document._answers(200, CallbackEndpointSerializer, "As it is now.", 404),
    request=None,
    parameters=[document.ID],
)
resume = _operation(
    "resumeCallbackEndpoint",
    "Resume one",
    "Whether it was paused or disabled. What happened while it was disabled is not sent by itself: "
    "replay it.",
    document._answers(200, CallbackEndpointSerializer, "As it is now.", 404),
    request=None,
    parameters=[document.ID],
)
test = _operation(
    "testCallbackEndpoint",
    "Send it a test",
    "Of the type `push.endpoint.test`; read its attempts a moment later.",
    document._answers(202, CallbackEventSerializer, "On its way.", 404, 409),
    request=None,
    parameters=[document.ID],
)
replay_since = _operation(
    "replayCallbacks",
    "Send again what happened since a time",
    "With the same ids and bodies. What waits for an attempt anyway is not touched.",
    document._answers(202, ReplayedSerializer, "On their way.", 400, 404, 409, 413, 415),
    request=ReplaySerializer,
    parameters=[document.ID],
)
list_events = _operation(
    "listCallbacks",
    "List what it was told",
    "Newest first, in pages, for as long as callbacks are kept.",
    document._answers(200, CallbackEventSerializer(many=True), "A page.", 400, 404),
    parameters=[document.ID],
)
retrieve_event = _operation(
    "getCallback",
    "See where a callback stands",
    "By its `webhook-id`.",
    document._answers(200, CallbackEventSerializer, "Its state.", 404),
    parameters=[document.ID],
)
list_attempts = _operation(
    "listCallbackAttempts",
    "Read its attempts",
    "With their status, their time, and the first part of each answer.",
    document._answers(200, CallbackAttemptSerializer(many=True), "All of them.", 404),
    parameters=[document.ID],
)
replay = _operation(
    "replayCallback",
    "Send it again",
    "With the same id and body. One that waits for an attempt anyway is not touched.",
    document._answers(202, CallbackEventSerializer, "On its way.", 404, 409),
    request=None,
    parameters=[document.ID],
)

#: As a reader meets them.
ORDER: Final = (
    *("create", "list", "retrieve", "partial_update", "destroy", "rotate", "pause", "resume"),
    *("test", "events", "replay", "attempts"),
)


# --- The callbacks themselves -----------------------------------------------------------------

_TIME: Final = {"type": "string", "format": "date-time"}
_UUID: Final = {"type": "string", "format": "uuid"}

_REQUEST: Final = {
    "type": "object",
    "required": ["id", "reference", "status", "backend", "counts", "error_code"],
    "properties": {
        "id": {**_UUID, "description": "Of the push request."},
        "reference": {"type": "string", "description": "Your own name for it."},
        "status": {"type": "string", "enum": sorted(FINAL)},
        "backend": {"type": "string"},
        "counts": {"$ref": "#/components/schemas/Counts"},
        "error_code": {"type": ["string", "null"], "description": "Why it did not succeed."},
    },
}
_ENDPOINT: Final = {
    "type": "object",
    "required": ["endpoint_id"],
    "properties": {
        "endpoint_id": _UUID,
        "reason": {"type": "string", "enum": list(DisabledReason.values)},
        "failing_since": {"anyOf": [_TIME, {"type": "null"}]},
        "test": {"type": "boolean"},
    },
}


def _webhook(event_type: EventType, summary: str, data: dict[str, Any]) -> dict[str, Any]:
    body = {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"type": "string", "const": event_type.value},
            "timestamp": {**_TIME, "description": "When it happened."},
            "data": data,
        },
    }
    headers = {
        "webhook-id": "The id of the event: the same at every attempt.",
        "webhook-timestamp": "Unix seconds of this attempt.",
        "webhook-signature": "`v1,` and base64; several with blanks between them.",
    }
    return {
        "post": {
            "summary": summary,
            "description": (
                "Standard Webhooks 1.0.0: verify the signature over id, timestamp and body, and "
                "answer with any 2xx within 15 seconds."
            ),
            "tags": [TAG],
            "parameters": [
                {
                    "name": name,
                    "in": "header",
                    "required": True,
                    "description": description,
                    "schema": {"type": "string"},
                }
                for name, description in headers.items()
            ],
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": {
                "2XX": {"description": "Taken over."},
                "410": {"description": "Do not call any more: disables the endpoint."},
            },
        }
    }


#: As plain data: what the generator offers for them builds on the project's own settings.
WEBHOOKS: Final = {
    EventType.COMPLETED.value: _webhook(EventType.COMPLETED, "It was pushed", _REQUEST),
    EventType.EXPIRED.value: _webhook(EventType.EXPIRED, "It has expired", _REQUEST),
    EventType.CANCELED.value: _webhook(EventType.CANCELED, "It was canceled", _REQUEST),
    EventType.ENDPOINT_DISABLED.value: _webhook(
        EventType.ENDPOINT_DISABLED, "Another endpoint of yours is disabled", _ENDPOINT
    ),
    EventType.ENDPOINT_TEST.value: _webhook(EventType.ENDPOINT_TEST, "A test", _ENDPOINT),
}
