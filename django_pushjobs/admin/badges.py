"""States as symbol, word and colour: each of the first two says it alone."""

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
    """What a colour means; the colours themselves are in the style sheet."""

    QUIET = "quiet"
    BUSY = "busy"
    GOOD = "good"
    MIXED = "mixed"
    BAD = "bad"


REQUEST_LOOKS: Final[Mapping[str, tuple[str, Tone]]] = {
    Status.PENDING: ("○", Tone.QUIET),
    Status.QUEUED: ("◎", Tone.BUSY),
    Status.RUNNING: ("▸", Tone.BUSY),
    Status.SUCCEEDED: ("✓", Tone.GOOD),
    Status.PARTIAL: ("◐", Tone.MIXED),
    Status.FAILED: ("✗", Tone.BAD),
    Status.CANCELED: ("⊘", Tone.QUIET),
    Status.EXPIRED: ("◌", Tone.MIXED),
}

DELIVERY_LOOKS: Final[Mapping[str, tuple[str, Tone]]] = {
    DeliveryStatus.RETRYING: ("↻", Tone.BUSY),
    DeliveryStatus.ACCEPTED: ("✓", Tone.GOOD),
    DeliveryStatus.FAILED: ("✗", Tone.BAD),
    DeliveryStatus.DROPPED: ("⊖", Tone.MIXED),
    DeliveryStatus.UNKNOWN: ("?", Tone.MIXED),
}

ENDPOINT_LOOKS: Final[Mapping[str, tuple[str, Tone]]] = {
    EndpointState.ACTIVE: ("✓", Tone.GOOD),
    EndpointState.PAUSED: ("‖", Tone.QUIET),
    EndpointState.DISABLED: ("⊘", Tone.BAD),
}

CALLBACK_LOOKS: Final[Mapping[str, tuple[str, Tone]]] = {
    CallbackStatus.PENDING: ("◎", Tone.BUSY),
    CallbackStatus.DELIVERED: ("✓", Tone.GOOD),
    CallbackStatus.FAILED: ("✗", Tone.BAD),
}

DEVICE_LOOKS: Final[Mapping[str, tuple[str, Tone]]] = {
    DeviceState.ACTIVE: ("✓", Tone.GOOD),
    DeviceState.DROPPED: ("⊖", Tone.MIXED),
}

_STRANGE: Final = ("?", Tone.QUIET)


def badge(symbol: str, word: object, tone: Tone) -> SafeString:
    return format_html(
        '<span class="pushjobs-badge pushjobs-{}"><span aria-hidden="true">{}</span> {}</span>',
        tone.value,
        symbol,
        word,
    )


def request_badge(request: PushRequest) -> SafeString:
    symbol, tone = REQUEST_LOOKS.get(request.status, _STRANGE)
    return badge(symbol, request.get_status_display(), tone)


def delivery_badge(delivery: Delivery) -> SafeString:
    symbol, tone = DELIVERY_LOOKS.get(delivery.status, _STRANGE)
    return badge(symbol, delivery.get_status_display(), tone)


def endpoint_badge(endpoint: CallbackEndpoint) -> SafeString:
    """The badge of an endpoint; one that is called and fails looks mixed."""
    symbol, tone = ENDPOINT_LOOKS.get(endpoint.state, _STRANGE)
    if endpoint.state == EndpointState.ACTIVE and endpoint.failing_since is not None:
        return badge("!", _("failing"), Tone.MIXED)
    shown = badge(symbol, endpoint.get_state_display(), tone)
    if not endpoint.reason:
        return shown
    return format_html(
        '{} <code class="pushjobs-why">{}</code>', shown, endpoint.get_reason_display()
    )


def callback_badge(event: CallbackEvent) -> SafeString:
    symbol, tone = CALLBACK_LOOKS.get(event.status, _STRANGE)
    return badge(symbol, event.get_status_display(), tone)


def device_badge(device: Device) -> SafeString:
    symbol, tone = DEVICE_LOOKS.get(device.state, _STRANGE)
    return badge(symbol, device.get_state_display(), tone)


def key_badge(key: ApiKey) -> SafeString:
    """The badge of a key whose client is active; of others the page says it once."""
    if key.revoked_at is not None:
        return badge("⊘", _("revoked"), Tone.QUIET)
    if key.expires_at is not None and key.expires_at <= timezone.now():
        return badge("◌", _("expired"), Tone.MIXED)
    return badge("✓", _("valid"), Tone.GOOD)
