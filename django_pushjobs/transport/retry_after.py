"""The header Retry-After (RFC 9110, section 10.2.3)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

#: Seconds; the longest wait that anybody can impose on us, by mistake or on purpose.
MAX_RETRY_AFTER: Final = 86_400.0


def parse_retry_after(value: str, now: datetime | None = None) -> float | None:
    """Return the seconds to wait.

    :param value: the header: a number of seconds, or an HTTP-date.
    :param now: aware; what a date is compared with.
    :returns: 0 for a date in the past, at most :data:`MAX_RETRY_AFTER`, and None if ``value`` is
        neither a number of seconds nor a date.
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        # Python refuses to parse thousands of digits, and ten are beyond the limit already.
        return min(float(value[:32]), MAX_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    seconds = (date - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)
