"""The limits of a client as headers: IETF draft "RateLimit header fields for HTTP", -11."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..limits.admission import Admission, ClientLimit, Reading


def headers(admission: Admission) -> dict[str, str]:
    """Return ``RateLimit-Policy`` with every limit of the client, and ``RateLimit`` with those that
    were checked for this call; nothing if the client has no limits.

    ``t`` is the time until the whole quota is available again, or, for a limit that has refused
    this call, until it would accept it. ``Retry-After``, which is rounded up as well, is never
    earlier.
    """
    limits = admission.limits
    if not limits:
        return {}
    found = {"RateLimit-Policy": ", ".join(_policy(limit) for limit in limits)}
    if left := ", ".join(_left(limits, admission.readings)):
        found["RateLimit"] = left
    return found


def _policy(limit: ClientLimit) -> str:
    # Without a unit, a quota counts requests.
    window = ';qu="concurrent-requests"' if limit.window is None else f";w={limit.window}"
    return f'"{limit.name}";q={limit.quota}{window}'


def _left(limits: list[ClientLimit], readings: dict[str, Reading]) -> Iterator[str]:
    for limit in limits:
        if reading := readings.get(limit.name):
            reset = reading.reset_after
            after = "" if reset is None else f";t={math.ceil(reset)}"
            yield f'"{limit.name}";r={reading.remaining}{after}'
