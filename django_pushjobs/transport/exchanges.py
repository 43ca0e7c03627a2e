"""One request and its answer over connections that are kept alive, whoever the provider is."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any

from gevent import Timeout
from geventhttpclient.response import (
    HTTPConnectionClosed,
    HTTPParseError,
    HTTPSocketPoolResponse,
)

from ..delivery.backoff import parse_retry_after
from .connections import Connections


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    :param answer: the status, or a word of :data:`~.provider_rows.TRANSPORT` where there is none.
    :param body: its first bytes; a body that is late, cut off or too long is not waited for.
    """

    answer: int | str
    body: bytes = b""
    headers: Any = None

    def header(self, name: str) -> str:
        """Return the first value of a header, or ""."""
        value = self.headers.get(name) if self.headers is not None else None
        return value if isinstance(value, str) else ""

    @property
    def retry_after(self) -> float | None:
        """Seconds of its Retry-After header, if any."""
        value = self.header("retry-after")
        return parse_retry_after(value) if value else None


def exchange(
    connections: Connections, request: bytes, *, timeout: float, max_response: int
) -> Reply:
    """Send ``request``, head and body, and return what comes back. It is never sent twice.

    :param timeout: seconds in all, from the wait for a connection to the last byte.
    :param max_response: bytes of the body that are read.
    :raises Exception: what looking up the host raised, see :class:`~.connections.Connections`.
    """
    response: HTTPSocketPoolResponse | None = None
    failure, body = "connection_lost", b""
    deadline = Timeout.start_new(timeout)
    try:
        response = connections.post(request)
        body = response.read(max_response)
    except Timeout as expired:
        if expired is not deadline:
            raise  # the job's own, or the caller's
        failure = "timeout"
    except (OSError, HTTPParseError) as error:
        failure = _unanswered(error)
    finally:
        deadline.close()
        if response is not None:
            # A connection whose answer was not read to its end is closed by this.
            response.release()
    # Once the headers are here, the provider has decided.
    return Reply(failure) if response is None else Reply(response.status_code, body, response)


def _unanswered(error: Exception) -> str:
    """Return the word for a request that ended in ``error`` instead of an answer."""
    match error:
        case HTTPConnectionClosed() | ConnectionResetError() | BrokenPipeError():
            return "connection_lost"
        case HTTPParseError():
            return "bad_answer"
        case ssl.SSLCertVerificationError():
            return "bad_certificate"
        case TimeoutError():
            return "connect_timeout"
    return "unreachable"
