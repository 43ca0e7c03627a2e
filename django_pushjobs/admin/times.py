"""Moments and lengths of time, as an operator reads them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString


def moment(at: datetime | None, *, fine: bool = False) -> SafeString | None:
    """Return ``at`` in the current time zone to the second, or to the millisecond if ``fine``."""
    if at is None:
        return None
    local = timezone.localtime(at)
    text = local.strftime("%Y-%m-%d %H:%M:%S")
    if fine:
        text += f".{local.microsecond // 1_000:03}"
    return format_html(
        '<time class="pushjobs-time" datetime="{}">{}</time>', local.isoformat(), text
    )


def duration(length: timedelta) -> str:
    """Return the two units that matter of ``length``, with the symbols of SI: ``3 min 5 s``."""
    milliseconds = round(abs(length.total_seconds()) * 1_000)
    if milliseconds < 1_000:
        return f"{milliseconds} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1_000:.1f} s"
    minutes, seconds = divmod(round(milliseconds / 1_000), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"
