"""One attempt over HTTP: signed, to an address that was checked, and bounded in time and size."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from ssl import SSLError
from typing import Any, Final
from urllib.parse import urlsplit

from django.utils import timezone
from gevent import Timeout
from geventhttpclient.response import HTTPParseError, HTTPSocketPoolResponse

from .. import __version__
from ..delivery.backoff import parse_retry_after
from ..exceptions import DestinationRefused
from ..models import CallbackAttempt, CallbackEvent
from ..transport import destinations
from ..transport.connections import Connections
from . import signing
from .results import AttemptResult

#: Seconds for one attempt, from resolving the host to the last byte that is read.
TIMEOUT: Final = 15.0
#: Seconds to connect to one address.
CONNECT_TIMEOUT: Final = 5.0
#: Bytes of a response body that are read.
MAX_READ: Final = 4_096

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Courier:
    """Posts events to the URLs of an endpoint, over connections that live as long as it does.

    Redirects are not followed, and proxies named by the environment are not used. The host is
    resolved and checked at every connect, and its certificate is verified.

    :param secrets: the secrets to sign with, the newest first.
    :param size: how many posts may be in flight at the same time.
    :param lookup: see :func:`~django_pushjobs.transport.destinations.resolve`.
    """

    def __init__(
        self,
        secrets: list[str],
        *,
        size: int,
        lookup: destinations.Lookup | None = None,
        ca_file: str | None = None,
    ) -> None:
        self._secrets = secrets
        self._size = size
        self._lookup = lookup
        self._ca_file = ca_file
        self._origins: dict[str, Connections] = {}

    def post(self, event: CallbackEvent, url: str) -> AttemptResult:
        """Make one attempt at ``event``. Failures are results as well, not exceptions."""
        started_at, began = timezone.now(), time.monotonic()
        found: dict[str, Any]
        try:
            found = self._post(event, url, int(started_at.timestamp()))
        except DestinationRefused as refused:
            found = {"error_code": refused.code}
        return AttemptResult(
            event=event,
            started_at=started_at,
            latency=round((time.monotonic() - began) * 1_000),
            **found,
        )

    def close(self) -> None:
        for connections in self._origins.values():
            connections.close()

    def _post(self, event: CallbackEvent, url: str, timestamp: int) -> dict[str, Any]:
        body = body_of(event)
        signed = signing.headers(
            self._secrets, message_id=str(event.pk), timestamp=timestamp, body=body
        )
        origin = self._connections(url)
        request = _request(url, signed, body)
        response: HTTPSocketPoolResponse | None = None
        excerpt = b""
        failure = "connection_lost"
        deadline = Timeout.start_new(TIMEOUT)
        try:
            response = origin.post(request)
            excerpt = response.read(MAX_READ)
        except Timeout as timeout:
            if timeout is not deadline:
                raise  # the job's own
            failure = "timeout"
        except TimeoutError:
            failure = "timeout"
        except HTTPParseError:
            failure = "bad_answer"
        except OSError as error:
            failure = _reason(error)
        finally:
            deadline.close()
            if response is not None:
                response.release()
        if response is None:
            return {"error_code": failure}
        # The status has arrived, so the endpoint has decided; a late or endless body is cut off.
        retry_after = response.get("retry-after")
        return {
            "status_code": response.status_code,
            "retry_after": parse_retry_after(retry_after) if isinstance(retry_after, str) else None,
            "response": _text(excerpt),
        }

    def _connections(self, url: str) -> Connections:
        destination = destinations.parse(url)
        origin = f"{destination.scheme}://{urlsplit(url).netloc}/"
        if origin not in self._origins:
            self._origins[origin] = Connections(
                origin,
                size=self._size,
                connect_timeout=CONNECT_TIMEOUT,
                ca_file=self._ca_file,
                resolve=lambda host, port: destinations.resolve(host, port, lookup=self._lookup),
            )
        return self._origins[origin]


def body_of(event: CallbackEvent) -> bytes:
    """Return the body of ``event``; it is the same at every attempt."""
    at: datetime = event.created_at.astimezone(UTC)
    timestamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return _to_json({"type": event.type, "timestamp": timestamp, "data": event.data}).encode()


def _request(url: str, headers: dict[str, str], body: bytes) -> bytes:
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = [
        f"POST {path} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"User-Agent: django-pushjobs/{__version__}",
        "Content-Type: application/json",
        "Accept-Encoding: identity",
        *(f"{name}: {value}" for name, value in headers.items()),
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join(head) + "\r\n\r\n").encode("ascii") + body


def _reason(error: OSError) -> str:
    if isinstance(error, SSLError):
        return "bad_certificate" if "CERTIFICATE" in str(error.reason) else "tls_failed"
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return "connection_lost"
    return "unreachable"


def _text(excerpt: bytes) -> str:
    # Not every database takes a NUL.
    text = excerpt.decode("utf-8", errors="replace").replace("\x00", "\ufffd")
    return text[: CallbackAttempt.MAX_RESPONSE]
