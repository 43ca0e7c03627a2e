"""The truth: what was asked, by whom, and what became of it. One module for each noun."""

from .attempts import Attempt, AttemptEnd
from .clients import ApiClient, ApiKey, Scope
from .deliveries import Delivery
from .pauses import Pause
from .push_requests import BULKY, PushRequest

__all__ = [
    "BULKY",
    "ApiClient",
    "ApiKey",
    "Attempt",
    "AttemptEnd",
    "Delivery",
    "Pause",
    "PushRequest",
    "Scope",
]
