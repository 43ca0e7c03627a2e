"""Times as third parties write them (RFC 3339)."""

from __future__ import annotations

from datetime import UTC, datetime

from django.utils import timezone
from django.utils.dateparse import parse_datetime


def parse_time(text: str) -> datetime:
    """Return the time that ``text`` stands for, in UTC; naive if it names no offset.

    :raises ValueError: it is not a time, or not one that UTC can express.
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
