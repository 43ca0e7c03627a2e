"""The answer to one HTTP/1.1 request: once its head has been read, its status stands."""

from __future__ import annotations

import re
from typing import Any, Final, cast

from gevent import Timeout
from geventhttpclient.response import (
    HTTPConnectionClosed,
    HTTPParseError,
    HTTPProtocolViolationError,
    HTTPSocketPoolResponse,
)

from .failures import ConnectionLost
from .intake import Intake, TooLong

#: Bytes; the most that an answer may have up to the end of its headers, interim answers (RFC 9110,
#: section 15.2) included, and what may come besides the bytes of a body that are asked for.
MAX_HEAD: Final = 65_536
#: The most header and trailer fields of an answer; each costs more than its bytes.
MAX_FIELDS: Final = 1_000
#: Seconds that a body may take after the headers, unless the caller needs more of it.
BODY_TIME: Final = 1.0

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

    For the same reason, a body that goes on for ever is not waited for: see :meth:`read`.

    :param pool: gets the connection back, by ``return_socket`` or ``release_socket``.
    :raises ConnectionLost: the connection ended before an answer.
    :raises geventhttpclient.response.HTTPParseError: it has no status line, it ends before its
        headers do, or these have more than :data:`MAX_HEAD` bytes or :data:`MAX_FIELDS` fields.
    """

    #: What has arrived, until the head is complete.
    head = b""
    #: The status of the final answer, or 0 until its head is complete.
    _final = 0

    def __init__(self, sock: Any, pool: Any) -> None:
        self._intake = Intake(sock, MAX_HEAD)
        # It passes for the socket: the library only reads it.
        super().__init__(cast("Any", self._intake), pool, method="POST")

    def read(self, length: int | None = None, *, within: float = BODY_TIME) -> bytes:
        """Return the first ``length`` bytes of the body, or as many as come in time.

        The peer has decided, so nothing that it sends now is an error. If it sends no end in time,
        or more than the body and :data:`MAX_HEAD` bytes, the connection will not be used again.

        :param length: all of it by default, if it has at most :data:`MAX_HEAD` bytes.
        :param within: seconds.
        """
        wanted = MAX_HEAD if length is None else length
        if not self.message_complete and len(self._body_buffer) < wanted:
            self._intake.room += wanted
            limit = Timeout.start_new(within)
            try:
                self._read_on(wanted)
            except Timeout as expired:
                if expired is not limit:
                    raise
            except (OSError, HTTPParseError, TooLong):
                pass
            finally:
                limit.close()
        body = bytes(self._body_buffer[:wanted])
        del self._body_buffer[:wanted]
        return body

    def _read_on(self, length: int) -> None:
        while not self.message_complete and len(self._body_buffer) < length:
            self.feed(self._intake.recv(length))

    def release(self) -> None:
        """Give the connection back, once."""
        pool: Any = self._pool
        self._sock = self._pool = None
        if pool is None:
            return
        sock = self._intake.sock
        if self.should_close():
            pool.release_socket(sock)
        else:
            pool.return_socket(sock, self._kept_for())

    def get_code(self) -> int:
        return self._final or super().get_code()

    def feed(self, data: Any) -> None:
        if not self._final:
            self.head += data
        try:
            super().feed(data)
        except HTTPParseError:
            if not self._final and not self._salvage():
                raise
            if self._final:
                self._drop()
        if self._header_position > MAX_FIELDS:
            if not self._final:
                raise HTTPParseError("there are too many headers")
            self._drop()

    def _drop(self) -> None:
        """Do without the rest of the answer, and without the connection."""
        self.headers_complete = self.message_complete = self._trailing_data_dropped = True

    def _read_headers(self, pre_buffered: bytes = b"") -> None:
        try:
            super()._read_headers(pre_buffered)
        except (OSError, HTTPConnectionClosed) as error:
            raise ConnectionLost(begun=bool(self.head)) from error
        except TooLong:
            raise HTTPParseError("the headers are too long") from None
        except HTTPParseError as error:
            if self.head and not self.head.startswith(b"HTTP/"):
                raise NotAnAnswer(*error.args) from error
            raise

    def _kept_for(self) -> float | None:
        """Return for how many seconds the peer keeps the connection open, if it says so: one less,
        as it may say so no longer when a request arrives."""
        if not dict.__contains__(self._headers_index, "keep-alive"):
            return None  # as usual; the library's own look is ten times as long
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
        head, at = self.head, 0
        while status := _STATUS_LINE.match(head, at):
            end = _HEAD_END.search(head, status.end() - 2)
            if end is None:
                return True  # the rest may follow
            if (code := int(status[1])) >= 200:
                self._headers_index.clear()
                lines = head[status.end() : end.start()].decode("latin-1").splitlines()
                for line in lines[:MAX_FIELDS]:
                    name, colon, value = line.partition(":")
                    if colon:
                        self._headers_index.add(name.strip(), value.strip())
                self._final = code
                return True
            at = end.end()
        return False
