"""The rows of :mod:`~django_pushjobs.backends.answers`: nothing but data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from .outcomes import OutcomeClass

OK, RETRY, DROP, FAIL, CONFIG, THROTTLE, RECONNECT = OutcomeClass


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of answer and what it means.

    :param answer: a status, ``4xx``, ``*`` for any, or a word for what has no status.
    :param reason: the provider's word for it; "" where it does not matter.
    :param source: where the provider, or the standard, says so.
    :param detail: a sentence for people instead of "... answered 410 Unregistered".
    :param code: instead of the reason, the status or the word.
    :param wait: seconds to wait where the provider gives no Retry-After.
    :param renews: new credentials are worth one more try before this counts.
    :param doubtful: one of these says something of the address, many of them say something of our
        credentials: see CONFIG.
    :param unknown: the provider may have taken the message all the same.
    """

    answer: str
    reason: str = ""
    kind: OutcomeClass = FAIL
    source: str = ""
    detail: str = ""
    code: str = ""
    wait: float | None = None
    renews: bool = False
    doubtful: bool = False
    unknown: bool = False


HTTP: Final = "RFC 9110, section 15"
APNS: Final = (
    "https://developer.apple.com/documentation/usernotifications/"
    "handling-notification-response-errors-from-apns"
)
APNS_TOKENS: Final = (
    "https://developer.apple.com/documentation/usernotifications/"
    "establishing-a-token-based-connection-to-apns"
)
FCM: Final = "https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode"
FCM_ERRORS: Final = "https://firebase.google.com/docs/cloud-messaging/error-codes"
FCM_SCALE: Final = "https://firebase.google.com/docs/cloud-messaging/scale-fcm"
MOZILLA: Final = "https://mozilla-services.github.io/autopush-rs/errors.html"
APPLE_WEB: Final = (
    "https://developer.apple.com/documentation/usernotifications/"
    "sending-web-push-notifications-in-web-apps-and-browsers"
)

#: What comes instead of an answer; the same for every provider that is spoken to over HTTP.
TRANSPORT: Final = (
    Row("timeout", "", RETRY, HTTP, "{provider} did not answer in time", unknown=True),
    Row(
        *("connection_lost", "", RECONNECT, "RFC 9110, section 9.2.2"),
        "the connection was lost before {provider} answered",
        unknown=True,
    ),
    Row(
        *("bad_answer", "", RECONNECT, "RFC 9112, section 8"),
        "what {provider} answered is not HTTP, or was cut off",
        unknown=True,
    ),
    Row("unreachable", "", RECONNECT, "RFC 9293", "{provider} cannot be reached"),
    Row(
        *("connect_timeout", "", RETRY, "RFC 9293", "{provider} cannot be reached in time"),
        code="timeout",
    ),
    Row(
        *("bad_certificate", "", CONFIG, "RFC 9110, section 4.3.4"),
        "the certificate of {provider} is not trusted",
    ),
)

GATEWAY: Final = (
    Row("2xx", "", OK, HTTP),
    Row("401", "", CONFIG, HTTP),
    Row("403", "", CONFIG, HTTP),
    # Client errors that say "not now" rather than "never". 408 also greets a kept-alive connection
    # that idled too long; 409 answers an Idempotency-Key whose first request still runs.
    Row("408", "", RETRY, HTTP),
    Row("409", "", RETRY, "draft-ietf-httpapi-idempotency-key-header, section 2.6"),
    Row("425", "", RETRY, "RFC 8470"),
    Row("410", "", DROP, HTTP),
    Row("429", "", THROTTLE, "RFC 6585, section 4"),
    Row("5xx", "", RETRY, HTTP),
    Row("*", "", FAIL, HTTP),  # a redirect too: it is not followed
)

