"""The callbacks themselves: what we post to a third party.

As plain data, because what the generator offers for webhooks builds on the project's own settings.
"""

from __future__ import annotations

from typing import Any, Final

from ...models import DisabledReason, EventType
from ...states import FINAL
from .callbacks import TAG

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
_CHALLENGE: Final = {
    "type": "object",
    "required": ["endpoint_id", "challenge"],
    "properties": {
        "endpoint_id": _UUID,
        "challenge": {"type": "string", "description": "Answer with it, if you know the endpoint."},
    },
}
_HEADERS: Final = {
    "webhook-id": "The id of the event: the same at every attempt.",
    "webhook-timestamp": "Unix seconds of this attempt.",
    "webhook-signature": "`v1,` and base64; several are separated by spaces.",
}


_ANSWER: Final = "answer with any 2xx within 15 seconds."
_RETURN: Final = (
    "answer within 15 seconds with the challenge: 200 and either the code as plain text or JSON "
    'such as `{"challenge": "code"}`. Nothing else is sent to a URL that has not answered so.'
)


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
    return {
        "post": {
            "summary": summary,
            "description": (
                "Standard Webhooks 1.0.0: verify the signature over id, timestamp and body, and "
                + (_RETURN if data is _CHALLENGE else _ANSWER)
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
                for name, description in _HEADERS.items()
            ],
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": {
                "2XX": {"description": "Received."},
                "410": {"description": "Do not call again: this disables the endpoint."},
            },
        }
    }


#: Type of the event -> path item.
WEBHOOKS: Final = {
    event_type.value: _webhook(event_type, summary, data)
    for event_type, summary, data in (
        (EventType.COMPLETED, "A push request was pushed", _REQUEST),
        (EventType.EXPIRED, "A push request has expired", _REQUEST),
        (EventType.CANCELED, "A push request was canceled", _REQUEST),
        (EventType.ENDPOINT_DISABLED, "Another endpoint of yours was disabled", _ENDPOINT),
        (EventType.ENDPOINT_TEST, "A test", _ENDPOINT),
        (EventType.ENDPOINT_VERIFICATION, "Does this URL want to be called?", _CHALLENGE),
    )
}
