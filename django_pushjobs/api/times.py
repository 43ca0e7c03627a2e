"""Times as third parties write them (RFC 3339)."""

from __future__ import annotations

from datetime import UTC, datetime

from django.utils import timezone
from django.utils.dateparse import parse_datetime


def parse_time(text: str) -> datetime:
    """Return the time ``text`` stands for, in UTC; naive where it names no offset.

    :raises ValueError: it is no time, or no time that UTC can express.
    """
    time = parse_datetime(text)
    if time is None:
        raise ValueError("not a date with a time")
    if timezone.is_naive(time):
        return time
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError("out of range") from None
