"""What an operator can do with callback endpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from ..callbacks import endpoints
from ..models import CallbackEndpoint, EndpointState
from .base import Button, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointOperation(Operation):
    """An operation on callback endpoints."""

    perform: Callable[[CallbackEndpoint], object]


PAUSE: Final = EndpointOperation(
    name="pause",
    label=_("Pause"),
    perform=endpoints.pause,
    log_entry=_("Paused."),
    done=ngettext_lazy(
        "%(count)d endpoint has been paused.", "%(count)d endpoints have been paused.", "count"
    ),
)
RESUME: Final = EndpointOperation(
    name="resume",
    label=_("Resume"),
    perform=endpoints.resume,
    log_entry=_("Resumed."),
    done=ngettext_lazy(
        "%(count)d endpoint has been resumed.", "%(count)d endpoints have been resumed.", "count"
    ),
)
TEST: Final = EndpointOperation(
    name="test",
    label=_("Send a test"),
    perform=endpoints.send_test,
    log_entry=_("Sent a test."),
    done=ngettext_lazy(
        "A test is on its way to %(count)d endpoint.",
        "A test is on its way to %(count)d endpoints.",
        "count",
    ),
)
VOUCH: Final = EndpointOperation(
    name="vouch",
    label=_("Call without verification"),
    perform=endpoints.vouch,
    log_entry=_("Vouched for the URL."),
    done=ngettext_lazy(
        "%(count)d endpoint is called from now on.",
        "%(count)d endpoints are called from now on.",
        "count",
    ),
)
OPERATIONS: Final = {operation.name: operation for operation in (TEST, PAUSE, RESUME, VOUCH)}
ROTATE: Final = Button(name="rotate", label=_("New secret"))


def buttons_for(endpoint: CallbackEndpoint) -> tuple[Button, ...]:
    """Return what makes sense for ``endpoint`` now."""
    if endpoint.state == EndpointState.ACTIVE:
        return (TEST, PAUSE, ROTATE)
    if endpoint.state == EndpointState.UNVERIFIED:
        return (TEST, VOUCH, ROTATE)
    return (RESUME, ROTATE)