APNS_ROWS: Final = (
    Row("200", "", OK, APNS),
    # Its timestamp must be later than our last registration of the address.
    Row("410", "Unregistered", DROP, APNS),
    Row("410", "ExpiredToken", DROP, APNS),
    Row("410", "", DROP, APNS),
    # A token of the sandbox in production, or the other way round, gets the same answer.
    Row("400", "BadDeviceToken", DROP, APNS, doubtful=True),
    *(
        Row("400", reason, CONFIG, APNS)
        for reason in ("DeviceTokenNotForTopic", "BadTopic", "MissingTopic", "TopicDisallowed")
    ),
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
    Row("403", "ExpiredProviderToken", CONFIG, APNS_TOKENS, renews=True),
    *(
        Row("403", reason, CONFIG, APNS)
        for reason in (
            *("InvalidProviderToken", "MissingProviderToken", "Forbidden", "BadCertificate"),
            *("BadCertificateEnvironment", "UnrelatedKeyIdInToken"),
            "BadEnvironmentKeyIdInToken",
        )
    ),
    Row("403", "", CONFIG, APNS),
    Row("401", "", CONFIG, APNS),
    Row("429", "TooManyRequests", THROTTLE, APNS),
    # The token is kept: another one would make it worse.
    Row("429", "TooManyProviderTokenUpdates", RETRY, APNS_TOKENS, wait=60),
    Row("429", "", THROTTLE, APNS),
    Row("400", "IdleTimeout", RECONNECT, APNS),
    Row("500", "InternalServerError", RECONNECT, APNS),
    Row("503", "ServiceUnavailable", RECONNECT, APNS),
    Row("503", "Shutdown", RECONNECT, APNS),
    Row("5xx", "", RECONNECT, APNS),
    Row(
        *("goaway", "", RECONNECT, "RFC 9113, section 6.8"),
        "{provider} closes the connection and did not process the message",
    ),
    Row(
        *("refused_stream", "", RECONNECT, "RFC 9113, section 8.7"),
        "{provider} did not process the message",
    ),
    Row(
        *("stream_reset", "", RECONNECT, "RFC 9113, section 6.4"),
        "{provider} ended the exchange before it answered",
        unknown=True,
    ),
    Row("*", "", FAIL, APNS),
)

FCM_ROWS: Final = (
    Row("200", "", OK, FCM),
    Row("404", "UNREGISTERED", DROP, FCM),
    # 400 INVALID_ARGUMENT has two meanings: see fcm.reason_of().
    Row("400", "INVALID_REGISTRATION", DROP, FCM_ERRORS, doubtful=True),
    Row("400", "INVALID_ARGUMENT", FAIL, FCM_ERRORS),
    Row("403", "SENDER_ID_MISMATCH", DROP, FCM, doubtful=True),
    Row("403", "PERMISSION_DENIED", CONFIG, FCM_ERRORS, renews=True),
    Row("401", "UNAUTHENTICATED", CONFIG, FCM_ERRORS, renews=True),
    Row("401", "THIRD_PARTY_AUTH_ERROR", CONFIG, FCM),
    Row("401", "", CONFIG, FCM_ERRORS, renews=True),
    Row("403", "", CONFIG, FCM_ERRORS, renews=True),
    # The project or the API is not there: nothing that a message could change.
    Row("404", "", CONFIG, FCM_ERRORS),
    Row("429", "QUOTA_EXCEEDED", THROTTLE, FCM, wait=60),
    Row("429", "RESOURCE_EXHAUSTED", THROTTLE, FCM_SCALE, wait=60),
    Row("429", "", THROTTLE, FCM_SCALE, wait=60),
    Row("408", "", RETRY, FCM_SCALE, wait=10),
    Row("500", "INTERNAL", RETRY, FCM, wait=10),
    Row("503", "UNAVAILABLE", RETRY, FCM, wait=10),
    Row("5xx", "", RETRY, FCM, wait=10),
    Row(
        *("no_token", "", RETRY, "RFC 6749, section 5"),
        "{provider}'s authorization server cannot be asked for a token",
        wait=10,
    ),
    Row(
        *("bad_credentials", "", CONFIG, "RFC 6749, section 5.2"),
        "{provider}'s authorization server refuses the service account",
    ),
    Row("*", "", FAIL, FCM_ERRORS),
)

WEB_PUSH_ROWS: Final = (
    Row("2xx", "", OK, "RFC 8030, section 5"),
    Row("404", "", DROP, "RFC 8030, section 7.3"),
    Row("410", "", DROP, MOZILLA),
    Row("400", "VapidPkHashMismatch", DROP, APPLE_WEB, doubtful=True),
    Row("403", "VapidPkHashMismatch", DROP, APPLE_WEB, doubtful=True),
    Row("403", "BadJwtToken", CONFIG, APPLE_WEB),
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
    # The address itself is wrong; where its host leads may be our own resolver's mistake.
    Row(
        *("bad_subscription", "", DROP, "RFC 8291, section 2"),
        "the address is not a Web Push subscription",
    ),
    Row(
        *("forbidden_endpoint", "", FAIL, "RFC 8030, section 8"),
        "the endpoint of the subscription is not one on the public internet",
    ),
    Row(
        *("unresolvable", "", RETRY, "RFC 9110, section 4.3.3"),
        "the host of the endpoint cannot be looked up",
    ),
    Row("*", "", FAIL, HTTP),
)

#: Provider -> what to call it, and its rows.
PROVIDERS: Final[Mapping[str, tuple[str, tuple[Row, ...]]]] = MappingProxyType(
    {
        "http": ("the gateway", (*TRANSPORT, *GATEWAY)),
        "apns": ("APNs", (*TRANSPORT, *APNS_ROWS)),
        "fcm": ("FCM", (*TRANSPORT, *FCM_ROWS)),
        "webpush": ("the push service", (*TRANSPORT, *WEB_PUSH_ROWS)),
    }
)
