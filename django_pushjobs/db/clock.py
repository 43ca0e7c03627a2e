"""What time it is for everybody who shares a database: that of its clock.

Due times, leases and pauses are written by one process and read by another one, perhaps on a
machine whose clock is wrong. So a process looks now and then how far its own clock is off, and
reckons with that. An SQLite database has no clock of its own.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import connections
from django.utils import timezone

logger = logging.getLogger(__name__)

#: Seconds between two looks, for which a look must not take longer, and which are not worth
#: reckoning with: clocks are kept by NTP.
EVERY, QUICK, SAME = 30.0, 0.5, 1.0

_QUESTIONS: Final = {
    "postgresql": "SELECT clock_timestamp()",
    "mysql": "SELECT UTC_TIMESTAMP(6)",
}

_offset = timedelta()
_look_at = 0.0
_lock = threading.Lock()


def now() -> datetime:
    """Return the time of the database's clock, as far as it is known; asks nobody."""
    return timezone.now() + _offset


def look(using: str) -> None:
    """Ask the database for its time, if that was not done lately.

    :raises django.db.DatabaseError: it does not answer.
    """
    global _look_at
    question = _QUESTIONS.get(connections[using].vendor)
    began = time.monotonic()
    if question is None or began < _look_at:
        return
    with connections[using].cursor() as cursor:
        cursor.execute(question)
        (theirs,) = cursor.fetchone()
    # Not timezone.now(): what matters is the clock of this machine.
    ours = datetime.now(UTC)
    if time.monotonic() - began > QUICK:
        return  # it hung, or we did: that answer is late
    _look_at = began + EVERY
    _reckon(theirs.replace(tzinfo=UTC) if theirs.tzinfo is None else theirs, ours)


def _reckon(theirs: datetime, ours: datetime) -> None:
    global _offset
    off = theirs - ours
    if abs(off).total_seconds() < SAME:
        off = timedelta()
    with _lock:
        moved, _offset = abs(off - _offset).total_seconds() >= SAME, off
    if moved and off:
        logger.warning(
            "the clock of this machine is %.0f s %s that of the database, by which it reckons",
            abs(off).total_seconds(),
            "behind" if off > timedelta() else "ahead of",
        )
