"""The challenge that an endpoint answers before it is called for anything else.

Whoever has a key can register a URL that belongs to somebody else. So the first thing that is sent
there is a code, and only who runs the URL can make it answer with it.
"""

from __future__ import annotations

import json
import secrets
from datetime import timedelta
from typing import Final

from django.utils import timezone

from ..models import CallbackEndpoint, CallbackEvent, CallbackStatus, EndpointState, EventType
from . import outbox

#: An endpoint that has not answered by then is disabled.
WITHIN: Final = timedelta(days=1)
#: A caller who has just been told the secret has this long to keep it where the endpoint sees it.
HEAD_START: Final = timedelta(seconds=1)
#: Error code of an answer that is fine but for the code.
UNPROVEN: Final = "challenge_not_returned"


def challenge(
    endpoint: CallbackEndpoint, *, using: str, after: timedelta = timedelta()
) -> CallbackEvent:
    """Make ``endpoint`` UNVERIFIED, and write the event that challenges its URL.

    Call it inside a transaction. An earlier challenge is set aside.

    :param after: the challenge is not sent before so long.
    """
    endpoint.state, endpoint.verified_at = EndpointState.UNVERIFIED, None
    endpoint.save(using=using, update_fields=["state", "verified_at"])
    event = outbox.new_event(
        endpoint,
        EventType.ENDPOINT_VERIFICATION,
        {"endpoint_id": str(endpoint.pk), "challenge": secrets.token_urlsafe(24)},
        url=endpoint.url,
    )
    event.next_attempt_at = event.created_at + after
    set_aside(endpoint, using=using)
    outbox.store([event], using=using)
    return event


def set_aside(endpoint: CallbackEndpoint, *, using: str) -> None:
    """Do without the challenges that have not been answered."""
    waiting = endpoint.events.using(using).pending().filter(type=EventType.ENDPOINT_VERIFICATION)
    waiting.update(status=CallbackStatus.FAILED, next_attempt_at=None, finished_at=timezone.now())


def is_met(event: CallbackEvent, answer: str) -> bool:
    """Whether an answer returns the code of ``event``, if that is a challenge.

    The answer is the code as plain text, or JSON with a member ``challenge``. A service that sends
    back whatever it gets does not pass: there the code is deeper down.
    """
    if event.type != EventType.ENDPOINT_VERIFICATION:
        return True
    code = event.data["challenge"]
    if answer.strip() == code:
        return True
    try:
        content = json.loads(answer)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("challenge") == code
