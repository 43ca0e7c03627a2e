"""One request on an HTTP/2 stream, and its answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from gevent.event import AsyncResult

from .http2_errors import HTTP2Error, Lost, Unprocessed

#: Seconds that a body may take after the headers.
BODY_TIME: Final = 1.0


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. ``body`` has at most as many bytes as the connection's ``max_response``."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


@dataclass(eq=False, slots=True)
class Exchange:
    """One request, and as much of its answer as has arrived."""

    stream_id: int
    unsent: bytes
    answer: AsyncResult[Any] = field(default_factory=AsyncResult)
    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    #: When the headers came, on the monotonic clock.
    decided_at: float = 0.0

    def decide(self, headers: dict[bytes, bytes], now: float) -> None:
        """Take note of the headers: the peer has decided."""
        self.headers, self.status, self.decided_at = headers, int(headers[b":status"]), now

    def take(self, data: bytes, most: int) -> bool:
        """Take up to ``most`` bytes of the body, and return whether that was all."""
        room = most - len(self.body)
        self.body += data[:room]
        return len(data) <= room

    def is_late(self, now: float) -> bool:
        """Return whether the body takes too long."""
        return 0 < self.decided_at < now - BODY_TIME

    def response(self) -> Response:
        return Response(self.status, self.headers, bytes(self.body))

    def finish(self) -> None:
        self.answer.set(self.response())

    def reset(self, *, refused: bool) -> None:
        """Fail, as the peer has reset the stream.

        :param refused: it has not processed the request.
        """
        if refused:
            self.fail(Unprocessed("refused_stream", "the peer refused the stream"))
        else:
            self.fail(Lost("stream_reset", "the peer reset the stream"))

    def fail(self, error: HTTP2Error) -> None:
        # Once the headers have arrived, the peer has decided.
        self.finish() if self.status else self.answer.set(error)
