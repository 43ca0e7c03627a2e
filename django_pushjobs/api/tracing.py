"""The ids by which a call is found in the logs of both sides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

#: Visible ASCII: safe in a header, in a log line and in a column of 128 characters.
_REQUEST_ID = re.compile(r"[!-~]{1,128}")

#: W3C Trace Context, section 3.2. A version above 00 may append fields, which we ignore.
_TRACEPARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<ids>[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})(?P<rest>-.*)?"
)


@dataclass(frozen=True, slots=True)
class Trace:
    """Where a call came from.

    :param request_id: ``X-Request-ID`` of the call, or a new one if that is missing or unusable.
    :param traceparent: W3C ``traceparent`` of the call in version 00, or empty.
    """

    request_id: str
    traceparent: str

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Trace:
        """Read the trace from the headers of a call. What is malformed is ignored."""
        request_id = headers.get("X-Request-ID", "")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = uuid4().hex
        return cls(request_id, _traceparent(headers.get("traceparent", "")))


def _traceparent(value: str) -> str:
    match = _TRACEPARENT.fullmatch(value.strip())
    if match is None or match["version"] == "ff" or (match["version"] == "00" and match["rest"]):
        return ""
    trace_id, parent_id, _flags = match["ids"].split("-")
    if not trace_id.strip("0") or not parent_id.strip("0"):
        return ""
    return f"00-{match['ids']}"
