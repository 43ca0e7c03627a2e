"""The limits of a client as headers: IETF draft "RateLimit header fields for HTTP", -11."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..limits.admission import Admission, Policy, Reading


def headers(admission: Admission) -> dict[str, str]:
    """Return ``RateLimit-Policy`` with every limit of the client, and ``RateLimit`` with those that
    were checked for this call; nothing if the client has no limits.

    ``t`` is the time until the whole quota is available again, or, for a limit that has refused
    this call, until it would accept it. ``Retry-After``, which is rounded up as well, is never
    earlier.
    """
    policies = admission.policies
    if not policies:
        return {}
    found = {"RateLimit-Policy": ", ".join(_policy(policy) for policy in policies)}
    if left := ", ".join(_left(policies, admission.readings)):
        found["RateLimit"] = left
    return found


def _policy(policy: Policy) -> str:
    # Without a unit, a quota counts requests.
    window = ';qu="concurrent-requests"' if policy.window is None else f";w={policy.window}"
    return f'"{policy.name}";q={policy.quota}{window}'


def _left(policies: list[Policy], readings: dict[str, Reading]) -> Iterator[str]:
    for policy in policies:
        if reading := readings.get(policy.name):
            reset = reading.reset_after
            after = "" if reset is None else f";t={math.ceil(reset)}"
            yield f'"{policy.name}";r={reading.remaining}{after}'
