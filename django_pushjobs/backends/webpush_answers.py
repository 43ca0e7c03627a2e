"""What the answers of Web Push services mean."""

from __future__ import annotations

import json
import re
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
WNS: Final = (
    "https://learn.microsoft.com/en-us/windows/apps/develop/notifications/push-notifications/"
    "push-request-response-headers#response-codes"
)

#: The push service of Windows: it has answers of its own beside those of the standard.
WINDOWS: Final = "notify.windows.com"

#: Our words for answers that have none, see :func:`reason_of`.
KEY_MISMATCH: Final = "key_mismatch"
WNS_THROTTLED: Final = "wns_throttled"
WNS_HEADERS: Final = "wns_headers"

ROWS: Final = (
    *NO_ANSWER,
    Row("2xx", "", OK, "RFC 8030, section 5"),
    Row("404", "", DROP, "RFC 8030, section 7.3"),
    Row("410", "", DROP, MOZILLA),
    # A subscription is bound to one key: with ours, it will never be pushed to.
    Row("*", "VapidPkHashMismatch", DROP, APPLE),
    Row(
        *("*", KEY_MISMATCH, DROP, "RFC 8292, section 4"),
        "the subscription was made with another VAPID key",
    ),
    Row("406", WNS_THROTTLED, THROTTLE, WNS, "{provider} of Windows is throttling us", wait=900),
    # Such as "Ttl value conflicts with X-WNS-Cache-Policy": the fault is in this message.
    Row("400", WNS_HEADERS, FAIL, WNS, "{provider} of Windows refused the headers of the message"),
    Row("400", "111", FAIL, MOZILLA, code="missing_ttl"),
    Row("400", "112", FAIL, MOZILLA, code="invalid_ttl"),
    Row("400", "113", FAIL, MOZILLA, code="invalid_topic"),
    Row("403", "BadJwtToken", CONFIG, APPLE, renews=True),
    Row("401", "109", CONFIG, MOZILLA, code="invalid_vapid", renews=True),
    Row("403", "109", CONFIG, MOZILLA, code="invalid_vapid", renews=True),
    Row("*", "110", CONFIG, MOZILLA, code="invalid_crypto"),
    Row("400", "", CONFIG, "RFC 8292, section 4.2"),
    Row("401", "", CONFIG, "RFC 8292, section 4.2", renews=True),
    Row("403", "", CONFIG, "RFC 8292, section 4.2", renews=True),
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


#: What Google's and Mozilla's push services say of a subscription that was made with another key.
_ANOTHER_KEY: Final = re.compile(
    rb"do not correspond to the credentials used to create the subscription|public key mismatch",
    re.IGNORECASE,
)


def reason_of(answer: int | str, body: bytes, host: str) -> str:
    """Return the reason of an answer that is no success.

    That is Apple's ``reason`` or Mozilla's ``errno``, or a word of ours: for what is only said in a
    sentence, and for statuses that mean something else at the push service of Windows.
    """
    if isinstance(answer, str) or 200 <= answer < 300:
        return ""
    if _ANOTHER_KEY.search(body):
        return KEY_MISMATCH
    if answer in _WNS_REASONS and is_windows(host):
        return _WNS_REASONS[answer]
    if not body.startswith(b"{"):
        return ""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return str(said.get("reason") or said.get("errno") or "")[:64]


_WNS_REASONS: Final = {400: WNS_HEADERS, 406: WNS_THROTTLED}


def is_windows(host: str) -> bool:
    """Return whether ``host`` belongs to the push service of Windows."""
    return host == WINDOWS or host.endswith(f".{WINDOWS}")
