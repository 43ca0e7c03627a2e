"""The truth: what was asked for, by whom, and what became of it. One module per noun."""

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
from .clients import ApiClient
from .deliveries import Delivery
from .devices import Device, DeviceState, DeviceTag, Platform, address_hash
from .idempotency import IdempotencyRecord
from .keys import ApiKey, Scope
from .pauses import Pause
from .push_requests import BULKY, PushRequest
from .sites import Site

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
    "Device",
    "DeviceState",
    "DeviceTag",
    "DisabledReason",
    "EndpointState",
    "EventType",
    "IdempotencyRecord",
    "Pause",
    "Platform",
    "PushRequest",
    "Scope",
    "Site",
    "address_hash",
]
