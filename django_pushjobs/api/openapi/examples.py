"""The examples of the OpenAPI description: one story, from the call to the end."""

from __future__ import annotations

from typing import Any

from ..problems import INSUFFICIENT_SCOPE, INVALID_PUSH_REQUEST, QUOTA_EXCEEDED

_ID = "019a9f2c-7b1e-7c3a-9d55-0b6f2a4c8e11"
_URL = f"https://push.example.com/api/v1/push-requests/{_ID}"
NEW: dict[str, Any] = {
    "recipients": ["device-token-1", "device-token-2"],
    "title": "Your parcel is on its way",
    "body": "It arrives today between 14:00 and 16:00.",
    "data": {"parcel": "4711"},
    "priority": "high",
    "expires_at": "2030-01-31T16:00:00Z",
    "reference": "parcel-4711",
}
QUEUED: dict[str, Any] = {
    "id": _ID,
    "reference": "parcel-4711",
    "status": "queued",
    "done": False,
    "backend": "default",
    "priority": "high",
    "counts": {"total": 2, "accepted": 0, "failed": 0, "dropped": 0, "unknown": 0},
    "error": None,
    "result": None,
    "attempts": 0,
    "created_at": "2030-01-31T12:00:00.000000Z",
    "queued_at": "2030-01-31T12:00:00.000000Z",
    "send_at": None,
    "expires_at": "2030-01-31T16:00:00Z",
    "next_attempt_at": None,
    "started_at": None,
    "finished_at": None,
    "cancel_requested_at": None,
    "links": {"self": _URL, "deliveries": f"{_URL}/deliveries"},
}
DONE: dict[str, Any] = QUEUED | {
    "status": "partial",
    "done": True,
    "counts": {"total": 2, "accepted": 1, "failed": 0, "dropped": 1, "unknown": 0},
    "error": {
        "code": "partial",
        "detail": "Not every address was accepted; see its deliveries.",
    },
    "result": {"codes": {"http_410": 1}},
    "attempts": 1,
    "started_at": "2030-01-31T12:00:00.040000Z",
    "finished_at": "2030-01-31T12:00:00.310000Z",
}
INVALID: dict[str, Any] = {
    "type": INVALID_PUSH_REQUEST.uri,
    "title": "Invalid push request",
    "status": 400,
    "detail": "2 things are wrong; see errors.",
    "instance": "/api/v1/push-requests",
    "request_id": "b7d1a4e2",
    "errors": [
        {"pointer": "/titel", "detail": "is not a known field", "code": "unknown_field"},
        {"pointer": "/body", "detail": "must be a string", "code": "invalid_type"},
    ],
}
INSUFFICIENT: dict[str, Any] = {
    "type": INSUFFICIENT_SCOPE.uri,
    "title": "Insufficient scope",
    "status": 403,
    "detail": "The API key lacks the scope 'submit'.",
    "scope": "submit",
    "instance": "/api/v1/push-requests",
    "request_id": "b7d1a4e2",
}
EXCEEDED: dict[str, Any] = {
    "type": QUOTA_EXCEEDED.uri,
    "title": "Quota exceeded",
    "status": 429,
    "detail": "Too many calls.",
    "violated-policies": ["burst"],
    "instance": "/api/v1/push-requests",
    "request_id": "b7d1a4e2",
}
NEW_BATCH: dict[str, Any] = {"items": [NEW, {"recipients": ["device-token-3"], "title": "Hello"}]}
BATCH_ANSWER: dict[str, Any] = {
    "items": [
        {"status": 202, "push_request": QUEUED},
        {
            "status": 400,
            "problem": {
                "type": INVALID_PUSH_REQUEST.uri,
                "title": "Invalid push request",
                "status": 400,
                "detail": "One thing is wrong; see errors.",
                "errors": [
                    {
                        "pointer": "/items/1/title",
                        "detail": "must be a string",
                        "code": "invalid_type",
                    }
                ],
            },
        },
    ]
}
EVENT = (
    "id: 1893499200310-0\n"
    "event: status\n"
    f'data: {{"id":"{_ID}","status":"succeeded","done":true,"counts":{{"total":2,"accepted":2,'
    '"failed":0,"dropped":0,"unknown":0},"error_code":"","at":"2030-01-31T12:00:00.310000Z"}\n\n'
)
