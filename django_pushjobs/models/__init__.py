"""The truth: what was asked, by whom, and what became of it. One module for each noun."""

from .clients import ApiClient, ApiKey, Scope
from .deliveries import Delivery
from .idempotency import IdempotencyRecord
from .push_requests import PushRequest

__all__ = ["ApiClient", "ApiKey", "Delivery", "IdempotencyRecord", "PushRequest", "Scope"]
