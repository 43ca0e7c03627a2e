"""One request and its answer over keep-alive connections, for providers and callbacks alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gevent import Timeout
from geventhttpclient.response import HTTPParseError

from .connections import Connections
from .failures import ConnectionLost, connect_failure
from .responses import BODY_TIME, Response
from .retry_after import parse_retry_after


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    :param answer: the status, or a word of :mod:`.failures` if there was no answer.
    :param body: its first bytes; the rest of a body that is late, cut off or too long is missing.
    :param headers: the headers of the answer, see :meth:`header`.
    """

    answer: int | str
    body: bytes = b""
    headers: Any = None

    @property
    def status(self) -> int | None:
        """The status, or None if there was no answer."""
        return self.answer if isinstance(self.answer, int) else None

    @property
    def failure(self) -> str:
        """A word of :mod:`.failures` if there was no answer, else ""."""
        return self.answer if isinstance(self.answer, str) else ""

    @property
    def retry_after(self) -> float | None:
        """Seconds that its header Retry-After asks to wait, if any."""
        value = self.header("retry-after")
        return parse_retry_after(value) if value else None

    def header(self, name: str) -> str:
        """Return the first value of a header, or ""."""
        value = self.headers.get(name) if self.headers is not None else None
        if isinstance(value, list):
            value = value[0]
        return value if isinstance(value, str) else ""


def exchange(
    connections: Connections,
    request: bytes,
    *,
    timeout: float,
    max_response: int,
    idempotent: bool = False,
    body_time: float = BODY_TIME,
) -> Reply:
    """Send ``request``, head and body, and return what comes back.

    It is sent a second time only if :meth:`.Connections.post` finds that a connection which had
    been kept alive is closed.

    An answer counts as soon as its headers have arrived, and a body that does not end soon is left
    with its connection. Timeouts of other owners, such as the
    job's, pass through, and the connection is given back whatever happens.

    :param timeout: seconds for everything, from the wait for a free connection to the last byte.
    :param max_response: bytes of the body that are read.
    :param idempotent: the peer recognizes the request if it comes a second time.
    :param body_time: seconds that the body may take after the headers.
    :raises DestinationRefused: the ``resolve`` of ``connections`` refuses the host; whatever else
        it raises passes through as well.
    """
    response: Response | None = None
    failure, body = "connection_lost", b""
    deadline = Timeout.start_new(timeout)
    try:
        response = connections.post(request, idempotent=idempotent)
        body = response.read(max_response, within=body_time)
    except Timeout as expired:
        if expired is not deadline:
            raise  # the job's own, or the caller's
        failure = "timeout"
    except (OSError, HTTPParseError) as error:
        failure = _failure(error)
    finally:
        deadline.close()
        if response is not None:
            # Closes the connection if the answer was not read to its end.
            response.release()
    # Once the headers have arrived, the peer has decided.
    return Reply(failure) if response is None else Reply(response.status_code, body, response)


def _failure(error: Exception) -> str:
    match error:
        case ConnectionLost():
            return "connection_lost"
        case HTTPParseError():
            return "bad_answer"
    return connect_failure(error)
