"""Primary keys: ordered by time for push requests, derived for deliveries."""

from __future__ import annotations

import os
import time
import uuid
from datetime import datetime
from hashlib import sha1


def time_ordered_uuid() -> uuid.UUID:
    """Return a UUID version 7 (RFC 9562, section 5.7): 48 bits of unix milliseconds, then random.

    New rows end up next to each other in the index, and keys sort by creation. The random part
    comes from the kernel, so forked processes never produce the same key.
    """
    milliseconds = time.time_ns() // 1_000_000
    return _version_7((milliseconds << 80) | int.from_bytes(os.urandom(10)))


def first_uuid(moment: datetime) -> uuid.UUID:
    """Return the lowest key that :func:`time_ordered_uuid` could return at ``moment``.

    It makes a range of time a range of keys, so that the primary key serves as its index.

    :param moment: aware; anything before 1970 counts as 1970.
    """
    milliseconds = max(0, int(moment.timestamp() * 1_000))
    return _version_7(milliseconds << 80)


def _version_7(value: int) -> uuid.UUID:
    return _of_version(7, value)


def _of_version(version: int, value: int) -> uuid.UUID:
    value = (value & ~(0xF << 76)) | (version << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)  # variant of RFC 9562
    return uuid.UUID(int=value)


def delivery_id(request_id: uuid.UUID, address: str) -> uuid.UUID:
    """Return the stable id of one address of one push request.

    It is derived rather than random: a resend after a crash carries the same id, so the provider
    can replace the first message with the second instead of showing both.

    The result is that of :func:`uuid.uuid5`, in half the time: every push needs one.
    """
    digest = sha1(request_id.bytes + address.encode(), usedforsecurity=False).digest()
    return _of_version(5, int.from_bytes(digest[:16]))


def part_id(request_id: uuid.UUID, number: int) -> uuid.UUID:
    """Return the key of a part of a large request: always the same, with the request's time."""
    chance = uuid.uuid5(request_id, f"part {number}").int & ((1 << 80) - 1)
    return _version_7((request_id.int >> 80 << 80) | chance)
