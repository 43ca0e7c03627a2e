"""The limits of a client as headers: IETF draft "RateLimit header fields for HTTP", -11."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..limits.admission import Admission, ClientLimit, Reading


def headers(admission: Admission) -> dict[str, str]:
    """Return ``RateLimit-Policy`` with every limit of the client, and ``RateLimit`` with those that
    this call has asked. Without limits there are none.

    ``t`` is the time until all is back, or, of a limit that has refused this call, until it would
    not. So ``Retry-After``, which is rounded up as well, is never earlier.
    """
    limits = admission.limits
    if not limits:
        return {}
    found = {"RateLimit-Policy": ", ".join(_policy(limit) for limit in limits)}
    if told := ", ".join(_told(limits, admission.readings)):
        found["RateLimit"] = told
    return found


def _policy(limit: ClientLimit) -> str:
    # Without a unit it counts requests.
    window = ';qu="concurrent-requests"' if limit.window is None else f";w={limit.window}"
    return f'"{limit.name}";q={limit.quota}{window}'


def _told(limits: list[ClientLimit], readings: dict[str, Reading]) -> Iterator[str]:
    for limit in limits:
        if reading := readings.get(limit.name):
            reset = reading.reset_after
            after = "" if reset is None else f";t={math.ceil(reset)}"
            yield f'"{limit.name}";r={reading.remaining}{after}'
