"""The answer to one HTTP/1.1 request: once its head has been read, its status stands."""

from __future__ import annotations

import re
from typing import Any, Final

from geventhttpclient.response import (
    HTTPConnectionClosed,
    HTTPParseError,
    HTTPProtocolViolationError,
    HTTPSocketPoolResponse,
)

from .failures import ConnectionLost

#: Bytes; the most that the status line and the headers of an answer may have.
MAX_HEAD: Final = 65_536

#: RFC 9112, section 4, and as section 2.2 recommends, a line may end without a CR.
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?\r?\n")
#: RFC 2068, section 19.7.1.1.
_KEPT = re.compile(r"(?i)\btimeout\s*=\s*([0-9]{1,9})")
_HEAD_END = re.compile(rb"\r?\n\r?\n")


class NotAnAnswer(HTTPParseError):
    """What came back does not even begin like HTTP, such as what was left of an earlier answer."""

    begun = False


class Response(HTTPSocketPoolResponse):
    """The library's response, which tolerates everything that follows a status line and headers.

    The peer has decided when it sends its head. Gateways send a body with a 204, both
    Transfer-Encoding and Content-Length, or a chunk that is none. The library's parser rejects
    these, rightly, as RFC 9112, section 6.3, cannot tell where such an answer ends. But its status
    is known, so it counts: the body is dropped and the connection is closed.

    :param pool: gets the connection back, by ``return_socket`` or ``release_socket``.
    :raises ConnectionLost: the connection ended before an answer.
    :raises geventhttpclient.response.HTTPParseError: it has no status line, it ends before its
        headers do, or these have more than :data:`MAX_HEAD` bytes.
    """

    #: What has arrived, until the head is complete.
    head = b""
    #: The status of the final answer, or 0 until its head is complete.
    _final = 0

    def __init__(self, sock: Any, pool: Any) -> None:
        super().__init__(sock, pool, method="POST")

    def release(self) -> None:
        """Give the connection back, once."""
        pool: Any = self._pool
        sock, self._sock, self._pool = self._sock, None, None
        if sock is None or pool is None:
            return
        if self.should_close():
            pool.release_socket(sock)
        else:
            pool.return_socket(sock, self._kept_for())

    def get_code(self) -> int:
        return self._final or super().get_code()

    def feed(self, data: Any) -> None:
        if not self._final:
            self.head += data
            if len(self.head) > MAX_HEAD + self.block_size:
                raise HTTPParseError("the headers are too long")
        try:
            super().feed(data)
        except HTTPParseError:
            if not self._final and not self._salvage():
                raise
            if self._final:
                self.headers_complete = self.message_complete = True
                self._trailing_data_dropped = True  # so the connection is not used again

    def _read_headers(self, pre_buffered: bytes = b"") -> None:
        try:
            super()._read_headers(pre_buffered)
        except (OSError, HTTPConnectionClosed) as error:
            raise ConnectionLost(begun=bool(self.head)) from error
        except HTTPParseError as error:
            if self.head and not self.head.startswith(b"HTTP/"):
                raise NotAnAnswer(*error.args) from error
            raise

    def _kept_for(self) -> float | None:
        """Return for how many seconds the peer keeps the connection open, if it says so: one less,
        as it may say so no longer when a request arrives."""
        value = self.get("keep-alive")
        if isinstance(value, str) and (match := _KEPT.search(value)):
            return int(match[1]) - 1.0
        return None

    def _on_message_begin(self) -> None:
        if self._final:
            raise HTTPProtocolViolationError("there is more than one answer")
        super()._on_message_begin()

    def _on_headers_complete(self) -> int | bool | None:
        skip_body = super()._on_headers_complete()
        if (code := super().get_code()) >= 200:
            self._final = code
            if code == 204 and (
                self.get("content-length", "0") != "0" or "transfer-encoding" in self
            ):
                self._trailing_data_dropped = True  # the body that cannot be there may be late
        return skip_body

    def _on_message_complete(self) -> None:
        # The library gives the connection back here, before it has seen what else came with it.
        self.message_complete = True

    def _salvage(self) -> bool:
        """Read a head that the parser rejects, and return False if there is none."""
        head = self.head
        while status := _STATUS_LINE.match(head):
            end = _HEAD_END.search(head, status.end() - 2)
            if end is None:
                return True  # the rest may follow
            if (code := int(status[1])) >= 200:
                self._headers_index.clear()
                for line in head[status.end() : end.start()].decode("latin-1").splitlines():
                    name, colon, value = line.partition(":")
                    if colon:
                        self._headers_index.add(name.strip(), value.strip())
                self._final = code
                return True
            head = head[end.end() :]
        return False
