"""The RQ job functions: thin."""

from __future__ import annotations

from uuid import UUID

from .callbacks.sender import send
from .delivery.attempts import deliver


def run_push_request(request_id: str) -> str | None:
    """Make one attempt at the push request ``request_id``; return its status, or None.

    None means that there was nothing to do here: it was final, canceled, or claimed elsewhere.
    """
    status = deliver(UUID(request_id))
    return status.value if status is not None else None


def call_endpoint(endpoint_id: str) -> int:
    """Call a callback endpoint for the events that are due; return how many attempts were made."""
    return send(UUID(endpoint_id))
