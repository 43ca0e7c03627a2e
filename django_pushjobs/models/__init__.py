"""The truth: what was asked, by whom, and what became of it. One module for each noun."""

from .attempts import Attempt, AttemptEnd
from .callbacks import (
    CallbackAttempt,
    CallbackEndpoint,
    CallbackEvent,
    CallbackStatus,
    DisabledReason,
    EndpointState,
    EventType,
)
from .clients import ApiClient, ApiKey, Scope
from .deliveries import Delivery
from .idempotency import IdempotencyRecord
from .pauses import Pause
from .push_requests import BULKY, PushRequest

__all__ = [
    "BULKY",
    "ApiClient",
    "ApiKey",
    "Attempt",
    "AttemptEnd",
    "CallbackAttempt",
    "CallbackEndpoint",
    "CallbackEvent",
    "CallbackStatus",
    "Delivery",
    "DisabledReason",
    "EndpointState",
    "EventType",
    "IdempotencyRecord",
    "Pause",
    "PushRequest",
    "Scope",
]
