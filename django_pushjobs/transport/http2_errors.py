"""What it means that an HTTP/2 request got no answer."""

from __future__ import annotations


class HTTP2Error(OSError):
    """A request got no answer. ``sent``: the peer may have acted on it all the same.

    :param word: what happened in a word, such as ``goaway``.
    :param reason: what the peer gave as its reason in a GOAWAY, or "".
    """

    def __init__(self, word: str, detail: str, *, sent: bool, reason: str = "") -> None:
        super().__init__(detail)
        self.word = word
        self.sent = sent
        self.reason = reason


class Unprocessed(HTTP2Error):
    """The peer has said that it did not touch the request, or has never seen it: send it again.

    RFC 9113, section 8.7: streams above the last id of a GOAWAY, and REFUSED_STREAM.
    """

    def __init__(self, word: str, detail: str, *, reason: str = "") -> None:
        super().__init__(word, detail, sent=False, reason=reason)


class NotStarted(Unprocessed):
    """The connection ended, or the peer lowered its limit, before the request could begin."""


class Lost(HTTP2Error):
    """The request went out, and the stream or its connection ended without an answer."""

    def __init__(self, word: str, detail: str, *, reason: str = "") -> None:
        super().__init__(word, detail, sent=True, reason=reason)
