"""What the answers of Firebase Cloud Messaging mean."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from . import apns_answers
from .answers import Row
from .http_answers import NO_ANSWER
from .outcomes import OutcomeClass, Scope

OK, RETRY, DROP, FAIL, CONFIG, THROTTLE, _ = OutcomeClass

FCM: Final = "https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode"
ERRORS: Final = "https://firebase.google.com/docs/cloud-messaging/error-codes"
SCALE: Final = "https://firebase.google.com/docs/cloud-messaging/scale-fcm"

#: Starts a reason of ours for what APNs said to FCM: ``apns.BadPriority``, or ``apns.410`` if the
#: status alone is known.
OF_APNS: Final = "apns."
APNS_OTHER: Final = f"{OF_APNS}other"


def _of_apns() -> Iterator[Row]:
    """Yield the rows of APNs as answers of FCM. The provider token is Google's to renew."""
    for row in apns_answers.ROWS:
        if not row.answer[0].isdigit() or row.answer == "200":
            continue
        if row.reason == apns_answers.OWN_TOPIC:
            continue  # a word of our own backend for APNs
        said = row.reason or row.answer
        yield Row(
            *("*", f"{OF_APNS}{said}", row.kind, row.source),
            f"APNs answered {{provider}}: {row.answer} {row.reason}".rstrip(),
            code=row.reason,
            wait=row.wait,
            # The credentials that APNs refuses are those that FCM uses there.
            about=Scope.ROUTE if row.kind is CONFIG else row.about,
        )
    yield Row("*", APNS_OTHER, FAIL, apns_answers.APNS, "APNs refused the message of {provider}")


_APNS_ROWS: Final = tuple(_of_apns())
_APNS_REASONS: Final = frozenset(row.reason for row in _APNS_ROWS)

ROWS: Final = (
    *NO_ANSWER,
    *_APNS_ROWS,
    Row("200", "", OK, FCM),
    Row("404", "UNREGISTERED", DROP, FCM),
    # 400 INVALID_ARGUMENT has two meanings, see reason_of().
    Row("400", "INVALID_REGISTRATION", DROP, ERRORS),
    Row("400", "INVALID_ARGUMENT", FAIL, ERRORS),
    Row("403", "SENDER_ID_MISMATCH", DROP, FCM),
    Row("403", "PERMISSION_DENIED", CONFIG, ERRORS, renews=True),
    Row("401", "UNAUTHENTICATED", CONFIG, ERRORS, renews=True),
    # What FCM needs in order to reach APNs or the push service of a browser: the others go on.
    Row("401", "THIRD_PARTY_AUTH_ERROR", CONFIG, FCM, about=Scope.ROUTE),
    Row("401", "", CONFIG, ERRORS, renews=True),
    Row("403", "", CONFIG, ERRORS, renews=True),
    # The project or the API does not exist, whatever the message is.
    Row("404", "", CONFIG, ERRORS),
    Row("429", "QUOTA_EXCEEDED", THROTTLE, FCM, wait=60),
    Row("429", "RESOURCE_EXHAUSTED", THROTTLE, SCALE, wait=60),
    Row("429", "", THROTTLE, SCALE, wait=60),
    Row("408", "", RETRY, SCALE, wait=10),
    Row("500", "INTERNAL", RETRY, FCM, wait=10),
    Row("503", "UNAVAILABLE", RETRY, FCM, wait=10),
    Row("5xx", "", RETRY, FCM, wait=10),
    Row(
        *("no_token", "", RETRY, "RFC 6749, section 5"),
        "the authorization server of {provider} did not issue a token",
        wait=10,
        about=Scope.PROVIDER,
    ),
    Row(
        *("bad_credentials", "", CONFIG, "RFC 6749, section 5.2"),
        "the authorization server of {provider} refused the service account",
    ),
    Row("*", "", FAIL, ERRORS),
)

#: What may be repeated of the path in a field violation: never a key of data, which is payload.
_FIELD = re.compile(r"message(?:\.[a-z_]{1,40}){0,4}")


def reason_of(answer: int | str, body: bytes) -> tuple[str, list[str]]:
    """Return the reason of an error, and the fields that it is about.

    FCM answers INVALID_ARGUMENT to an invalid token as well as to an invalid message. Only the
    details tell which, and a wrong message must not drop a live device. If FCM passes on an answer
    of APNs, that decides.

    https://firebase.google.com/docs/cloud-messaging/error-codes
    """
    try:
        error = json.loads(body)["error"]
        details = [detail for detail in error.get("details", ()) if isinstance(detail, dict)]
        status = str(error.get("status", ""))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return "", []
    for detail in details:
        if _is(detail, "ApnsError"):
            return _apns_reason(detail), []
    codes = [str(d.get("errorCode", "")) for d in details if _is(d, "FcmError")]
    found = [v for d in details if _is(d, "BadRequest") for v in d.get("fieldViolations") or ()]
    fields = [str(v.get("field", "")) for v in found if isinstance(v, dict)]
    reason = next(filter(None, codes), status)
    if answer != 400 or reason != "INVALID_ARGUMENT":
        return reason, []
    is_token = all(field == "message.token" for field in fields) if fields else bool(codes)
    if is_token and "too big" not in str(error.get("message", "")):
        return "INVALID_REGISTRATION", []
    shown = [match[0] for field in fields if (match := _FIELD.match(field))]
    return "INVALID_ARGUMENT", sorted(set(shown))


def _apns_reason(detail: Mapping[str, Any]) -> str:
    """Return our reason for a detail ``ApnsError``.

    https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode#apnserror
    """
    status = detail.get("statusCode")
    statuses = (status, f"{status // 100}xx") if isinstance(status, int) else ()
    for said in (detail.get("reason"), *statuses):
        if (reason := f"{OF_APNS}{said}") in _APNS_REASONS:
            return reason
    return APNS_OTHER


def _is(detail: Mapping[str, Any], kind: str) -> bool:
    return str(detail.get("@type", "")).endswith(f".{kind}")
