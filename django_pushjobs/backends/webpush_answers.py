"""What the answers of Web Push services mean."""

from __future__ import annotations

import json
from typing import Final

from .answers import Row
from .http_answers import HTTP, NO_ANSWER
from .outcomes import OutcomeClass

OK, RETRY, DROP, FAIL, CONFIG, THROTTLE, _ = OutcomeClass

MOZILLA: Final = "https://mozilla-services.github.io/autopush-rs/errors.html"
APPLE: Final = (
    "https://developer.apple.com/documentation/usernotifications/"
    "sending-web-push-notifications-in-web-apps-and-browsers"
)

ROWS: Final = (
    *NO_ANSWER,
    Row("2xx", "", OK, "RFC 8030, section 5"),
    Row("404", "", DROP, "RFC 8030, section 7.3"),
    Row("410", "", DROP, MOZILLA),
    Row("400", "VapidPkHashMismatch", DROP, APPLE),
    Row("403", "VapidPkHashMismatch", DROP, APPLE),
    Row("403", "BadJwtToken", CONFIG, APPLE),
    Row("401", "109", CONFIG, MOZILLA, code="invalid_vapid"),
    Row("403", "109", CONFIG, MOZILLA, code="invalid_vapid"),
    Row("*", "110", CONFIG, MOZILLA, code="invalid_crypto"),
    Row("400", "", CONFIG, "RFC 8292, section 4.2"),
    Row("401", "", CONFIG, "RFC 8292, section 4.2"),
    Row("403", "", CONFIG, "RFC 8292, section 4.2"),
    Row("413", "", FAIL, "RFC 8030, section 7.2"),
    Row("*", "104", FAIL, MOZILLA, code="too_large"),
    Row("408", "", RETRY, HTTP),
    Row("429", "", THROTTLE, "RFC 8030, section 8.4"),
    Row("503", "201", RETRY, MOZILLA, code="backoff"),
    Row("503", "202", RETRY, MOZILLA, code="retry_now"),
    Row("5xx", "", RETRY, HTTP),
    # The address itself is wrong. If only its host is, our own name server may be at fault.
    Row(
        *("bad_subscription", "", DROP, "RFC 8291, section 2"),
        "the address is not a Web Push subscription",
    ),
    Row(
        *("forbidden_endpoint", "", FAIL, "RFC 8030, section 8"),
        "the endpoint of the subscription is not on the public internet",
    ),
    Row(
        *("unresolvable", "", RETRY, "RFC 9110, section 4.3.3"),
        "the host of the endpoint could not be looked up",
    ),
    Row("*", "", FAIL, HTTP),
)


def reason_of(body: bytes) -> str:
    """Return the reason in the body of an answer: Apple's ``reason`` or Mozilla's ``errno``."""
    if not body.startswith(b"{"):
        return ""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return str(said.get("reason") or said.get("errno") or "")[:64]
