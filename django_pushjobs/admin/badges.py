"""States as a symbol, a word and a colour; symbol and word are clear without the colour."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from ..models import (
    ApiKey,
    CallbackEndpoint,
    CallbackEvent,
    CallbackStatus,
    Delivery,
    Device,
    DeviceState,
    EndpointState,
    PushRequest,
)
from ..states import DeliveryStatus, Status


class Tone(StrEnum):
    """What a colour means. The colours themselves are in the style sheet."""

    QUIET = "quiet"
    BUSY = "busy"
    GOOD = "good"
    MIXED = "mixed"
    BAD = "bad"


Look = tuple[str, Tone]

REQUEST_LOOKS: Final[Mapping[str, Look]] = {
    Status.PENDING: ("○", Tone.QUIET),
    Status.QUEUED: ("◎", Tone.BUSY),
    Status.RUNNING: ("▸", Tone.BUSY),
    Status.SUCCEEDED: ("✓", Tone.GOOD),
    Status.PARTIAL: ("◐", Tone.MIXED),
    Status.FAILED: ("✗", Tone.BAD),
    Status.CANCELED: ("⊘", Tone.QUIET),
    Status.EXPIRED: ("◌", Tone.MIXED),
}

DELIVERY_LOOKS: Final[Mapping[str, Look]] = {
    DeliveryStatus.RETRYING: ("↻", Tone.BUSY),
    DeliveryStatus.ACCEPTED: ("✓", Tone.GOOD),
    DeliveryStatus.FAILED: ("✗", Tone.BAD),
    DeliveryStatus.DROPPED: ("⊖", Tone.MIXED),
    DeliveryStatus.UNKNOWN: ("?", Tone.MIXED),
}

ENDPOINT_LOOKS: Final[Mapping[str, Look]] = {
    EndpointState.UNVERIFIED: ("?", Tone.MIXED),
    EndpointState.ACTIVE: ("✓", Tone.GOOD),
    EndpointState.PAUSED: ("‖", Tone.QUIET),
    EndpointState.DISABLED: ("⊘", Tone.BAD),
}

CALLBACK_LOOKS: Final[Mapping[str, Look]] = {
    CallbackStatus.PENDING: ("◎", Tone.BUSY),
    CallbackStatus.DELIVERED: ("✓", Tone.GOOD),
    CallbackStatus.FAILED: ("✗", Tone.BAD),
}

DEVICE_LOOKS: Final[Mapping[str, Look]] = {
    DeviceState.ACTIVE: ("✓", Tone.GOOD),
    DeviceState.DROPPED: ("⊖", Tone.MIXED),
}

#: Of a state that a newer version has written.
_UNKNOWN_LOOK: Final = ("?", Tone.QUIET)


def badge(look: Look, word: object) -> SafeString:
    symbol, tone = look
    return format_html(
        '<span class="pushjobs-badge pushjobs-{}"><span aria-hidden="true">{}</span> {}</span>',
        tone.value,
        symbol,
        word,
    )


def with_reason(shown: SafeString, reason: object) -> SafeString:
    """Return a badge with a reason below it, if there is one."""
    if not reason:
        return shown
    return format_html('{} <code class="pushjobs-why">{}</code>', shown, reason)


def request_badge(request: PushRequest) -> SafeString:
    look = REQUEST_LOOKS.get(request.status, _UNKNOWN_LOOK)
    return badge(look, request.get_status_display())


def delivery_badge(delivery: Delivery) -> SafeString:
    look = DELIVERY_LOOKS.get(delivery.status, _UNKNOWN_LOOK)
    return badge(look, delivery.get_status_display())


def endpoint_badge(endpoint: CallbackEndpoint) -> SafeString:
    """The badge of an endpoint; an active one that fails is shown as failing."""
    if endpoint.state == EndpointState.ACTIVE and endpoint.failing_since is not None:
        return badge(("!", Tone.MIXED), _("failing"))
    look = ENDPOINT_LOOKS.get(endpoint.state, _UNKNOWN_LOOK)
    shown = badge(look, endpoint.get_state_display())
    return with_reason(shown, endpoint.reason and endpoint.get_reason_display())


def callback_badge(event: CallbackEvent) -> SafeString:
    look = CALLBACK_LOOKS.get(event.status, _UNKNOWN_LOOK)
    return badge(look, event.get_status_display())


def device_badge(device: Device) -> SafeString:
    look = DEVICE_LOOKS.get(device.state, _UNKNOWN_LOOK)
    return badge(look, device.get_state_display())


def key_badge(key: ApiKey) -> SafeString:
    """The badge of a key, as if its client were active; the page says once if it is not."""
    if key.revoked_at is not None:
        return badge(("⊘", Tone.QUIET), _("revoked"))
    if key.expires_at is not None and key.expires_at <= timezone.now():
        return badge(("◌", Tone.MIXED), _("expired"))
    return badge(("✓", Tone.GOOD), _("valid"))
