"""Why an HTTP/2 request got no answer, and whether it may be sent again."""

from __future__ import annotations

import json

from .failures import connect_failure


class HTTP2Error(OSError):
    """A request got no answer.

    :param word: one of :mod:`.failures`.
    :param detail: a sentence.
    :param sent: whether the peer may have processed the request all the same.
    :param reason: the reason that the peer gave in a GOAWAY, or "".
    """

    def __init__(self, word: str, detail: str, *, sent: bool, reason: str = "") -> None:
        super().__init__(detail)
        self.word = word
        self.sent = sent
        self.reason = reason


class Unprocessed(HTTP2Error):
    """The peer did not process the request, so it may be sent again.

    RFC 9113, section 8.7: streams above the last id of a GOAWAY, and REFUSED_STREAM.
    """

    def __init__(self, word: str, detail: str, *, reason: str = "") -> None:
        super().__init__(word, detail, sent=False, reason=reason)


class NotStarted(Unprocessed):
    """The connection ended, or the peer lowered its limit, before the request could start."""


class Lost(HTTP2Error):
    """The request was sent, and the stream or its connection ended without an answer."""

    def __init__(self, word: str, detail: str, *, reason: str = "") -> None:
        super().__init__(word, detail, sent=True, reason=reason)


class ConnectFailed(HTTP2Error):
    """No connection could be made, because of ``cause``."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(connect_failure(cause), "the host could not be reached", sent=False)


class TimedOut(HTTP2Error):
    """There was no answer in time, or no stream to send the request on."""

    def __init__(self, *, sent: bool) -> None:
        word = "timeout" if sent else "connect_timeout"
        super().__init__(word, "there was no answer in time", sent=sent)


def goaway_reason_of(data: bytes | None) -> str:
    """Return the ``reason`` of a GOAWAY if its debug data is a JSON object, as APNs sends it."""
    try:
        reason = json.loads(data or b"")["reason"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return ""
    return reason if isinstance(reason, str) and reason.isalnum() and len(reason) <= 64 else ""
