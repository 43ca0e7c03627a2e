"""What the answers of APNs mean.

Its documentation is below
https://developer.apple.com/documentation/usernotifications/
"""

from __future__ import annotations

import json
from typing import Final

from .answers import Row
from .http_answers import HTTP2_NO_ANSWER, NO_ANSWER
from .outcomes import OutcomeClass, Scope

OK, RETRY, DROP, FAIL, CONFIG, THROTTLE, RECONNECT = OutcomeClass

_DOCUMENTATION: Final = "https://developer.apple.com/documentation/usernotifications"
APNS: Final = f"{_DOCUMENTATION}/handling-notification-response-errors-from-apns"
TOKENS: Final = f"{_DOCUMENTATION}/establishing-a-token-based-connection-to-apns"

#: What is wrong with our settings, if the topic is that of the app itself.
TOPIC_REASONS: Final = ("BadTopic", "MissingTopic", "TopicDisallowed")
#: Our word for the same about a topic that the message brought in.
OWN_TOPIC: Final = "topic_refused"

ROWS: Final = (
    *NO_ANSWER,
    *HTTP2_NO_ANSWER,
    Row("200", "", OK, APNS),
    # Counts only if its timestamp is later than our last registration of the address.
    Row("410", "Unregistered", DROP, APNS),
    Row("410", "ExpiredToken", DROP, APNS),
    Row("410", "", DROP, APNS),
    # Also the answer to a token of the sandbox in production, and the other way round.
    Row("400", "BadDeviceToken", DROP, APNS),
    # It belongs to another app, which is no proof that the device is gone.
    Row("400", "DeviceTokenNotForTopic", FAIL, APNS, about=Scope.ADDRESS),
    *(Row("400", reason, CONFIG, APNS) for reason in TOPIC_REASONS),
    Row(*("400", OWN_TOPIC, FAIL, APNS), "APNs refused the topic that the message asked for"),
    *(
        Row("400", reason, FAIL, APNS)
        for reason in (
            *("BadCollapseId", "BadExpirationDate", "BadMessageId", "BadPriority"),
            *("InvalidPushType", "PayloadEmpty", "DuplicateHeaders", "MissingDeviceToken"),
        )
    ),
    Row("404", "BadPath", FAIL, APNS),
    Row("405", "MethodNotAllowed", FAIL, APNS),
    Row("413", "PayloadTooLarge", FAIL, APNS),
    Row("403", "ExpiredProviderToken", CONFIG, TOKENS, renews=True),
    # Also the answer to one that was made by a clock that was wrong.
    Row("403", "InvalidProviderToken", CONFIG, TOKENS, renews=True),
    *(
        Row("403", reason, CONFIG, APNS)
        for reason in (
            *("MissingProviderToken", "Forbidden", "BadCertificate", "BadCertificateEnvironment"),
            *("UnrelatedKeyIdInToken", "BadEnvironmentKeyIdInToken"),
        )
    ),
    Row("403", "", CONFIG, APNS),
    Row("401", "", CONFIG, APNS),
    Row("429", "TooManyRequests", THROTTLE, APNS),
    # The token is kept: another one would make it worse.
    Row("429", "TooManyProviderTokenUpdates", RETRY, TOKENS, wait=60),
    Row("429", "", THROTTLE, APNS),
    Row("400", "IdleTimeout", RECONNECT, APNS),
    Row("500", "InternalServerError", RECONNECT, APNS),
    Row("503", "ServiceUnavailable", RECONNECT, APNS),
    Row("503", "Shutdown", RECONNECT, APNS),
    Row("5xx", "", RECONNECT, APNS),
    Row("*", "", FAIL, APNS),
)


def reason_of(body: bytes) -> tuple[str, float | None]:
    """Return the reason in the body of an answer, and since when the token is invalid.

    The latter is in seconds since the epoch, and None if the body does not say.
    """
    if not body:
        return "", None
    try:
        said = json.loads(body)
        reason, timestamp = said.get("reason"), said.get("timestamp")
    except (ValueError, AttributeError, RecursionError):
        return "", None
    is_time = isinstance(timestamp, int) and 0 < timestamp < 10**14
    return reason if isinstance(reason, str) else "", timestamp / 1_000 if is_time else None
