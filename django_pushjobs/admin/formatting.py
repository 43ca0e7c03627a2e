"""How values look in the admin: moments, lengths of time, keys, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin
from django.db.models import Model
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

#: Shown in place of a value that is not there.
EMPTY: Final = "-"


def moment(at: datetime | None, *, fine: bool = False) -> SafeString | None:
    """Return ``at`` in the current time zone, to the second, or to the millisecond if ``fine``."""
    if at is None:
        return None
    local = timezone.localtime(at)
    text = local.strftime("%Y-%m-%d %H:%M:%S")
    if fine:
        text += f".{local.microsecond // 1_000:03}"
    return format_html(
        '<time class="pushjobs-time" datetime="{}">{}</time>', local.isoformat(), text
    )


def moment_column(
    field: str, description: _StrOrPromise, *, ordering: str | None = None
) -> Callable[[Any, Model], SafeString | str]:
    """Return a display method of a ``ModelAdmin`` for a moment.

    :param field: of the model, in which the moment is stored.
    """

    @admin.display(description=description, ordering=ordering)
    def column(self: Any, row: Model) -> SafeString | str:
        return moment(getattr(row, field)) or EMPTY

    return column


def duration(length: timedelta) -> str:
    """Return the two largest units of ``length``, with the symbols of SI: ``3 min 5 s``."""
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


def short_id(key: object) -> SafeString:
    """Return the beginning of a UUID, which is its time, and its end; the rest is in the title."""
    text = str(key)
    return shortened(f"{text[:13]}…{text[-4:]}", text)


def shortened(shown: str, whole: str = "") -> SafeString:
    """Return a part of an id or a hash, with the whole of it in the title, if it may be shown."""
    return format_html('<span class="pushjobs-id" title="{}">{}</span>', whole, shown)


def json_block(value: Any) -> SafeString | str:
    """Return ``value`` as indented JSON."""
    if value in (None, {}, []):
        return EMPTY
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return format_html('<pre class="pushjobs-code">{}</pre>', text)
