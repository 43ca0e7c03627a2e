"""The limits of a client as headers: IETF draft "RateLimit header fields for HTTP", -11."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..limits.admission import Admission, Policy, Reading


def headers(admission: Admission) -> dict[str, str]:
    """Return ``RateLimit-Policy`` with every limit of the client, and ``RateLimit`` with those that
    this call has asked. Without limits there are none.

    ``t`` is the time until all is back, or, of a limit that has refused this call, until it would
    not. So ``Retry-After``, which is rounded up as well, is never earlier.
    """
    policies = admission.policies
    if not policies:
        return {}
    found = {"RateLimit-Policy": ", ".join(_policy(policy) for policy in policies)}
    if told := ", ".join(_told(policies, admission.readings)):
        found["RateLimit"] = told
    return found


def _policy(policy: Policy) -> str:
    # Without a unit it counts requests.
    window = ';qu="concurrent-requests"' if policy.window is None else f";w={policy.window}"
    return f'"{policy.name}";q={policy.quota}{window}'


def _told(policies: list[Policy], readings: dict[str, Reading]) -> Iterator[str]:
    for policy in policies:
        if reading := readings.get(policy.name):
            reset = reading.reset_after
            after = "" if reset is None else f";t={math.ceil(reset)}"
            yield f'"{policy.name}";r={reading.remaining}{after}'
