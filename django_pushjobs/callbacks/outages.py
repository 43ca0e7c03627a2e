"""An endpoint that is not called any more, and what its client is told of it."""

from __future__ import annotations

import logging

from django.utils import timezone

from ..models import CallbackEndpoint, CallbackStatus, DisabledReason, EndpointState, EventType
from . import outbox

logger = logging.getLogger(__name__)


def disable(endpoint: CallbackEndpoint, reason: DisabledReason, *, using: str) -> None:
    """Disable ``endpoint`` in the transaction that runs.

    What waits for it is set aside. Other endpoints of the client, if any, hear of it.
    """
    now = timezone.now()
    endpoint.state, endpoint.reason, endpoint.disabled_at = EndpointState.DISABLED, reason, now
    endpoint.save(using=using, update_fields=["state", "reason", "disabled_at"])
    waiting = endpoint.events.using(using).pending()
    waiting.update(status=CallbackStatus.FAILED, next_attempt_at=None, finished_at=now)
    others = CallbackEndpoint.objects.using(using).filter(client=endpoint.client_id)
    data = {
        "endpoint_id": str(endpoint.pk),
        "reason": reason.value,
        "failing_since": endpoint.failing_since and endpoint.failing_since.isoformat(),
    }
    outbox.store(
        [
            outbox.new_event(other, EventType.ENDPOINT_DISABLED, data)
            for other in others.filter(state=EndpointState.ACTIVE).exclude(pk=endpoint.pk)
            if other.wants(EventType.ENDPOINT_DISABLED)
        ],
        using=using,
    )
    outbox.directory.forget()
    logger.warning("Callback endpoint %s is disabled: %s", endpoint.pk, reason.value)
